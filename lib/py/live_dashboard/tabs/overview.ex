if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Tabs.Overview do
    @moduledoc false
    # Permits, throughput, contexts and the process.

    use Phoenix.Component

    import Py.LiveDashboard.Components

    alias Py.LiveDashboard.{Format, History, Rows}

    attr :snapshot, :map, required: true
    attr :history, :any, required: true

    def render(assigns) do
      ~H"""
      <div class="row">
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-calls" title="Calls per second" color={:blue} history={@history} key={:calls}
            hint="Requests that Python ran, with or without success." />
        </div>
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-errors" title="Errors per second" color={:red} history={@history} key={:errors}
            hint="Requests that returned no value: exceptions, timeouts, interrupts." />
        </div>
        <div class="col-sm-6 col-lg-3 mb-4">
          <.tile id="py-refused" title="Refused per second" color={:orange} history={@history} key={:refused}
            hint="Requests refused because no permit became free in time, or because the queue of the context was full. Callers got Py.OverloadedError." />
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
      assigns = assign(assigns, :share, assigns.permits.in_use / assigns.permits.max_concurrent)

      ~H"""
      <.panel
        title="Permits"
        hint="Permits in use, out of max_concurrent. Each request that is next or running at a context has one. Further requests wait for a permit."
      >
        <div class="d-flex align-items-baseline justify-content-between mb-2">
          <div>
            <span class="banner-card-value" id="py-permits"><%= Format.count(@permits.in_use) %></span>
            of <%= Format.count(@permits.max_concurrent) %> in use
          </div>
          <div class="py-note"><span id="py-waiting"><%= Format.count(@permits.waiting) %></span> waiting</div>
        </div>
        <.bar parts={[{@share, load_color(@share)}]} label="permits in use" />
        <.spark values={History.values(@history, :in_use)} color={:green} />
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
        hint="Threads that run Python. Busy: the mean share of time with a request, over the last one to two seconds."
      >
        <div class="d-flex align-items-baseline justify-content-between mb-2">
          <div><span class="banner-card-value" id="py-contexts"><%= @number %></span> contexts</div>
          <div class="py-note"><%= Format.percent(Rows.busy_share(@snapshot)) %> busy</div>
        </div>
        <.bar parts={for {state, count} <- @states, do: {count / @number, state_color(state)}} label="states of contexts" />
        <div class="py-legend">
          <.legend :for={{state, count} <- @states} color={state_color(state)}><%= count %> <%= state_label(state) %></.legend>
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
        {"Calls / errors", Format.counts(totals.calls, totals.errors)},
        {"Timeouts", Format.count(totals.timeouts)},
        {"Interrupts", Format.count(totals.interrupts)},
        {"Requests whose caller died", Format.count(totals.orphans)},
        {"Refused at once / timed out waiting for a permit",
         Format.counts(totals.rejected, totals.expired)},
        {"Callbacks / failed", Format.counts(totals.callbacks, totals.callback_errors)},
        {"Casts that failed", Format.count(totals.cast_failures)},
        {"Contexts started / crashed",
         Format.counts(totals.contexts_started, totals.contexts_crashed)},
        {"Contexts stuck / threads abandoned",
         Format.counts(totals.contexts_stuck, totals.contexts_abandoned)}
      ]
    end

    defp mode(:worker), do: "worker (main interpreter)"
    defp mode(:owngil), do: "own-GIL (sub-interpreters)"
  end
end
