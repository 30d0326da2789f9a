defmodule Py.Stats do
  @moduledoc """
  One plain map of everything worth watching.

      iex> snapshot = Py.Stats.snapshot()
      iex> snapshot.permits.current <= snapshot.permits.max
      true
      iex> Enum.map(snapshot.contexts, & &1.state) |> Enum.all?(&is_atom/1)
      true

  Taking one never waits for Python: counters are native atomics, and what only Python knows (garbage collection, allocated
  blocks) was sampled by a context's own thread when it last became idle. So it is quick while Python is busy or stuck.

  A snapshot holds numbers, atoms, strings, pids, lists and maps without structs. It may be fetched from another node, which
  need not run Python itself:

      :erpc.call(node, Py.Stats, :snapshot, [])

  Units are in the names: `_ms` milliseconds, `_us` microseconds, `_bytes` bytes; shares are `0.0..1.0`. Counts grow from the
  start of the VM. Compare two snapshots for rates.
  """

  @typedoc """
  * `node` - where it was taken
  * `at` - when, in milliseconds since 1970 (UTC)
  * `uptime_ms` - since the application was started
  * `mode` - of the contexts in the default pool
  * `contexts` - ordered by pool, then index, then id; those that are no part of a pool last
  * `interpreters` - those of living contexts; number 0, the main one, serves all worker contexts
  * `callbacks` - one entry for each registered function, and one named `nil` for all functions that were passed as arguments
  * `failures` - the latest 50, newest first
  * `handles` - `Py.Object`s, on this node, that keep a Python object alive
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
  * `own_gil` - whether own-GIL contexts are possible (CPython 3.12)
  * `free_threaded` - whether this is a build without the GIL
  """
  @type python :: %{
          version: String.t(),
          executable: String.t(),
          library: String.t(),
          own_gil: boolean(),
          free_threaded: boolean()
        }

  @typedoc "The limit on concurrent Python work, see `Py.Semaphore`: permits in use, the limit, and who waits for one."
  @type permits :: %{
          current: non_neg_integer(),
          max: pos_integer(),
          waiting: non_neg_integer()
        }

  @typedoc """
  Counts over all contexts, ended ones included.

  * `calls` - requests that ran; `errors` of them gave no value
  * `timeouts` - requests ended because their time was over, waiting ones included
  * `interrupts` - interrupts of Python code, for whatever reason; `orphans` - requests whose caller died
  * `rejected` - work refused at once: no permit was free and it would not wait, or the queue of its context was full
  * `expired` - work that waited for a permit in vain
  * `callbacks` - calls from Python to functions of the BEAM; `callback_errors` of them failed
  * `cast_failures` - casts that failed
  * `contexts_started`, `contexts_crashed`, `contexts_stuck` - how often each happened
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
  * `id` - unique in this VM; a context that is restarted has a new one
  * `pool`, `index` - its place (from 1), `nil` for a context that is no part of a pool; `name` - what it was registered as
  * `state` - `:starting` (its thread prepares, or runs `:preload`), `:idle`, `:running`, `:waiting` (its Python code waits
    for a function of the BEAM), `:stuck` (an interrupt has had no effect for half a second: C code that does not return),
    `:dead` (ended, and not replaced yet)
  * `running_ms` - how long the running request has been running; `nil` when none is
  * `queue_length` - requests that wait for the thread: the next one, which has a permit, and the line behind it
  * `load` - all requests on it, those that wait for a permit and the running one included: what `max_queue` bounds
  * `calls` to `callback_errors` - as in `t:totals/0`, for this context since its start
  * `busy_ms` - time with a request, waiting for callbacks included
  * `busy_share` - the same as a share of about the last one to two seconds
  * `latency` - how long requests ran, conversion of values included, without the time in the queue
  * `restarts` - how often the place in its pool was filled anew
  * `interpreter` - the `id` of its `t:interpreter/0`
  """
  @type context :: %{
          id: pos_integer(),
          pid: pid(),
          pool: atom(),
          index: pos_integer() | nil,
          name: atom() | String.t() | nil,
          mode: :worker | :owngil,
          state: :starting | :idle | :running | :waiting | :stuck | :dead,
          uptime_ms: non_neg_integer(),
          running_ms: non_neg_integer() | nil,
          queue_length: non_neg_integer(),
          load: non_neg_integer(),
          max_queue: pos_integer(),
          calls: non_neg_integer(),
          errors: non_neg_integer(),
          timeouts: non_neg_integer(),
          interrupts: non_neg_integer(),
          orphans: non_neg_integer(),
          rejected: non_neg_integer(),
          callbacks: non_neg_integer(),
          callback_errors: non_neg_integer(),
          busy_ms: non_neg_integer(),
          busy_share: float(),
          latency: latency(),
          restarts: non_neg_integer(),
          interpreter: non_neg_integer()
        }

  @typedoc """
  Of all requests since the start. `p50_us` and `p99_us` are upper bounds of buckets, at most a quarter above the true value;
  `nil` before the first request.
  """
  @type latency :: %{
          count: non_neg_integer(),
          p50_us: float() | nil,
          p99_us: float() | nil,
          max_us: float() | nil
        }

  @typedoc """
  * `id` - 0 is the main interpreter; `contexts` - the ids of the contexts that run in it
  * `gc_runs` to `gc_max_us` - from Python's `gc.callbacks`, up to date
  * `sample` - what one of its threads last saw; `nil` before its first request
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
  * `age_ms` - how old it is; at most about a second older than the last request's end
  * `gc` - Python's `gc.get_stats()`: generations 0, 1 and 2
  * `gc_count` - Python's `gc.get_count()`, one number a generation
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

  @typedoc "A function that Python calls. Counts since it was registered; a name registered anew keeps them."
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
  * `context_name` - its name, or its pool and its number there: `"default 1"`; `nil` where it has neither
  * `message` - at most 500 characters. Text of the program: escape it where it is shown
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

  @typedoc "The state shared with Python, see `Py.State`; `bytes` of keys and values, about. `max_entries` is `nil` for no bound."
  @type state :: %{
          entries: non_neg_integer(),
          bytes: non_neg_integer(),
          max_entries: pos_integer() | nil
        }

  @typedoc """
  Of the operating system's process: the BEAM and Python together.

  * `memory_bytes` - resident
  * `cpu_time_ms` - processor time of all threads since the process was started
  * `cpu_share` - processors used, 1.0 for each, since the snapshot before this one, but over half a second at least
  * `cpus` - processors the VM may use
  """
  @type os :: %{
          memory_bytes: non_neg_integer(),
          cpu_time_ms: non_neg_integer(),
          cpu_share: float(),
          cpus: pos_integer()
        }

  alias Py.Stats.{Counters, Failures}

  @doc """
  Takes a snapshot, in well under a millisecond. Raises `RuntimeError` when the application is not running.
  """
  @spec snapshot() :: snapshot()
  def snapshot do
    contexts = contexts()
    native = Py.Native.stats_snapshot(for {_who, native} <- contexts, do: native)

    %{
      node: node(),
      at: System.system_time(:millisecond),
      uptime_ms: uptime!(),
      mode: Py.Config.get(:context_mode),
      python: python(),
      permits: native.permits,
      totals: totals(native.totals),
      contexts: contexts |> Enum.zip_with(native.contexts, &context/2) |> Enum.sort_by(&place/1),
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
    if :ets.whereis(Failures) == :undefined do
      raise "the application erlang_python is not running on #{node()}"
    end

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

  # Those of living owners, and those in places of pools that wait for a replacement.
  defp contexts do
    places = Py.Pool.Table.places()

    restarts =
      Map.new(places, fn {pool, index, _pid, _native, count} -> {{pool, index}, count} end)

    living =
      for {pid, native, info} <- Py.Context.Table.all() do
        {Map.merge(info, %{
           pid: pid,
           dead: false,
           restarts: restarts[{info.pool, info.index}] || 0
         }), native}
      end

    taken = MapSet.new(living, fn {who, _native} -> {who.pool, who.index} end)

    dead =
      for {pool, index, pid, native, count} <- places, {pool, index} not in taken do
        {%{pid: pid, pool: pool, index: index, name: nil, dead: true, restarts: count}, native}
      end

    living ++ dead
  end

  defp context({who, _reference}, native) do
    {counts, native} = Map.pop!(native, :counts)
    counts = Map.drop(counts, [:stuck_count, :expired])
    native = if who.dead, do: %{native | state: :dead, running_ms: nil}, else: native

    native
    |> Map.merge(counts)
    |> Map.merge(Map.take(who, [:pid, :pool, :index, :restarts]))
    |> Map.put(:name, name(who.name))
  end

  defp name(name) when is_atom(name), do: name
  defp name(name), do: inspect(name)

  defp place(%{pool: nil, id: id}), do: {1, nil, nil, id}
  defp place(%{pool: pool, index: index, id: id}), do: {0, pool, index, id}

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
