defmodule Py.Stats do
  @moduledoc """
  The statistics of a node, as one plain map: permits, contexts, interpreters, callbacks, failures, the shared state, and the
  operating system's process.

      iex> snapshot = Py.Stats.snapshot()
      iex> snapshot.permits.in_use <= snapshot.permits.max_concurrent
      true
      iex> Enum.map(snapshot.contexts, & &1.state) |> Enum.all?(&is_atom/1)
      true

  Taking a snapshot never waits for Python. Counters are native atomics. What only Python knows (garbage collection, allocated
  blocks) was sampled by a thread of each interpreter when it was last idle. So a snapshot is as quick while Python is busy or
  stuck.

  A snapshot holds numbers, atoms, strings, pids, lists and maps, and no structs. It can be fetched from another node by one
  that runs no Python:

      :erpc.call(node, Py.Stats, :snapshot, [])

  Units are in the names: `_ms` milliseconds, `_us` microseconds, `_bytes` bytes. Shares are `0.0..1.0`. Counts grow from the
  start of the VM; two snapshots give a rate.

  The numbers of permits and requests have the same names in `Py.info/0`, `Py.Semaphore.info/0`, `Py.Context.info/1` and
  telemetry: see [The numbers and where to find them](telemetry.md#the-numbers-and-where-to-find-them).
  """

  @typedoc """
  * `node` - the node of the snapshot
  * `at` - the time of the snapshot, in milliseconds since 1970 (UTC)
  * `uptime_ms` - the time since the application was started
  * `mode` - the mode of the contexts in the default pool
  * `contexts` - ordered by pool, then index, then id; those of no pool last
  * `interpreters` - the interpreters of living contexts; number 0, the main one, serves all worker contexts
  * `callbacks` - one entry for each registered function, and one named `nil` for all functions that were passed as arguments
  * `failures` - the latest 50, newest first
  * `handles` - the number of Python objects that `Py.Object`s of this node keep alive
  """
  @type snapshot :: %{
          node: node(),
          at: integer(),
          uptime_ms: non_neg_integer(),
          mode: :worker | :owngil,
          python: python(),
          permits: permits(),
          totals: totals(),
          contexts: [context()],
          interpreters: [interpreter()],
          callbacks: [callback()],
          failures: [failure()],
          state: state(),
          handles: non_neg_integer(),
          os: os()
        }

  @typedoc """
  * `version` - such as `"3.14.3"`
  * `executable`, `library` - the paths of the interpreter's program and of libpython
  * `own_gil` - `true` if own-GIL contexts are possible (CPython 3.12+)
  * `free_threaded` - `true` for a build without the GIL
  """
  @type python :: %{
          version: String.t(),
          executable: String.t(),
          library: String.t(),
          own_gil: boolean(),
          free_threaded: boolean()
        }

  @typedoc """
  The limit on concurrent requests, see `Py.Semaphore`.

  * `in_use` - the number of permits in use; above `max_concurrent` for a while after the limit was lowered
  * `max_concurrent` - the limit
  * `waiting` - the number of requests and processes that wait for a permit
  """
  @type permits :: %{
          in_use: non_neg_integer(),
          max_concurrent: pos_integer(),
          waiting: non_neg_integer()
        }

  @typedoc """
  Counts over all contexts, ended ones included.

  * `calls` - requests that ran
  * `errors` - requests of `calls` that returned no value
  * `timeouts` - requests that timed out in the queue of a context or while they ran
  * `interrupts` - interrupts of Python code, for any reason
  * `orphans` - requests whose caller died
  * `rejected` - requests refused at once: no permit was free and `:wait` was 0, or the queue of the context was full
  * `expired` - requests that timed out waiting for a permit
  * `callbacks` - calls from Python to functions of the BEAM
  * `callback_errors` - calls of `callbacks` that failed
  * `cast_failures` - casts that failed
  * `contexts_started`, `contexts_crashed`, `contexts_stuck` - the number of times that each happened
  * `contexts_abandoned` - threads and interpreters that did not end with their context
  """
  @type totals :: %{
          calls: non_neg_integer(),
          errors: non_neg_integer(),
          timeouts: non_neg_integer(),
          interrupts: non_neg_integer(),
          orphans: non_neg_integer(),
          rejected: non_neg_integer(),
          expired: non_neg_integer(),
          callbacks: non_neg_integer(),
          callback_errors: non_neg_integer(),
          cast_failures: non_neg_integer(),
          contexts_started: non_neg_integer(),
          contexts_crashed: non_neg_integer(),
          contexts_stuck: non_neg_integer(),
          contexts_abandoned: non_neg_integer()
        }

  @typedoc """
  One context. `Py.Context.info/1` returns the same map.

  * `id` - unique in this VM; a context that is restarted has a new one
  * `pool`, `index` - its pool and its slot there (from 1); `nil` for a context of no pool
  * `name` - the name it was registered as, or `nil`
  * `state` - `:starting` (it runs `:preload`), `:idle`, `:running`, `:in_callback` (its Python code waits for a function of
    the BEAM), `:stuck` (an interrupt has had no effect for half a second: C code that does not return), `:dead` (ended, and
    not replaced yet)
  * `running` - the number of requests that its thread runs: 1 while its state is `:running`, `:in_callback` or `:stuck`,
    else 0. Python code of no request counts too, such as a destructor
  * `running_ms` - the time since the running request began; `nil` while none runs
  * `queued` - the number of requests that wait for the thread: the next one, which has a permit, and the line behind it
  * `load` - the number of all requests on it: running, queued, and next but still waiting for a permit. `max_queue` bounds it
  * `calls` to `callback_errors` - as in `t:totals/0`, for this context since its start
  * `stuck_count` - the number of times that it was stuck
  * `busy_ms` - the time with a request, waiting for callbacks included
  * `busy_share` - the same as a share of about the last one to two seconds
  * `latency` - the time that requests ran, conversion of values included, without the time in the queue
  * `restarts` - the number of times that this slot of the pool was restarted
  * `interpreter` - the `id` of its `t:interpreter/0`
  * `thread_ident` - the result of `threading.get_ident()` there; 0 before its thread has started
  """
  @type context :: %{
          id: pos_integer(),
          pid: pid(),
          pool: atom(),
          index: pos_integer() | nil,
          name: atom() | String.t() | nil,
          mode: :worker | :owngil,
          state: :starting | :idle | :running | :in_callback | :stuck | :dead,
          uptime_ms: non_neg_integer(),
          running: 0 | 1,
          running_ms: non_neg_integer() | nil,
          queued: non_neg_integer(),
          load: non_neg_integer(),
          max_queue: pos_integer(),
          calls: non_neg_integer(),
          errors: non_neg_integer(),
          timeouts: non_neg_integer(),
          interrupts: non_neg_integer(),
          orphans: non_neg_integer(),
          rejected: non_neg_integer(),
          expired: non_neg_integer(),
          callbacks: non_neg_integer(),
          callback_errors: non_neg_integer(),
          stuck_count: non_neg_integer(),
          busy_ms: non_neg_integer(),
          busy_share: float(),
          latency: latency(),
          restarts: non_neg_integer(),
          interpreter: non_neg_integer(),
          thread_ident: integer()
        }

  @typedoc """
  The latencies of all requests since the start of the context. `p50_us` and `p99_us` are upper bounds of buckets, at most 25 %
  above the true value. Half of the requests took at most `p50_us`, 99 of 100 at most `p99_us`. `nil` before the first request.
  """
  @type latency :: %{
          count: non_neg_integer(),
          p50_us: float() | nil,
          p99_us: float() | nil,
          max_us: float() | nil
        }

  @typedoc """
  * `id` - 0 is the main interpreter
  * `contexts` - the ids of the contexts that run in it
  * `gc_runs`, `gc_collected` - the number of collections and of the objects they freed, from Python's `gc.callbacks`
  * `gc_time_us`, `gc_max_us` - the time of all collections and of the longest
  * `sample` - the values that one of its threads read last; `nil` before its first request
  """
  @type interpreter :: %{
          id: non_neg_integer(),
          mode: :worker | :owngil,
          contexts: [pos_integer()],
          gc_runs: non_neg_integer(),
          gc_collected: non_neg_integer(),
          gc_time_us: float(),
          gc_max_us: float(),
          sample: sample() | nil
        }

  @typedoc """
  * `age_ms` - the age of the sample; at most about a second older than the end of the last request
  * `gc` - Python's `gc.get_stats()`: generations 0, 1 and 2
  * `gc_count` - Python's `gc.get_count()`, one number for each generation
  * `allocated_blocks` - Python's `sys.getallocatedblocks()`, while the main interpreter is the only one; else `nil`. Do not
    call that function while there are own-GIL contexts: CPython counts the blocks of all interpreters, and crashes when one
    of them gives memory back meanwhile (seen on 3.14)
  """
  @type sample :: %{
          age_ms: non_neg_integer(),
          gc: [
            %{
              collections: non_neg_integer(),
              collected: non_neg_integer(),
              uncollectable: non_neg_integer()
            }
          ],
          gc_count: [non_neg_integer()],
          allocated_blocks: non_neg_integer() | nil
        }

  @typedoc """
  A function that Python calls. Counts are since it was registered. A name that is registered again keeps them.

  * `name` - the registered name; `nil` for all functions that were passed as arguments
  * `calls`, `errors` - the number of calls, and of those that failed
  * `time_us` - the time of all calls together
  """
  @type callback :: %{
          name: String.t() | nil,
          calls: non_neg_integer(),
          errors: non_neg_integer(),
          time_us: non_neg_integer()
        }

  @typedoc """
  * `at` - milliseconds since 1970 (UTC)
  * `kind` - what failed: the Python code (`:python`), its time (`:timeout`), an interrupt (`:interrupted`), the limit or a
    queue (`:overloaded`), the context (`:context`), a value (`:conversion`), a function of the BEAM (`:callback`)
  * `type` - Python's class, or the Elixir exception's module
  * `operation` - `:call`, `:eval`, `:exec` or `:new_env`; `:callback` for a function that Python called; `nil` for the end of
    a context
  * `function` - the function, with its module: `"math.sqrt"`. The registered name of a callback. `nil` for code, and for a
    function that was passed as an argument
  * `file`, `line` - the innermost line of your code that the exception came through, Python's or that of a callback; of a
    library where there is none. Code given to `Py.exec/2` has names such as `"<exec 2>"`. `nil` where no line is known, as
    in a timeout
  * `context` - the id of the context; `nil` where no context was reached
  * `context_name` - its name, or its pool and its index: `"default 1"`; `nil` where it has neither
  * `message` - at most 500 characters. It may quote values of your program: escape it where it is shown
  """
  @type failure :: %{
          at: integer(),
          kind:
            :python | :timeout | :interrupted | :overloaded | :context | :conversion | :callback,
          type: String.t(),
          operation: :call | :eval | :exec | :new_env | :callback | nil,
          function: String.t() | nil,
          file: String.t() | nil,
          line: pos_integer() | nil,
          context: pos_integer() | nil,
          context_name: String.t() | nil,
          message: String.t()
        }

  @typedoc """
  The state shared with Python, see `Py.State`.

  * `entries` - the number of keys
  * `bytes` - the approximate size of keys and values
  * `max_entries` - the bound on `entries`; `nil` for none
  """
  @type state :: %{
          entries: non_neg_integer(),
          bytes: non_neg_integer(),
          max_entries: pos_integer() | nil
        }

  @typedoc """
  The operating system's process: the BEAM and Python together.

  * `memory_bytes` - resident memory
  * `cpu_time_ms` - processor time of all threads since the process was started
  * `cpu_share` - processors in use, 1.0 for each, since the snapshot before this one, measured over at least half a second
  * `cpus` - processors that the VM may use
  """
  @type os :: %{
          memory_bytes: non_neg_integer(),
          cpu_time_ms: non_neg_integer(),
          cpu_share: float(),
          cpus: pos_integer()
        }

  alias Py.Stats.{Contexts, Counters, Failures}

  @doc """
  Takes a snapshot of this node. It takes well under a millisecond.

      iex> Py.Stats.snapshot().node == node()
      true

  ## Errors

  Raises `Py.ContextError` with the reason `:not_running` while the application is not running.
  """
  @doc since: "0.1.0"
  @spec snapshot() :: snapshot()
  def snapshot do
    contexts = Contexts.all()
    native = Py.Native.stats_snapshot(for {_who, native} <- contexts, do: native)

    %{
      node: node(),
      at: System.system_time(:millisecond),
      uptime_ms: uptime!(),
      mode: Py.Config.get(:context_mode),
      python: python(),
      permits: native.permits,
      totals: totals(native.totals),
      contexts: contexts |> Enum.zip_with(native.contexts, &entry/2) |> Enum.sort_by(&order/1),
      interpreters: native.interpreters,
      callbacks: callbacks(),
      failures: Failures.list(),
      state: native.state,
      handles: native.handles,
      os: native.os
    }
  end

  @doc false
  # When the application starts; tables end with the calling process.
  def init do
    Counters.init()
    Failures.init()
    :persistent_term.put(__MODULE__, System.monotonic_time(:millisecond))
  end

  defp uptime! do
    Py.Lifecycle.running!()
    System.monotonic_time(:millisecond) - :persistent_term.get(__MODULE__)
  end

  defp python do
    %{interpreter: python, version: version, own_gil: own_gil} =
      :persistent_term.get(Py.Interpreter)

    %{
      version: version,
      executable: python.executable,
      library: python.library,
      own_gil: own_gil,
      free_threaded: Map.get(python, :free_threaded, false)
    }
  end

  defp totals(native) do
    {stuck, native} = Map.pop!(native, :stuck_count)

    Map.merge(native, %{
      contexts_stuck: stuck,
      contexts_started: Counters.get(:contexts_started),
      contexts_crashed: Counters.get(:contexts_crashed),
      contexts_abandoned: Counters.get(:contexts_abandoned),
      cast_failures: Counters.get(:cast_failures)
    })
  end

  defp entry({who, _native}, native), do: Contexts.entry(who, native)

  defp order(%{pool: nil, id: id}), do: {1, nil, nil, id}
  defp order(%{pool: pool, index: index, id: id}), do: {0, pool, index, id}

  defp callbacks do
    passed =
      {nil, Counters.get(:callback_calls), Counters.get(:callback_errors),
       Counters.get(:callback_time)}

    for {name, calls, errors, time} <- Enum.sort(Py.Callback.counts()) ++ [passed] do
      time = System.convert_time_unit(time, :native, :microsecond)
      %{name: name, calls: calls, errors: errors, time_us: time}
    end
  end
end
