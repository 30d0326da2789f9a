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

  Times are in native units (`System.convert_time_unit/3`), but for `:system_time` they are durations or monotonic. Metadata holds
  few different values, apart from `:reason`, `:stacktrace`, `:file`, `:line` and `:telemetry_span_context`, and no arguments
  or code: it may be used for tags. Events are emitted by processes, never by a thread that runs Python. While no handler is attached to the events
  of calls or callbacks, a call pays a lookup each; `config :erlang_python, telemetry: false` saves that and switches these two
  families off.

  ## Calls

  Emitted for `Py.call/4`, `eval/2`, `exec/2`, each call of `parallel/2`, and tasks, by the process that calls. The end of a
  task is emitted when its work has ended, whether or not it is awaited, by a process of this library; by the owner of the task
  when it cancels the task, or times out waiting for it. A process that is killed while it waits for a call emits no end.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :call, :start]` | `monotonic_time`, `system_time` | `operation`, `module`, `function`, `telemetry_span_context` |
  | `[:erlang_python, :call, :stop]` | `monotonic_time`, `duration`, `queue_time`, `python_time` | the same and `context`, `context_name` |
  | `[:erlang_python, :call, :exception]` | as `stop` | as `stop` and `kind`, `reason`, `stacktrace`, `error`, `type`, `file`, `line` |

  * `duration` - until the caller had the result, or the work of the task had ended
  * `queue_time` - until Python took the call up: waiting for a permit and in the queue of its context
  * `python_time` - on the context's thread, conversion of values included, without the time of callbacks
  * `operation` - `:call`, `:eval`, `:exec` or `:new_env`
  * `module`, `function` - as strings, the names that were given; `nil` for code. For a handle, the class of its object
  * `context` - the id of the context, see `t:Py.Stats.context/0`; `nil` where none of this node was reached
  * `context_name` - the name of the context, or its pool and its number there: `"default 1"`; `nil` where it has neither
  * `file`, `line` - the innermost line of your Python code that the exception came through, or of a library where there is
    none. Code given to `eval` and `exec` has names such as `<exec 2>`. `nil` where no line is known, as in a timeout
  * `error` - `:python`, `:timeout`, `:interrupted`, `:overloaded`, `:context`, `:conversion`, `:cancelled` (a task
    that its owner cancelled, or whose owner died), `:raised` (the call raised, as a `Py.Router.Strategy` may)
  * `type` - Python's class, or the Elixir exception
  * `kind`, `reason`, `stacktrace` - `:error`, the error that the call returned, `[]`; of a call that raised, what it raised

  ## Casts

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :cast, :exception]` | `count` | `operation`, `module`, `function`, `context`, `context_name`, `kind`, `reason`, `stacktrace`, `error`, `type`, `file`, `line` |

  The metadata is that of calls.

  ## Callbacks

  Functions that Python calls, emitted by the process that runs them.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :callback, :start]` | `monotonic_time`, `system_time` | `name`, `telemetry_span_context` |
  | `[:erlang_python, :callback, :stop]` | `monotonic_time`, `duration` | the same |
  | `[:erlang_python, :callback, :exception]` | `monotonic_time`, `duration` | the same and `kind`, `reason`, `stacktrace` |

  * `name` - what the function is registered as; `nil` for one that was passed as an argument

  ## Contexts

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :context, :start]` | `system_time`, `duration` of the start | `id`, `mode`, `pool`, `index`, `name` |
  | `[:erlang_python, :context, :stop]` | `system_time`, `duration` of its life | the same and `reason` |
  | `[:erlang_python, :context, :crash]` | `system_time`, `duration` of its life | the same and `reason` |
  | `[:erlang_python, :context, :stuck]` | `system_time` | as `start` and `stack`, see `Py.Context.stack/1` |
  | `[:erlang_python, :context, :recovered]` | `system_time`, `duration` of being stuck | as `start` |
  | `[:erlang_python, :context, :replaced]` | `system_time`, `duration` of being stuck | as `start` |

  A context is *stuck* when an interrupt (of a timeout, of a caller that died) has had no effect for half a second: C code that
  does not return. It is *replaced* when that has lasted for `:replace_stuck`; its `stop` follows, and the `start` of the new one.
  A *crash* is an end that nobody asked for: a bug in native code, or an owner that was killed.

  ## Overload

  Emitted by the process whose work was refused; it gets `Py.OverloadedError`. See `Py.Semaphore`.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :overload, :rejected]` | `current`, `max` | `limit`, `context`, `context_name` |
  | `[:erlang_python, :overload, :expired]` | `current`, `max` | `limit`, `context`, `context_name` |

  * `rejected` - at once: `limit` is `:permits` or `:context` (with `wait: 0`), or `:queue`
  * `expired` - it has waited in vain: `limit` is `:permits` or `:context`

  See `Py.OverloadedError` for the limits.

  ## Garbage collection

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :gc, :run]` | `duration`, `collected`, `uncollectable` | `generation`, `interpreter` |

  * `interpreter` - see `t:Py.Stats.interpreter/0`; 0 is the main one

  They are told up to a tenth of a second later. At most 1,024 are kept until then, in place of older ones; the counts in
  `Py.Stats` miss none.

  ## Polled statistics

  Emitted by `measure/0`, for example from `:telemetry_poller` with `measurements/0`.

  | event | measurements | metadata |
  |---|---|---|
  | `[:erlang_python, :stats, :node]` | see below | |
  | `[:erlang_python, :stats, :context]` | `queue_length`, `load`, `busy_share`, `running_time`, `calls`, `errors`, `timeouts` | `id`, `mode`, `pool`, `index`, `name`, `state` |
  | `[:erlang_python, :stats, :interpreter]` | `gc_runs`, `gc_collected`, `gc_time`, `allocated_blocks` where known | `interpreter`, `mode` |

  Of the node: `permits_current`, `permits_max`, `permits_waiting`, `contexts`, `running` and `stuck` of them, `queue_length`, `state_entries`, `state_bytes`, `handles`, `memory` in bytes, `cpu_share`, and
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
  The names of all events.

      iex> [:erlang_python, :call, :stop] in Py.Telemetry.events()
      true
  """
  @spec events() :: [:telemetry.event_name(), ...]
  def events, do: @events

  @doc """
  For `:telemetry_poller`: `{:telemetry_poller, measurements: Py.Telemetry.measurements(), period: 10_000}`.

      iex> Py.Telemetry.measurements()
      [{Py.Telemetry, :measure, []}]
  """
  @spec measurements() :: [{module(), atom(), []}]
  def measurements, do: [{__MODULE__, :measure, []}]

  @doc "Emits the polled statistics, from a snapshot. Does nothing while the application is not running."
  @spec measure() :: :ok
  def measure do
    measure(Py.Stats.snapshot())
  rescue
    # The application is not running, or stopping. A poller drops a measurement that has failed once.
    error in [RuntimeError, ArgumentError] ->
      if Py.Lifecycle.running?(), do: reraise(error, __STACKTRACE__), else: :ok
  end

  defp measure(snapshot) do
    :telemetry.execute([:erlang_python, :stats, :node], node_measurements(snapshot), %{})

    for context <- snapshot.contexts do
      measurements =
        context
        |> Map.take([:queue_length, :load, :busy_share, :calls, :errors, :timeouts])
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
    states = Enum.frequencies_by(snapshot.contexts, & &1.state)

    Map.merge(snapshot.totals, %{
      permits_current: snapshot.permits.current,
      permits_max: snapshot.permits.max,
      permits_waiting: snapshot.permits.waiting,
      contexts: length(snapshot.contexts),
      running: sum([:running, :waiting, :stuck], &Map.get(states, &1, 0)),
      stuck: Map.get(states, :stuck, 0),
      queue_length: sum(snapshot.contexts, & &1.queue_length),
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
    Metrics of these events, for reporters of `Telemetry.Metrics` and the metrics page of Phoenix LiveDashboard.

    There when the library `telemetry_metrics` is. Those of polled statistics need `measurements/0` in a poller.

        def metrics, do: [...] ++ Py.Telemetry.metrics()
    """
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
        metrics.last_value("erlang_python.stats.node.permits_current"),
        metrics.last_value("erlang_python.stats.node.permits_waiting"),
        metrics.last_value("erlang_python.stats.node.running"),
        metrics.last_value("erlang_python.stats.node.stuck"),
        metrics.last_value("erlang_python.stats.node.queue_length"),
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
  Logs more than problems of contexts and overload, which are logged without it (unless `config :erlang_python, log: false`), and
  takes the place of that. What an operator should know: crashed and stuck contexts as errors; failed casts and callbacks, and overload, as
  warnings; starts and stops of contexts at `:level`. Overload is summed up once a second.

    * `:level` - of what is no failure. Default: `:info`
    * `:families` - whose events are logged. Default: `[:cast, :callback, :context, :overload]`; `:call` logs calls that failed, `:gc`
      runs of garbage collectors, at `:level`
    * `:slow` - milliseconds: calls and runs of garbage collectors that took longer are logged as warnings, whatever
      `:families` is. Default: none

  Messages have no arguments, code or texts of exceptions in them; the metadata of the event is the log event's metadata
  `:erlang_python`, without `:reason` and `:stacktrace`.

      iex> Py.Telemetry.attach_default_logger(level: :debug)
      :ok
      iex> Py.Telemetry.attach_default_logger()
      {:error, :already_exists}
      iex> Py.Telemetry.detach_default_logger()
      :ok
  """
  @spec attach_default_logger(
          level: :logger.level(),
          families: [atom()],
          slow: pos_integer() | nil
        ) :: :ok | {:error, :already_exists}
  def attach_default_logger(options \\ []), do: Py.Telemetry.Log.attach(options, @events)

  @doc "Undoes `attach_default_logger/1`."
  @spec detach_default_logger() :: :ok | {:error, :not_found}
  def detach_default_logger, do: Py.Telemetry.Log.detach()
end
