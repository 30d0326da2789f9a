if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Tabs.Memory do
    @moduledoc false
    # Memory, and the garbage collectors of the interpreters.

    use Phoenix.Component

    import Phoenix.LiveDashboard.PageBuilder
    import Py.LiveDashboard.Components

    alias Py.LiveDashboard.{Format, Rows}

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :history, :any, required: true

    def render(assigns) do
      ~H"""
      <div class="row">
        <div class="col-md-4 mb-4">
          <.tile id="py-resident" title="Resident memory" color={:blue} history={@history} key={:memory}
            format={&Format.bytes/1} hint="Memory of the operating system process: the BEAM and Python together." />
        </div>
        <div class="col-md-4 mb-4">
          <.panel title="Alive" hint="A handle is a Python object that a Py.Object of this node keeps alive.">
            <.facts facts={alive(@snapshot)} />
          </.panel>
        </div>
        <div class="col-md-4 mb-4">
          <.panel title="Collector" hint="All interpreters together. While a collector runs, its interpreter runs nothing else.">
            <.facts facts={collector(@snapshot.interpreters)} />
          </.panel>
        </div>
      </div>
      <.live_table
        id="py-interpreters-table"
        dom_id="py-interpreters-table"
        page={@page}
        title="Python's garbage collection, by interpreter"
        hint="Runs, times and collected objects are up to date. The other values were sampled by a thread of the interpreter when it was last idle. Blocks are known while the main interpreter is the only one."
        row_fetcher={fn params, _node -> Rows.interpreters(@snapshot, params) end}
        rows_name="interpreters"
        search={false}
        limit={false}
      >
        <:col :let={row} field={:label} header="Interpreter" sortable={:asc}>
          <%= row.label %>
          <div class="py-note"><%= Enum.join(row.context_labels, ", ") %></div>
        </:col>
        <:col :let={row} field={:gc_runs} header="Runs" sortable={:desc} text_align="right"><%= Format.count(row.gc_runs) %></:col>
        <:col :let={row} field={:gc_collected} header="Collected" sortable={:desc} text_align="right">
          <%= Format.count(row.gc_collected) %>
        </:col>
        <:col :let={row} field={:uncollectable} header="Uncollectable" sortable={:desc} text_align="right">
          <%= Format.count(row.uncollectable) %>
        </:col>
        <:col :let={row} field={:gc_time_us} header="Total time" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.gc_time_us) %>
        </:col>
        <:col :let={row} field={:gc_max_us} header="Longest" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.gc_max_us) %>
        </:col>
        <:col :let={row} field={:generations} header="Runs by generation" text_align="right">
          <%= if row.generations, do: Enum.map_join(row.generations, " / ", &Format.count/1), else: "–" %>
        </:col>
        <:col :let={row} field={:blocks} header="Blocks" sortable={:desc} text_align="right"><%= Format.count(row.blocks) %></:col>
        <:col :let={row} field={:age_ms} header="Sampled" sortable={:asc} text_align="right">
          <%= if row.age_ms, do: "#{Format.duration(row.age_ms)} ago", else: "not yet" %>
        </:col>
      </.live_table>
      """
    end

    # Python counts the blocks of all interpreters together, so only the main one has the number.
    defp alive(%{interpreters: interpreters} = snapshot) do
      [
        {"Handles", Format.count(snapshot.handles)},
        {"Blocks of Python's allocator", Format.count(main_blocks(interpreters))},
        {"Interpreters", Format.count(length(interpreters))}
      ]
    end

    defp main_blocks(interpreters) do
      Enum.find_value(interpreters, fn
        %{id: 0, sample: %{allocated_blocks: blocks}} -> blocks
        _other -> nil
      end)
    end

    defp collector(interpreters) do
      [
        {"Runs", interpreters |> Enum.map(& &1.gc_runs) |> Enum.sum() |> Format.count()},
        {"Total time",
         interpreters |> Enum.map(& &1.gc_time_us) |> Enum.sum() |> Format.microseconds()},
        {"Longest run",
         interpreters
         |> Enum.map(& &1.gc_max_us)
         |> Enum.max(fn -> nil end)
         |> Format.microseconds()}
      ]
    end
  end
end
