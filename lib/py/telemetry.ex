defmodule Py.Telemetry do
  @moduledoc """
  The events that this library emits, for [`:telemetry`](https://hexdocs.pm/telemetry).

      iex> me = self()
      iex> handler = fn _event, measurements, metadata, _config -> send(me, {measurements, metadata}) end
      iex> :telemetry.attach("doc", [:erlang_python, :call, :stop], handler, nil)
      iex> Py.call(:math, :sqrt, [16])
      {:ok, 4.0}
      iex> receive do {measurements, metadata} -> {measurements.duration >= measurements.python_time, metadata.function} end
      {true, "sqrt"}
      iex> :telemetry.detach("doc")
      :ok

  Times are in native units (see `System.convert_time_unit/3`). All of them are durations, except `monotonic_time` and
  `system_time`. Metadata can be used for tags: it holds few different values, no arguments and no code. The exceptions are
  `:reason`, `:stacktrace`, `:file`, `:line` and `:telemetry_span_context`. Events are emitted by processes, never by a thread
  that runs Python. While no handler is attached to the events of calls or callbacks, a call costs one look-up for each event.
  `config :erlang_python, telemetry: false` saves the look-ups and switches these two families off.

  ## Calls

  Emitted for `Py.call/4`, `Py.eval/2`, `Py.exec/2`, each call of `Py.parallel/2`, and tasks, by the calling process. The end
  event of a task is emitted when the task has ended, awaited or not, by a process of this library. If the owner of the task
  cancels it, or times out waiting for it, the owner emits the end event. A process that is killed while it waits for a call
  emits no end event.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :call, :start]` | `monotonic_time`, `system_time` | `operation`, `module`, `function`, `telemetry_span_context` |
  | `[:erlang_python, :call, :stop]` | `monotonic_time`, `duration`, `queue_time`, `python_time` | the same and `context`, `context_name` |
  | `[:erlang_python, :call, :exception]` | as `stop` | as `stop` and `kind`, `reason`, `stacktrace`, `error`, `type`, `file`, `line` |

  * `duration` - the time until the caller had the result, or until the task had ended
  * `queue_time` - the time until the context began the request: waiting for a permit and in the queue of the context
  * `python_time` - the time on the context's thread, conversion of values included, without the time of callbacks
  * `operation` - `:call`, `:eval`, `:exec` or `:new_env`
  * `module`, `function` - strings, the names that were given; `nil` for code. For a handle, the class of its object
  * `context` - the id of the context, see `t:Py.Stats.context/0`; `nil` if no context of this node was reached
  * `context_name` - the name of the context, or its pool and its index: `"default 1"`; `nil` if it has neither
  * `file`, `line` - the innermost line of your Python code that the exception came through, or of a library if there is none.
    Code given to `Py.eval/2` and `Py.exec/2` has names such as `<exec 2>`. `nil` if no line is known, as in a timeout
  * `error` - `:python`, `:timeout`, `:interrupted`, `:overloaded`, `:context`, `:conversion`, `:cancelled` (a task
    that its owner cancelled, or whose owner died), `:raised` (the call raised, as a `Py.Router.Strategy` may)
  * `type` - Python's class, or the Elixir exception
  * `kind`, `reason`, `stacktrace` - `:error`, the error that the call returned, `[]`. For a call that raised, what it raised

  ## Casts

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :cast, :exception]` | `count`: 1 | `operation`, `module`, `function`, `context`, `context_name`, `kind`, `reason`, `stacktrace`, `error`, `type`, `file`, `line` |

  The metadata is that of calls.

  ## Callbacks

  A callback is a function that Python calls. The process that runs it emits the events.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :callback, :start]` | `monotonic_time`, `system_time` | `name`, `telemetry_span_context` |
  | `[:erlang_python, :callback, :stop]` | `monotonic_time`, `duration` | the same |
  | `[:erlang_python, :callback, :exception]` | `monotonic_time`, `duration` | the same and `kind`, `reason`, `stacktrace` |

  * `name` - the registered name; `nil` for a function that was passed as an argument

  ## Contexts

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :context, :start]` | `system_time`, `duration` of the start | `id`, `mode`, `pool`, `index`, `name` |
  | `[:erlang_python, :context, :stop]` | `system_time`, `duration` of its life | the same and `reason` |
  | `[:erlang_python, :context, :crash]` | `system_time`, `duration` of its life | the same and `reason` |
  | `[:erlang_python, :context, :stuck]` | `system_time` | as `start` and `stack`, see `Py.Context.stack/1` |
  | `[:erlang_python, :context, :recovered]` | `system_time`, `duration` of being stuck | as `start` |
  | `[:erlang_python, :context, :replaced]` | `system_time`, `duration` of being stuck | as `start` |

  * *stuck* - an interrupt (after a timeout, or the death of a caller) has had no effect for half a second: C code that does not
    return
  * *replaced* - the context was stuck for `:replace_stuck`. Its `stop` follows, and the `start` of the new context
  * *crash* - the context ended without being stopped: a bug in native code, or its owner was killed

  ## Overload

  Emitted by the process whose request was refused with `Py.OverloadedError`. See `Py.Semaphore`.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :overload, :rejected]` | `current`, `max` | `limit`, `context`, `context_name` |
  | `[:erlang_python, :overload, :expired]` | `current`, `max` | `limit`, `context`, `context_name` |

  * `rejected` - the request was refused at once: `limit` is `:permits` or `:context` (with `wait: 0`), or `:queue`
  * `expired` - the request timed out waiting for a permit: `limit` is `:permits` or `:context`
  * `current`, `max` - the fields of `Py.OverloadedError`: with the limit `:permits`, `in_use` and `max_concurrent`; with
    `:queue`, the `load` of the context and its `max_queue`; with `:context`, its `load` and 2

  ## Garbage collection

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :gc, :run]` | `duration`, `collected`, `uncollectable` | `generation`, `interpreter` |

  * `interpreter` - the id of the interpreter, see `t:Py.Stats.interpreter/0`; 0 is the main one

  Events arrive up to 100 ms late. Up to 1,024 are buffered; beyond that the oldest are dropped. The counts in `Py.Stats` are
  exact.

  ## Polled statistics

  Emitted by `measure/0`, for example from `:telemetry_poller` with `measurements/0`. The numbers are those of `Py.Stats`.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :stats, :node]` | see below | |
  | `[:erlang_python, :stats, :context]` | `running`, `queued`, `load`, `busy_share`, `running_time`, `calls`, `errors`, `timeouts` | `id`, `mode`, `pool`, `index`, `name`, `state` |
  | `[:erlang_python, :stats, :interpreter]` | `gc_runs`, `gc_collected`, `gc_time`, and `allocated_blocks` if known | `interpreter`, `mode` |

  Measurements of the node: `in_use`, `max_concurrent` and `waiting` of the permits; `contexts`, their number; `running`, `queued` and `stuck`, summed over all contexts; `state_entries`, `state_bytes`, `handles`, `memory` in bytes, `cpu_share`; and
  the counts of `t:Py.Stats.totals/0`.
  """

  @families [
    call: [:start, :stop, :exception],
    cast: [:exception],
    callback: [:start, :stop, :exception],
    context: [:start, :stop, :crash, :stuck, :recovered, :replaced],
    overload: [:rejected, :expired],
    gc: [:run],
    stats: [:node, :context, :interpreter]
  ]

  @events for {family, names} <- @families, name <- names, do: [:erlang_python, family, name]

  @doc """
  Returns the names of all events.

      iex> [:erlang_python, :call, :stop] in Py.Telemetry.events()
      true
  """
  @doc since: "0.1.0"
  @spec events() :: [:telemetry.event_name(), ...]
  def events, do: @events

  @doc """
  Returns the measurements for `:telemetry_poller`, which has `measure/0` called periodically:
  `{:telemetry_poller, measurements: Py.Telemetry.measurements(), period: 10_000}`. The period is in milliseconds.

      iex> Py.Telemetry.measurements()
      [{Py.Telemetry, :measure, []}]
  """
  @doc since: "0.1.0"
  @spec measurements() :: [{module(), atom(), []}]
  def measurements, do: [{__MODULE__, :measure, []}]

  @doc """
  Takes a snapshot and emits the polled statistics from it. Does nothing while the application is not running.

      iex> Py.Telemetry.measure()
      :ok
  """
  @doc since: "0.1.0"
  @spec measure() :: :ok
  def measure do
    measure(Py.Stats.snapshot())
  rescue
    # The application is not running, or stopping. A poller drops a measurement after its first error.
    error in [Py.ContextError, ArgumentError] ->
      if Py.Lifecycle.running?(), do: reraise(error, __STACKTRACE__), else: :ok
  end

  defp measure(snapshot) do
    :telemetry.execute([:erlang_python, :stats, :node], node_measurements(snapshot), %{})

    for context <- snapshot.contexts do
      measurements =
        context
        |> Map.take([:running, :queued, :load, :busy_share, :calls, :errors, :timeouts])
        |> Map.put(:running_time, native(context.running_ms || 0, :millisecond))

      metadata = Map.take(context, [:id, :mode, :pool, :index, :name, :state])
      :telemetry.execute([:erlang_python, :stats, :context], measurements, metadata)
    end

    for interpreter <- snapshot.interpreters do
      metadata = %{interpreter: interpreter.id, mode: interpreter.mode}
      measurements = interpreter_measurements(interpreter)
      :telemetry.execute([:erlang_python, :stats, :interpreter], measurements, metadata)
    end

    :ok
  end

  defp node_measurements(snapshot) do
    contexts = snapshot.contexts

    snapshot.totals
    |> Map.merge(snapshot.permits)
    |> Map.merge(%{
      contexts: length(contexts),
      running: sum(contexts, & &1.running),
      queued: sum(contexts, & &1.queued),
      stuck: Enum.count(contexts, &(&1.state == :stuck)),
      state_entries: snapshot.state.entries,
      state_bytes: snapshot.state.bytes,
      handles: snapshot.handles,
      memory: snapshot.os.memory_bytes,
      cpu_share: snapshot.os.cpu_share
    })
  end

  defp sum(items, number), do: items |> Enum.map(number) |> Enum.sum()

  defp interpreter_measurements(interpreter) do
    measurements = %{
      gc_runs: interpreter.gc_runs,
      gc_collected: interpreter.gc_collected,
      gc_time: native(round(interpreter.gc_time_us), :microsecond)
    }

    case interpreter.sample do
      %{allocated_blocks: blocks} when is_integer(blocks) ->
        Map.put(measurements, :allocated_blocks, blocks)

      _unknown ->
        measurements
    end
  end

  defp native(time, unit), do: System.convert_time_unit(time, unit, :native)

  if Code.ensure_loaded?(Telemetry.Metrics) do
    @doc """
    Returns metrics of these events, for reporters of `Telemetry.Metrics` and the metrics page of Phoenix LiveDashboard.

        def metrics, do: [...] ++ Py.Telemetry.metrics()

    The function exists if the library `telemetry_metrics` is among the dependencies. Metrics of polled statistics need
    `measurements/0` in a poller. Times are in milliseconds, sizes in megabytes.
    """
    @doc since: "0.1.0"
    @spec metrics() :: [Telemetry.Metrics.t()]
    def metrics do
      # A variable, not an import: that would be expanded, and fail, without the library too.
      metrics = Telemetry.Metrics
      milliseconds = {:native, :millisecond}

      [
        metrics.summary("erlang_python.call.stop.duration",
          unit: milliseconds,
          tags: [:operation]
        ),
        metrics.summary("erlang_python.call.stop.queue_time", unit: milliseconds),
        metrics.summary("erlang_python.call.stop.python_time",
          unit: milliseconds,
          tags: [:operation]
        ),
        metrics.counter("erlang_python.call.stop.count",
          measurement: :duration,
          tags: [:operation]
        ),
        metrics.counter("erlang_python.call.exception.duration", tags: [:error, :type]),
        metrics.counter("erlang_python.cast.exception.count", tags: [:error, :type]),
        metrics.summary("erlang_python.callback.stop.duration",
          unit: milliseconds,
          tags: [:name]
        ),
        metrics.counter("erlang_python.callback.exception.duration", tags: [:name]),
        metrics.counter("erlang_python.context.crash.system_time", tags: [:mode, :pool]),
        metrics.counter("erlang_python.context.stuck.system_time", tags: [:mode, :pool]),
        metrics.counter("erlang_python.overload.rejected.current", tags: [:limit]),
        metrics.counter("erlang_python.overload.expired.current", tags: [:limit]),
        metrics.summary("erlang_python.gc.run.duration", unit: milliseconds, tags: [:generation]),
        metrics.last_value("erlang_python.stats.node.in_use"),
        metrics.last_value("erlang_python.stats.node.max_concurrent"),
        metrics.last_value("erlang_python.stats.node.waiting"),
        metrics.last_value("erlang_python.stats.node.running"),
        metrics.last_value("erlang_python.stats.node.stuck"),
        metrics.last_value("erlang_python.stats.node.queued"),
        metrics.last_value("erlang_python.stats.node.memory", unit: {:byte, :megabyte}),
        metrics.last_value("erlang_python.stats.node.cpu_share"),
        metrics.last_value("erlang_python.stats.node.handles"),
        metrics.last_value("erlang_python.stats.node.state_bytes", unit: {:byte, :megabyte}),
        metrics.last_value("erlang_python.stats.context.busy_share", tags: [:pool, :index]),
        metrics.last_value("erlang_python.stats.interpreter.allocated_blocks",
          tags: [:interpreter]
        )
      ]
    end
  end

  @doc """
  Attaches a logger for what an operator should know: crashed and stuck contexts as errors, failed casts, failed callbacks and
  overload as warnings, starts and stops of contexts at `:level`. Overload is summed up once a second.

  Without it only problems of contexts and overload are logged (nothing with `config :erlang_python, log: false`). It takes the
  place of that.

    * `:level` - the level of events that are no failures. Default: `:info`
    * `:families` - the families whose events are logged. Default: `[:cast, :callback, :context, :overload]`. `:call` adds
      calls that failed, `:gc` adds runs of garbage collectors, at `:level`
    * `:slow` - in milliseconds: calls and runs of garbage collectors that took at least this long are logged as warnings,
      independent of `:families`. Default: `nil`, none

  Messages hold no arguments, code or texts of exceptions. The metadata of the event, without `:reason` and `:stacktrace`, is
  the log event's metadata `:erlang_python`.

      iex> Py.Telemetry.attach_default_logger(level: :debug)
      :ok
      iex> Py.Telemetry.attach_default_logger()
      {:error, :already_exists}
      iex> Py.Telemetry.detach_default_logger()
      :ok

  ## Errors

    * `{:error, :already_exists}` - the logger is attached already
    * raises `ArgumentError` for an unknown option or a wrong value
  """
  @doc since: "0.1.0"
  @spec attach_default_logger(
          level: :logger.level(),
          families: [atom()],
          slow: pos_integer() | nil
        ) :: :ok | {:error, :already_exists}
  def attach_default_logger(options \\ []), do: Py.Telemetry.Log.attach(options, @events)

  @doc """
  Detaches the logger of `attach_default_logger/1`. Problems of contexts and overload are logged again.

      iex> Py.Telemetry.detach_default_logger()
      {:error, :not_found}

  ## Errors

  `{:error, :not_found}` if the logger is not attached.
  """
  @doc since: "0.1.0"
  @spec detach_default_logger() :: :ok | {:error, :not_found}
  def detach_default_logger, do: Py.Telemetry.Log.detach()
end
