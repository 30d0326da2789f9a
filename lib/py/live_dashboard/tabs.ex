if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Tabs do
    @moduledoc false
    # The tabs of the dashboard page. Each draws a snapshot; only the shared state's rows are read from the node here.

    use Phoenix.Component

    import Phoenix.LiveDashboard.PageBuilder
    import Py.LiveDashboard.Components

    alias Py.LiveDashboard.{Format, History, Rows, Source}

    attr :snapshot, :map, required: true
    attr :history, :any, required: true

    def overview(assigns) do
      ~H"""
      <div class="row">
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-calls" title="Calls per second" color={:blue} history={@history} key={:calls}
            hint="Requests that Python ran, whatever came of them." />
        </div>
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-errors" title="Errors per second" color={:red} history={@history} key={:errors}
            hint="Requests that gave no value: exceptions, timeouts, interrupts." />
        </div>
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-refused" title="Refused per second" color={:orange} history={@history} key={:refused}
            hint="Work that found no permit in its time, or the queue of its context full. Callers got Py.OverloadedError." />
        </div>
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-callbacks" title="Callbacks per second" color={:purple} history={@history} key={:callbacks}
            hint="Calls from Python to functions of Elixir and Erlang." />
        </div>
      </div>
      <div class="row">
        <div class="col-lg-4 mb-4"><.limit permits={@snapshot.permits} history={@history} /></div>
        <div class="col-lg-4 mb-4"><.contexts_summary snapshot={@snapshot} /></div>
        <div class="col-lg-4 mb-4"><.process os={@snapshot.os} history={@history} /></div>
      </div>
      <div class="row">
        <div class="col-lg-7 mb-4">
          <.panel title="Python"><.facts id="py-python" facts={python_facts(@snapshot)} /></.panel>
        </div>
        <div class="col-lg-5 mb-4">
          <.panel title="Since the VM was started"><.facts id="py-totals" facts={totals_facts(@snapshot.totals)} /></.panel>
        </div>
      </div>
      """
    end

    attr :permits, :map, required: true
    attr :history, :any, required: true

    defp limit(assigns) do
      assigns = assign(assigns, :share, assigns.permits.current / assigns.permits.max)

      ~H"""
      <.panel
        title="Load against the limit"
        hint="Pieces of Python work queued or running, of those that may be (max_concurrent). Further ones wait their turn."
      >
        <div class="d-flex align-items-baseline justify-content-between mb-2">
          <div>
            <span class="banner-card-value" id="py-permits"><%= @permits.current %></span>
            of <%= Format.count(@permits.max) %> permits
          </div>
          <div class="py-note"><span id="py-waiting"><%= Format.count(@permits.waiting) %></span> waiting</div>
        </div>
        <.bar parts={[{@share, load_color(@share)}]} label="permits in use" />
        <.spark values={History.values(@history, :permits)} color={:green} />
      </.panel>
      """
    end

    attr :snapshot, :map, required: true

    defp contexts_summary(assigns) do
      number = length(assigns.snapshot.contexts)
      assigns = assign(assigns, states: Rows.states(assigns.snapshot), number: number)

      ~H"""
      <.panel
        title="Contexts"
        hint="Threads that run Python. Busy: the mean share of time with a request, over about the last one to two seconds."
      >
        <div class="d-flex align-items-baseline justify-content-between mb-2">
          <div><span class="banner-card-value" id="py-contexts"><%= @number %></span> contexts</div>
          <div class="py-note"><%= Format.percent(Rows.busy_share(@snapshot)) %> busy</div>
        </div>
        <.bar parts={for {state, count} <- @states, do: {count / @number, state_color(state)}} label="states of contexts" />
        <div class="py-legend">
          <.legend :for={{state, count} <- @states} color={state_color(state)}><%= count %> <%= state %></.legend>
        </div>
      </.panel>
      """
    end

    attr :os, :map, required: true
    attr :history, :any, required: true

    defp process(assigns) do
      ~H"""
      <.panel title="Operating system process" hint="The BEAM and Python together. Memory is resident memory.">
        <div class="d-flex align-items-baseline justify-content-between mb-2">
          <div><span class="banner-card-value" id="py-memory"><%= Format.bytes(@os.memory_bytes) %></span></div>
          <div class="py-note"><%= cpu(@os) %></div>
        </div>
        <.bar parts={[{@os.cpu_share / @os.cpus, load_color(@os.cpu_share / @os.cpus)}]} label="processors in use" />
        <.spark values={History.values(@history, :memory)} color={:blue} />
      </.panel>
      """
    end

    defp cpu(%{cpu_share: share, cpus: cpus}),
      do: "#{:erlang.float_to_binary(share * 1.0, decimals: 1)} of #{cpus} processors"

    defp python_facts(%{python: python} = snapshot) do
      [
        {"Version", Format.text(python.version, 60)},
        {"Executable", Format.text(python.executable, 300)},
        {"Library", Format.text(python.library, 300)},
        {"Mode of the default pool", mode(snapshot.mode)},
        {"Own-GIL contexts", if(python.own_gil, do: "possible", else: "not with this Python")},
        {"Free-threaded build", if(python.free_threaded, do: "yes", else: "no")},
        {"Application up for", Format.duration(snapshot.uptime_ms)},
        {"Processor time used", Format.duration(snapshot.os.cpu_time_ms)},
        {"Handles alive", Format.count(snapshot.handles)}
      ]
    end

    defp totals_facts(totals) do
      [
        {"Calls / errors", of(totals.calls, totals.errors)},
        {"Timeouts", Format.count(totals.timeouts)},
        {"Interrupts", Format.count(totals.interrupts)},
        {"Requests whose caller died", Format.count(totals.orphans)},
        {"Refused at once / waited in vain", of(totals.rejected, totals.expired)},
        {"Callbacks / failed", of(totals.callbacks, totals.callback_errors)},
        {"Casts that failed", Format.count(totals.cast_failures)},
        {"Contexts started / crashed", of(totals.contexts_started, totals.contexts_crashed)},
        {"Contexts stuck / threads abandoned",
         of(totals.contexts_stuck, totals.contexts_abandoned)}
      ]
    end

    defp of(first, second), do: "#{Format.count(first)} / #{Format.count(second)}"

    defp mode(:worker), do: "worker (main interpreter)"
    defp mode(:owngil), do: "own-GIL (sub-interpreters)"

    defp short_mode(:worker), do: "worker"
    defp short_mode(:owngil), do: "own-GIL"

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :socket, :any, required: true

    def contexts(assigns) do
      ~H"""
      <.details :if={@page.params["context"]} snapshot={@snapshot} page={@page} socket={@socket} />
      <.live_table
        id="py-contexts-table"
        dom_id="py-contexts-table"
        page={@page}
        title="Contexts"
        hint="Click a row for details. Latencies are of requests since the context was started, without their time in the queue."
        row_fetcher={fn params, _node -> Rows.contexts(@snapshot, params) end}
        row_attrs={&context_attrs/1}
        rows_name="contexts"
      >
        <:col field={:label} header="Context" sortable={:asc} />
        <:col :let={row} field={:mode} sortable={:asc}><%= short_mode(row.mode) %></:col>
        <:col :let={row} field={:state} sortable={:asc}><.state state={row.state} /></:col>
        <:col :let={row} field={:running_ms} header="Running" sortable={:desc} text_align="right">
          <%= Format.duration(row.running_ms) %>
        </:col>
        <:col :let={row} field={:load} header="Queued" sortable={:desc} text_align="right">
          <%= Format.count(row.load) %>
        </:col>
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
        <p :if={!@context} class="mb-0">It was stopped, or replaced by another one with a number of its own.</p>
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

    # Not of an idle context. What cannot be read is said in its place.
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
        {"Number", context.id},
        {"Mode", short_mode(context.mode)},
        {"Pool", place(context)},
        {"Interpreter", if(context.interpreter == 0, do: "main", else: context.interpreter)},
        {"Up for", Format.duration(context.uptime_ms)},
        {"Restarts of its place", Format.count(context.restarts)}
      ]
    end

    defp place(%{index: nil}), do: "none"
    defp place(%{pool: pool, index: index}), do: Format.text("#{pool}, place #{index}", 80)

    defp work(context) do
      [
        {"Calls", Format.count(context.calls)},
        {"Request running for", Format.duration(context.running_ms)},
        {"Waiting for the thread", Format.count(context.queue_length)},
        {"All on it / at most", of(context.load, context.max_queue)},
        {"Busy",
         "#{Format.percent(context.busy_share)}, #{Format.duration(context.busy_ms)} in all"},
        {"p50 / p99 / longest",
         Enum.map_join([:p50_us, :p99_us, :max_us], " / ", &Format.microseconds(context[&1]))}
      ]
    end

    defp trouble(context) do
      [
        {"Errors", Format.count(context.errors)},
        {"Timeouts", Format.count(context.timeouts)},
        {"Interrupts", Format.count(context.interrupts)},
        {"Callers that died", Format.count(context.orphans)},
        {"Refused, its queue was full", Format.count(context.rejected)},
        {"Callbacks / failed", of(context.callbacks, context.callback_errors)}
      ]
    end

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :history, :any, required: true

    def memory(assigns) do
      ~H"""
      <div class="row">
        <div class="col-md-4 mb-4">
          <.tile id="py-resident" title="Resident memory" color={:blue} history={@history} key={:memory}
            format={&Format.bytes/1} hint="Of the operating system process: the BEAM and Python together." />
        </div>
        <div class="col-md-4 mb-4">
          <.panel title="Alive" hint="Handles are Py.Object structs on this node that keep a Python object alive.">
            <.facts facts={alive(@snapshot)} />
          </.panel>
        </div>
        <div class="col-md-4 mb-4">
          <.panel title="Collector" hint="Of all interpreters together. While the collector runs, its interpreter does nothing else.">
            <.facts facts={collector(@snapshot.interpreters)} />
          </.panel>
        </div>
      </div>
      <.live_table
        id="py-interpreters-table"
        dom_id="py-interpreters-table"
        page={@page}
        title="Garbage collection of Python, by interpreter"
        hint="Runs, times and collected objects are up to date. The others were sampled by a thread of the interpreter when it was last idle. Blocks of objects are known while the main interpreter is the only one."
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
        <:col :let={row} field={:gc_time_us} header="Time in all" sortable={:desc} text_align="right">
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

    # Python counts the blocks of all interpreters together, and only the main one is asked.
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
        {"Time in all",
         interpreters |> Enum.map(& &1.gc_time_us) |> Enum.sum() |> Format.microseconds()},
        {"Longest run",
         interpreters
         |> Enum.map(& &1.gc_max_us)
         |> Enum.max(fn -> nil end)
         |> Format.microseconds()}
      ]
    end

    attr :snapshot, :map, required: true
    attr :page, :any, required: true
    attr :values?, :boolean, required: true

    def state_entries(assigns) do
      ~H"""
      <div class="row">
        <div class="col-md-6 mb-4">
          <.card inner_title="Entries" inner_hint="Of at most max_state_entries, where that is set.">
            <span id="py-entries"><%= Format.count(@snapshot.state.entries) %></span>
            <span class="py-note"><%= bound(@snapshot.state.max_entries) %></span>
          </.card>
        </div>
        <div class="col-md-6 mb-4">
          <.card inner_title="Size" inner_hint="Bytes of keys and values, about.">
            <%= Format.bytes(@snapshot.state.bytes) %>
          </.card>
        </div>
      </div>
      <.live_table
        id="py-state-table"
        dom_id="py-state-table"
        page={@page}
        title="Shared state"
        hint="What Py.State holds. Values are shown as Elixir writes them, shortened; large ones are not read."
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

    defp bound(nil), do: "no bound"
    defp bound(max), do: "of at most #{Format.count(max)}"

    defp state_rows(node, params, values?) do
      case Source.state(node, params, values?) do
        {:ok, {rows, total}} -> {rows, total}
        {:error, text} -> {[], "an unknown number. #{text}"}
      end
    end

    attr :snapshot, :map, required: true
    attr :page, :any, required: true

    def callbacks(assigns) do
      ~H"""
      <.live_table
        id="py-callbacks-table"
        dom_id="py-callbacks-table"
        page={@page}
        title="Functions that Python calls"
        hint="Counts since a function was registered. Times are of the function, in the process that runs it."
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
        <:col :let={row} field={:time_us} header="Time in all" sortable={:desc} text_align="right">
          <%= Format.microseconds(row.time_us) %>
        </:col>
      </.live_table>
      <.card_title title="Recent failures" hint="The latest 50, newest first: of calls, callbacks, casts and contexts." />
      <.failures id="py-failures" failures={Rows.failures(@snapshot)} />
      """
    end
  end
end
