defmodule Py.Schema.Entries do
  @moduledoc false
  # The options of functions and the keys of the configuration, each once. The key of an option is its name here, or `:key`
  # where that has several meanings.

  # Each context is a thread.
  @max_contexts 10_000

  @modes {:one_of, [:worker, :owngil]}
  @positive {:integer, 1, :infinity, nil}

  ## Options of calls

  calls = [
    context: [
      type: :any,
      default: {:text, "chosen as `Py.Router` describes"},
      doc:
        "where to run: a context's pid (of this or a connected node), its registered name, its number in the default " <>
          "pool, or the name of a pool"
    ],
    namespace: [
      type: {:one_of, [:context, :process]},
      default: {:value, :context},
      doc:
        "the names that code sees on a context given by `:context`: those of the context, or those of the calling process"
    ],
    env: [
      type: {:struct, Py.Env},
      doc: "runs on the context of this `Py.Env`, in its namespace. Excludes `:context`"
    ],
    timeout: [
      type: {:timeout, 0},
      default: {:value, 30_000},
      doc:
        "limit for the whole request, time in the queue included. Python code that takes longer is interrupted, and the " <>
          "result is `{:error, %Py.TimeoutError{}}`"
    ],
    wait: [
      type: {:timeout, 0},
      default: {:text, "the timeout, or `config :erlang_python, wait: …`"},
      doc:
        "limit for the time until the request has a permit (`max_concurrent`) and its turn at a busy context. Past it the " <>
          "result is `{:error, %Py.OverloadedError{}}`; `0` sheds load at once"
    ],
    wait_of_async: [
      key: :wait,
      type: {:one_of, [0, :infinity]},
      default: {:text, "`:infinity`, or `0` if `config :erlang_python, wait: 0`"},
      doc:
        "`0` refuses the request if no permit is free (`max_concurrent`). Otherwise it waits up to its `:timeout`: no " <>
          "process waits for its turn, so there is nothing between"
    ],
    kwargs: [
      type: :names,
      default: {:text, "none"},
      doc: "the keyword arguments of the function"
    ],
    locals: [
      type: :names,
      default: {:text, "none"},
      doc: "names that the code sees, with their values"
    ],
    return: [
      type: {:one_of, [:term, :object]},
      default: {:value, :term},
      doc: "the form of the result: a term, or a handle (`Py.Object`)"
    ],
    return_of_exec: [
      key: :return,
      type: {:one_of, [:last, :object]},
      default: {:text, "none: the result is `:ok`"},
      doc:
        "`:last` returns the value of the last statement if that is an expression, else `nil`; `:object` returns it as a " <>
          "handle (`Py.Object`)"
    ],
    pool_of_calls: [
      key: :context,
      type: :pool_name,
      default: {:value, :default},
      doc: "the name of the pool whose contexts run the calls"
    ],
    timeout_of_all: [
      key: :timeout,
      type: {:timeout, 0},
      default: {:value, 30_000},
      doc:
        "limit for all calls together. Those that are not done by then are interrupted and give " <>
          "`{:error, %Py.TimeoutError{}}`"
    ],
    timeout_of_each: [
      key: :timeout,
      type: {:timeout, 0},
      default: {:value, 30_000},
      doc: "limit for each context"
    ],
    shared: [
      type: :boolean,
      default: {:value, false},
      doc:
        "all processes see it, and Python threads as well. Tests that share one cannot be `async: true`"
    ],
    level: [
      type: {:one_of, [:debug, :info, :warning, :error, :critical]},
      default: {:value, :debug},
      doc: "the level of Python's root logger"
    ],
    format: [
      type: {:or, nil, :text},
      default: {:text, "the message alone"},
      doc: "a format of Python's `logging.Formatter`, such as `\"%(threadName)s %(message)s\"`"
    ]
  ]

  ## Options of contexts and pools

  contexts = [
    mode: [type: @modes, default: {:value, :worker}, doc: "the mode: see `Py.Context`"],
    name: [
      type: :process_name,
      default: {:text, "none"},
      doc: "registers the process, as for `GenServer`; `:context` of calls takes it"
    ],
    paths_of_context: [
      key: :paths,
      type: :paths,
      default: {:value, []},
      doc:
        "directories put in front of `sys.path`, before the configured ones. Worker contexts share one `sys.path`"
    ],
    start_timeout_of_context: [
      key: :start_timeout,
      type: {:timeout, 0},
      default: {:value, 60_000},
      configured: true,
      doc: "limit for the start of the context, `:preload` included"
    ],
    pg: [
      type: :boolean,
      default: {:value, false},
      doc: "`true` lets connected nodes use the contexts of the pool"
    ],
    name_of_pool: [
      key: :name,
      type: :pool_name,
      default: :required,
      doc: "the name of the pool"
    ],
    size: [
      type: {:integer, 1, @max_contexts, "contexts"},
      default: :required,
      doc: "the number of contexts"
    ],
    contexts: [
      type: {:integer, 1, @max_contexts, "contexts"},
      default: {:text, "the configured `num_contexts`"},
      doc: "the number of contexts"
    ]
  ]

  ## Keys of the configuration, some of them options of contexts and pools, too

  settings = [
    python: [
      type: :text,
      default: {:text, "found, see `Py.Interpreter`"},
      doc:
        "the Python to embed: a path, a name (`\"python3.14\"`), a version (`\"3.14\"`), or the folder of a virtual " <>
          "environment"
    ],
    venv: [
      type: :text,
      default: {:text, "none"},
      doc: "alias of `python` for the folder of a virtual environment; goes before `python`"
    ],
    paths: [
      type: :paths,
      default: {:value, []},
      doc: "directories (or zip files) put in front of `sys.path`"
    ],
    preload: [
      type: :text,
      default: {:text, "none"},
      configured: true,
      doc: "Python code run when a context starts. All code sees what it defines"
    ],
    imports: [
      type: :imports,
      default: {:value, []},
      doc:
        "for compatibility: modules imported before `preload` runs; `{module, name}` imports the module. " <>
          "`preload: \"import …\"` does the same"
    ],
    start_timeout: [
      type: {:timeout, 1},
      default: {:value, 60_000},
      doc: "limit for the start of a context, `preload` included"
    ],
    num_contexts: [
      type: {:integer, 0, @max_contexts, "contexts"},
      default: {:text, "schedulers online"},
      doc: "the number of contexts in the default pool; `0` starts none"
    ],
    context_mode: [
      type: @modes,
      default: {:value, :worker},
      doc: "the mode of the contexts in the default pool: see `Py.Context`"
    ],
    strategy: [
      type: :strategy,
      default: {:value, :affinity},
      doc: "how a pool chooses a context; the configured one is that of the default pool"
    ],
    replace_stuck: [
      type: {:or, :never, {:integer, 1, :infinity, "milliseconds"}},
      default: {:value, 600_000},
      configured: true,
      doc: "time after which a stuck context of a pool is replaced and its thread abandoned"
    ],
    max_concurrent: [
      type: @positive,
      default: {:text, "2 × schedulers online + 1"},
      doc: "limit on Python requests queued or running at once; further ones wait for a permit"
    ],
    configured_wait: [
      key: :wait,
      type: {:timeout, 0},
      default: {:text, "the call's timeout"},
      doc:
        "the longest time that a call waits for a permit, or for its turn at a busy context. With `0`, a call that would " <>
          "have to wait fails at once"
    ],
    max_queue: [
      type: @positive,
      default: {:value, 10_000},
      configured: true,
      doc: "limit on the requests of one context; the next one is refused (`Py.OverloadedError`)"
    ],
    max_value_size: [
      type: {:or, :infinity, {:integer, 1, 2 ** 64 - 1, "bytes"}},
      default: {:text, "a quarter of the memory, at most 4 GiB"},
      doc:
        "limit on the approximate size of one value from Python as a term; a larger one is a `Py.ConversionError`"
    ],
    max_state_entries: [
      type: {:or, :infinity, @positive},
      default: {:text, "none"},
      doc: "limit on the entries of the state that Elixir and Python share (`Py.State`)"
    ],
    log: [
      type: :boolean,
      default: {:value, true},
      doc: "`false` logs neither the start, nor stuck and crashed contexts, nor overload"
    ],
    telemetry: [
      type: :boolean,
      default: {:value, true},
      doc: "`false` switches the events of calls and callbacks off: see `Py.Telemetry`"
    ],
    spin_us: [
      type: {:integer, 0, :infinity, "microseconds"},
      default: {:value, 50},
      doc:
        "how long an idle context thread spins before it parks; `0` disables spinning: see " <>
          "[What spinning costs](../operating/performance.md#what-spinning-costs)"
    ],
    memory_tuning: [
      type: :boolean,
      default: {:value, true},
      doc:
        "`false` leaves the C library's heap settings alone: see " <>
          "[Memory that is kept](../operating/performance.md#memory-that-is-kept)"
    ]
  ]

  @entries Map.new(calls ++ contexts ++ settings, fn {name, fields} ->
             base = %{key: name, default: nil, configured: false, since: "0.1.0"}
             {name, Map.merge(base, Map.new(fields))}
           end)

  @doc "Entries by their names."
  @spec fetch!([atom()]) :: [Py.Schema.entry()]
  def fetch!(names), do: Enum.map(names, &Map.fetch!(@entries, &1))
end
