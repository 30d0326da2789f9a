if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Tabs.Callbacks do
    @moduledoc false
    # The functions that Python calls, and the latest failures.

    use Phoenix.Component

    import Phoenix.LiveDashboard.PageBuilder
    import Py.LiveDashboard.Components

    alias Py.LiveDashboard.{Format, Rows}

    attr :snapshot, :map, required: true
    attr :page, :any, required: true

    def render(assigns) do
      ~H"""
      <.live_table
        id="py-callbacks-table"
        dom_id="py-callbacks-table"
        page={@page}
        title="Functions that Python calls"
        hint="Counts since the function was registered. Times are those of the function, in the process that runs it."
        row_fetcher={fn params, _node -> Rows.callbacks(@snapshot, params) end}
        rows_name="functions"
        limit={false}
      >
        <:col :let={row} field={:label} header="Function" sortable={:asc}>
          <span class={row.name && "text-monospace"}><%= row.label %></span>
        </:col>
        <:col :let={row} field={:calls} sortable={:desc} text_align="right"><%= Format.count(row.calls) %></:col>
        <:col :let={row} field={:errors} header="Failed" sortable={:desc} text_align="right"><%= Format.count(row.errors) %></:col>
        <:col :let={row} field={:mean_us} header="Mean time" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.mean_us) %>
        </:col>
        <:col :let={row} field={:time_us} header="Total time" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.time_us) %>
        </:col>
      </.live_table>
      <.card_title title="Recent failures" hint="The latest 50 failures of calls, callbacks, casts and contexts, newest first." />
      <.failures id="py-failures" failures={Rows.failures(@snapshot)} />
      """
    end
  end
end
