if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Tabs.Contexts do
    @moduledoc false
    # The table of contexts, and the details of the chosen one.

    use Phoenix.Component

    import Phoenix.LiveDashboard.PageBuilder
    import Py.LiveDashboard.Components

    alias Py.LiveDashboard.{Format, Rows, Source}

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :socket, :any, required: true

    def render(assigns) do
      ~H"""
      <.details :if={@page.params["context"]} snapshot={@snapshot} page={@page} socket={@socket} />
      <.live_table
        id="py-contexts-table"
        dom_id="py-contexts-table"
        page={@page}
        title="Contexts"
        hint="Click a row for details. Latencies are those of all requests since the context was started, without the time in the queue."
        row_fetcher={fn params, _node -> Rows.contexts(@snapshot, params) end}
        row_attrs={&context_attrs/1}
        rows_name="contexts"
      >
        <:col field={:label} header="Context" sortable={:asc} />
        <:col :let={row} field={:mode} sortable={:asc}><%= short_mode(row.mode) %></:col>
        <:col :let={row} field={:state} sortable={:asc}><.state state={row.state} /></:col>
        <:col :let={row} field={:running_ms} header="Running for" sortable={:desc} text_align="right">
          <%= Format.duration(row.running_ms) %>
        </:col>
        <:col :let={row} field={:queued} sortable={:desc} text_align="right"><%= Format.count(row.queued) %></:col>
        <:col :let={row} field={:calls} sortable={:desc} text_align="right"><%= Format.count(row.calls) %></:col>
        <:col :let={row} field={:errors} sortable={:desc} text_align="right"><%= Format.count(row.errors) %></:col>
        <:col :let={row} field={:timeouts} sortable={:desc} text_align="right"><%= Format.count(row.timeouts) %></:col>
        <:col :let={row} field={:busy_share} header="Busy" sortable={:desc}><.share share={row.busy_share} /></:col>
        <:col :let={row} field={:p50_us} header="p50" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.p50_us) %>
        </:col>
        <:col :let={row} field={:p99_us} header="p99" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.p99_us) %>
        </:col>
        <:col :let={row} field={:restarts} sortable={:desc} text_align="right"><%= Format.count(row.restarts) %></:col>
      </.live_table>
      """
    end

    defp context_attrs(%{id: id}) do
      [
        {"id", "py-context-#{id}"},
        {"phx-click", "show_context"},
        {"phx-value-context", id},
        {"phx-page-loading", true}
      ]
    end

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :socket, :any, required: true

    defp details(assigns) do
      context = chosen(assigns)
      assigns = assign(assigns, context: context, stack: stack(assigns.page.node, context))

      ~H"""
      <div class="card py-card mb-4 h-auto" id="py-details">
        <div class="d-flex justify-content-between align-items-start mb-2">
          <h5 class="card-title mb-0">
            <%= if @context do %>
              <%= @context.label %> <.state state={@context.state} />
            <% else %>
              This context has ended
            <% end %>
          </h5>
          <.link patch={live_dashboard_path(@socket, without_context(@page))} class="btn btn-sm btn-light">Close</.link>
        </div>
        <p :if={!@context} class="mb-0">It was stopped, or replaced by a context with another id.</p>
        <div :if={@context} class="row">
          <div class="col-md-4"><.facts facts={identity(@context)} /></div>
          <div class="col-md-4"><.facts facts={work(@context)} /></div>
          <div class="col-md-4"><.facts facts={trouble(@context)} /></div>
        </div>
        <%= if @context do %>
          <p class="mt-2 mb-0">
            <.link patch={live_dashboard_path(@socket, @page, info: encode_pid(@context.pid))}>
              Its owner process <%= inspect(@context.pid) %>
            </.link>
          </p>
          <div :if={@stack != []} class="mt-3">
            <h6>What it runs now (innermost last)</h6>
            <pre id="py-stack" class="mb-0"><%= Enum.join(@stack, "\n") %></pre>
          </div>
          <div :if={@context.failures != []} class="mt-3">
            <h6>Its latest failures</h6>
            <.failures id="py-context-failures" failures={Enum.take(@context.failures, 5)} places={false} />
          </div>
        <% end %>
      </div>
      """
    end

    # An idle context has none. An error is shown in the place of the frames.
    defp stack(node, %{state: state, pid: pid}) when state not in [:idle, :dead] do
      case Source.stack(node, pid) do
        {:ok, lines} -> lines
        {:error, text} -> [text]
      end
    end

    defp stack(_node, _context), do: []

    defp without_context(page), do: %{page | params: Map.delete(page.params, "context")}

    defp chosen(%{snapshot: snapshot, page: page}) do
      case Integer.parse(page.params["context"]) do
        {id, ""} -> Rows.context(snapshot, id)
        _no_number -> nil
      end
    end

    defp identity(context) do
      [
        {"Id", context.id},
        {"Mode", short_mode(context.mode)},
        {"Pool", pool(context)},
        {"Interpreter", if(context.interpreter == 0, do: "main", else: context.interpreter)},
        {"Up for", Format.duration(context.uptime_ms)},
        {"Restarts of its slot", Format.count(context.restarts)}
      ]
    end

    defp pool(%{index: nil}), do: "none"
    defp pool(%{pool: pool, index: index}), do: Format.text("#{pool}, slot #{index}", 80)

    defp work(context) do
      [
        {"Calls", Format.count(context.calls)},
        {"Running for", Format.duration(context.running_ms)},
        {"Queued", Format.count(context.queued)},
        {"Load / max_queue", Format.counts(context.load, context.max_queue)},
        {"Busy",
         "#{Format.percent(context.busy_share)}, #{Format.duration(context.busy_ms)} in total"},
        {"p50 / p99 / longest",
         Enum.map_join([:p50_us, :p99_us, :max_us], " / ", &Format.microseconds(context[&1]))}
      ]
    end

    defp trouble(context) do
      [
        {"Errors", Format.count(context.errors)},
        {"Timeouts", Format.count(context.timeouts)},
        {"Interrupts", Format.count(context.interrupts)},
        {"Requests whose caller died", Format.count(context.orphans)},
        {"Refused at once / timed out waiting for a permit",
         Format.counts(context.rejected, context.expired)},
        {"Callbacks / failed", Format.counts(context.callbacks, context.callback_errors)}
      ]
    end

    defp short_mode(:worker), do: "worker"
    defp short_mode(:owngil), do: "own-GIL"
  end
end
