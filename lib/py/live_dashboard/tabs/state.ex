if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Tabs.State do
    @moduledoc false
    # The entries of the shared state, which are read from the node when the tab is drawn.

    use Phoenix.Component

    import Phoenix.LiveDashboard.PageBuilder

    alias Py.LiveDashboard.{Format, Source}

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :values?, :boolean, required: true

    def render(assigns) do
      ~H"""
      <div class="row">
        <div class="col-md-6 mb-4">
          <.card inner_title="Entries" inner_hint="The number of keys. max_state_entries bounds it where it is set.">
            <span id="py-entries"><%= Format.count(@snapshot.state.entries) %></span>
            <span class="py-note"><%= bound(@snapshot.state.max_entries) %></span>
          </.card>
        </div>
        <div class="col-md-6 mb-4">
          <.card inner_title="Size" inner_hint="The approximate size of keys and values.">
            <%= Format.bytes(@snapshot.state.bytes) %>
          </.card>
        </div>
      </div>
      <.live_table
        id="py-state-table"
        dom_id="py-state-table"
        page={@page}
        title="Shared state"
        hint="The entries of Py.State. Values are shown as Elixir writes them, shortened. Values above 64 KB are not read."
        row_fetcher={fn params, node -> state_rows(node, params, @values?) end}
        rows_name="entries"
      >
        <:col :let={row} field={:key} sortable={:asc}><div class="py-key text-monospace"><%= row.key %></div></:col>
        <:col :let={row} field={:bytes} header="Size" sortable={:desc} text_align="right">
          <span class="py-nowrap"><%= Format.bytes(row.bytes) %></span>
        </:col>
        <:col :let={row} field={:value}><div class="py-text text-monospace"><%= row.value %></div></:col>
      </.live_table>
      """
    end

    defp bound(nil), do: "no limit"
    defp bound(max), do: "of at most #{Format.count(max)}"

    defp state_rows(node, params, values?) do
      case Source.state(node, params, values?) do
        {:ok, {rows, total}} -> {rows, total}
        {:error, text} -> {[], "an unknown number. #{text}"}
      end
    end
  end
end
