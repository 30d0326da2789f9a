defmodule Py do
  @moduledoc """
  Python inside the BEAM.

      iex> Py.call!(:math, :sqrt, [16])
      4.0
      iex> Py.eval!("[n * n for n in range(limit)]", locals: %{limit: 4})
      [0, 1, 4, 9]

  CPython runs in this operating-system process, on threads of its own: a call costs microseconds and never holds a BEAM
  scheduler. See `Py.Context` for the two kinds of threads.

  ## Options of calls

  `call/4`, `eval/2`, `exec/2`, `async/4` and `cast/4` take

    * `:context` - where to run: a context's pid (of this or a connected node) or name, its number in the default pool, or
      the name of a pool. Default: see `Py.Router`
    * `:namespace` - the names that code sees on a context given by `:context`: `:context` (default), those of the context, or
      `:process`, those of the calling process
    * `:env` - a `Py.Env`: run on its context, in its namespace
    * `:timeout` - milliseconds (default 30_000) or `:infinity`. Time in the queue counts. Python code that takes longer is
      interrupted, and the result is `{:error, %Py.TimeoutError{}}`
    * `:wait` - how long to wait for a turn when the limit on concurrent work (`max_concurrent`) is reached, in milliseconds.
      Default: the timeout, or `config :erlang_python, wait: …`. `0` sheds load at once: `{:error, %Py.OverloadedError{}}`.
      Tasks, casts and parallel calls know only `0` and their timeout: nobody waits for their turn
    * `:return` - `:term` (default), or `:object` for a `Py.Object` handle of the result
    * `:dialect` - `:elixir` (default) or `:erlang`: values and errors as the Erlang API has them

  and further ones named at each function. Wrong options raise `ArgumentError`.

  ## Names that code sees

  Code run on an explicit context shares the namespace of that context. Code routed by the pool runs in a namespace of the
  calling process, so that the requests of a web server never see each other's variables; it is made on first need and
  dropped after the process has ended. With `:env` it is that of the `Py.Env`. The module name `"__main__"` in `call/4`
  stands for the namespace.

  ## Values

  | Elixir | Python | back |
  |---|---|---|
  | `nil`, `true`, `false` | `None`, `True`, `False` | same |
  | integer of any size, float | `int`, `float` | same; `nan` and infinities are `:nan`, `:infinity`, `:neg_infinity` |
  | `:nan`, `:infinity`, `:neg_infinity` (as keys of a map: `str`) | `float` | same |
  | UTF-8 binary | `str` | binary |
  | other binary, `bytes/1` | `bytes` | binary (so are `bytearray`, `memoryview`, `array.array`) |
  | other atom | `str` | binary; `atom/1` makes an `erlang.Atom`, which comes back as an atom |
  | list, tuple | `list`, `tuple` | same (namedtuple: tuple) |
  | map | `dict` | map |
  | `MapSet` | `set` | `MapSet` (frozenset too) |
  | `Date`, `Time`, `NaiveDateTime`, `DateTime`, `Duration` | the types of `datetime` | same |
  | `Decimal`, where that library is loaded | `decimal.Decimal` | same, or text |
  | `Range` | `range` | same |
  | other struct | by `Py.Encoder` | |
  | pid, reference, port, function | `erlang.Pid`, `Ref`, `Port`, `Function` | the same term |
  | `Py.Object` | the very object | |
  | | numpy scalar, array | number, nested lists |
  | | complex, Enum, dataclass, UUID, Path | `{re, im}`, its value, map, text, text |
  | | anything else | `Py.Object` |

  What has no counterpart is a `Py.ConversionError`, never another value: bitstrings, improper lists, data nested deeper than
  512 levels or cyclic, text with lone surrogates, keys that collide.

  Python's times count microseconds and do not say how many digits are significant: a fraction comes back with six. A
  `timedelta` has days, seconds and microseconds only: the hour of a `Duration` comes back as 3600 seconds.
  """

  alias Py.{Options, Request}

  @typedoc ~S(A module, function or class: `:math`, `"os.path"`, `"Path.cwd"`.)
  @type name :: atom() | String.t()

  @typedoc "The error is an exception struct; with `dialect: :erlang`, what the Erlang API has in its place."
  @type result :: {:ok, term()} | {:error, Exception.t() | term()}

  @common [:context, :env, :namespace, :timeout, :wait, :dialect]
  @call_options @common ++ [:kwargs, :return]
  @memory_options [:context, :timeout, :wait, :dialect]
  @code_options @common ++ [:locals, :return]

  ## Calls

  @doc """
  Calls a Python function.

  `module` and `function` are atoms or strings, both may be dotted. A `Py.Object` in place of the module calls its method,
  and in place of both calls the object itself: `Py.call(object, args)`. With a context's pid first the call runs there:
  `Py.call(context, module, function, args)`.

  Options: those of all calls (see the module's documentation) and `:kwargs`, a map or keyword list.

      iex> Py.call(:math, :gcd, [12, 18])
      {:ok, 6}
      iex> Py.call("os.path", :join, ["a", "b"])
      {:ok, "a/b"}
      iex> Py.call(:datetime, "date.fromisoformat", ["2026-01-31"])
      {:ok, ~D[2026-01-31]}
      iex> Py.call(:builtins, :sorted, [[3, 1, 2]], kwargs: [reverse: true])
      {:ok, [3, 2, 1]}

  A Python exception is an error, with its traceback:

      iex> {:error, %Py.Error{type: "ZeroDivisionError"} = error} = Py.call(:operator, :floordiv, [1, 0])
      iex> error.message =~ "zero"
      true

  Handles:

      iex> word = Py.call!(:builtins, :str, ["word"], return: :object)
      iex> Py.call(word, :upper)
      {:ok, "WORD"}
      iex> double = Py.eval!("lambda n: 2 * n")
      iex> Py.call(double, [21])
      {:ok, 42}

  Errors: `Py.Error`, `Py.TimeoutError`, `Py.InterruptedError`, `Py.OverloadedError`, `Py.ContextError`,
  `Py.ConversionError`.
  """
  @spec call(
          name() | Py.Object.t() | pid(),
          name() | [term()],
          [term()] | keyword() | name(),
          keyword() | [term()]
        ) ::
          result()
  def call(target, function, args \\ [], options \\ [])

  def call(%Py.Object{} = callable, args, options, []) when is_list(args) do
    run_call(callable, nil, args, options)
  end

  def call(context, module, function, args) when is_pid(context) do
    {function, args} = context_call(function, args)
    run_call(module, function, args, context: context)
  end

  def call(target, function, args, options), do: run_call(target, function, args, options)

  @doc "Calls a Python function on a context, with options. See `call/4`."
  @spec call(pid(), name() | Py.Object.t(), name(), [term()], keyword()) :: result()
  def call(context, module, function, args, options) when is_pid(context) do
    run_call(module, function, args, [{:context, context} | options])
  end

  @doc """
  Like `call/4`, but returns the value or raises.

      iex> Py.call!(:builtins, :len, ["four"])
      4
      iex> Py.call!(:builtins, :int, ["four"])
      ** (Py.Error) ValueError: invalid literal for int() with base 10: 'four'
  """
  @spec call!(
          name() | Py.Object.t() | pid(),
          name() | [term()],
          [term()] | keyword() | name(),
          keyword() | [term()]
        ) ::
          term()
  def call!(target, function, args \\ [], options \\ []),
    do: target |> call(function, args, options) |> unwrap!()

  @doc "Like `call/5`, but returns the value or raises."
  @spec call!(pid(), name() | Py.Object.t(), name(), [term()], keyword()) :: term()
  def call!(context, module, function, args, options),
    do: context |> call(module, function, args, options) |> unwrap!()

  # `call(context, module, function)`: the default of `args` is its empty list.
  defp context_call(function, args) when is_list(args), do: {function, args}

  defp run_call(target, function, args, options) do
    options = Options.new(options, @call_options)
    Request.run(operation(target, function, args, options.kwargs), options)
  end

  defp operation(target, function, args, kwargs) do
    if not is_list(args) or List.improper?(args),
      do: raise(ArgumentError, "expected a list of arguments, got: #{inspect(args)}")

    {:call, target!(target), function!(target, function), args, kwargs}
  end

  defp target!(%Py.Object{} = object), do: object
  defp target!(name), do: name!("a module", name)

  defp function!(%Py.Object{}, nil), do: nil
  defp function!(_target, name), do: name!("a function", name)

  defp name!(_what, name) when is_atom(name) and name not in [nil, true, false], do: name
  defp name!(_what, name) when is_binary(name) and name != "", do: name

  defp name!(what, other) do
    raise ArgumentError, "expected #{what} as an atom or a string, got: #{inspect(other)}"
  end

  ## Code

  @doc """
  Evaluates a Python expression.

  Options: those of all calls and `:locals`, a map or keyword list of names the expression sees. Assignments (`:=`) of an
  expression with `:locals` are not kept.

      iex> Py.eval("x * 2", locals: %{x: 21})
      {:ok, 42}
      iex> {:error, error} = Py.eval("1 +")
      iex> {error.type, error.message =~ "line 1"}
      {"SyntaxError", true}

  With a context's pid first the expression is evaluated there: `Py.eval(context, code, options)`.
  """
  @spec eval(String.t() | pid(), keyword() | String.t()) :: result()
  def eval(code, options \\ [])
  def eval(context, code) when is_pid(context), do: eval(code, context: context)

  def eval(code, options) do
    with {:error, %Py.Error{type: "SyntaxError"} = error} <- run_code(:eval, code, options),
         do: {:error, Py.Error.advise_statements(error, code)}
  end

  @doc "Evaluates an expression on a context. See `eval/2`."
  @spec eval(pid(), String.t(), keyword()) :: result()
  def eval(context, code, options) when is_pid(context),
    do: eval(code, [{:context, context} | options])

  @doc """
  Like `eval/2`, but returns the value or raises.

      iex> Py.eval!("{'a': 1, 'b': None}")
      %{"a" => 1, "b" => nil}
  """
  @spec eval!(String.t() | pid(), keyword() | String.t()) :: term()
  def eval!(code, options \\ []), do: code |> eval(options) |> unwrap!()

  @doc "Like `eval/3`, but returns the value or raises."
  @spec eval!(pid(), String.t(), keyword()) :: term()
  def eval!(context, code, options), do: context |> eval(code, options) |> unwrap!()

  @doc """
  Runs Python statements.

  Returns `:ok`, or with `return: :last` the value of the last statement if that is an expression, else `nil`. Options: those of
  all calls and `:locals`, names that are visible while the code runs and restored afterwards; what the code defines stays.

      iex> Py.exec("import statistics\\ndef middle(values): return statistics.median(values)")
      :ok
      iex> Py.call("__main__", :middle, [[1, 5, 3]])
      {:ok, 3}
      iex> Py.exec("total = sum(numbers)\\ntotal * 2", locals: %{numbers: [1, 2, 3]}, return: :last)
      {:ok, 12}

  With a context's pid first the code runs there: `Py.exec(context, code, options)`.
  """
  @spec exec(String.t() | pid(), keyword() | String.t()) :: :ok | result()
  def exec(code, options \\ [])
  def exec(context, code) when is_pid(context), do: exec(code, context: context)

  def exec(code, options) do
    case is_list(options) && options[:return] do
      none when none in [nil, false] ->
        with({:ok, _none} <- run_code(:exec, code, options), do: :ok)

      :last ->
        run_code(:exec_last, code, Keyword.put(options, :return, :term))

      :object ->
        run_code(:exec_last, code, options)

      other ->
        raise ArgumentError, "invalid :return #{inspect(other)}, expected :last or :object"
    end
  end

  @doc "Runs statements on a context. See `exec/2`."
  @spec exec(pid(), String.t(), keyword()) :: :ok | result()
  def exec(context, code, options) when is_pid(context),
    do: exec(code, [{:context, context} | options])

  @doc """
  Like `exec/2`, but returns `:ok` (or the value) or raises.

      iex> Py.exec!("import json")
      :ok
  """
  @spec exec!(String.t() | pid(), keyword() | String.t()) :: :ok | term()
  def exec!(code, options \\ []), do: code |> exec(options) |> unwrap!()

  @doc "Like `exec/3`, but returns `:ok` (or the value) or raises."
  @spec exec!(pid(), String.t(), keyword()) :: :ok | term()
  def exec!(context, code, options), do: context |> exec(code, options) |> unwrap!()

  ## Async

  @doc """
  Starts a call and returns a `Py.Task` at once; collect the result with `await/2`, `yield/2` or `await_many/2`, or receive
  it, see `Py.Task`.

  The task belongs to the calling process; when that dies, the work is interrupted. `:timeout` bounds the work itself.

      iex> task = Py.async(:builtins, :sum, [[1, 2, 3]])
      iex> Py.await(task)
      {:ok, 6}
  """
  @spec async(name() | Py.Object.t(), name() | nil, [term()], keyword()) :: Py.Task.t()
  def async(target, function, args \\ [], options \\ []) do
    options = Options.new(options, @call_options)
    Py.Task.start(operation(target, function, args, options.kwargs), options)
  end

  @doc """
  Waits for a task, up to `timeout` milliseconds but no longer than the task's own `:timeout`. A task that is not done then
  is cancelled, and the result is `{:error, %Py.TimeoutError{}}`.

      iex> task = Py.async(:time, :sleep, [0.1], timeout: 10)
      iex> {:error, %Py.TimeoutError{}} = Py.await(task)
      iex> Py.cancel(task)
      :ok
  """
  @spec await(Py.Task.t(), timeout()) :: result()
  def await(%Py.Task{} = task, timeout \\ :infinity),
    do: Py.Task.await(task, Options.timeout!(:timeout, timeout))

  @doc """
  Waits for several tasks, up to `timeout` milliseconds in all. One result each, in their order.

      iex> tasks = for n <- 1..3, do: Py.async(:operator, :mul, [n, n])
      iex> Py.await_many(tasks)
      [{:ok, 1}, {:ok, 4}, {:ok, 9}]
  """
  @spec await_many([Py.Task.t()], timeout()) :: [result()]
  def await_many(tasks, timeout \\ :infinity) when is_list(tasks) do
    deadline = Py.Deadline.new(Options.timeout!(:timeout, timeout))
    for task <- tasks, do: Py.Task.await(task, Py.Deadline.remaining(deadline))
  end

  @doc """
  The result of a task if it comes within `timeout` milliseconds, else `nil`; the task goes on.

      iex> task = Py.async(:builtins, :abs, [-1])
      iex> Py.yield(task, 1_000)
      {:ok, 1}
  """
  @spec yield(Py.Task.t(), timeout()) :: result() | nil
  def yield(%Py.Task{} = task, timeout \\ 5_000),
    do: Py.Task.yield(task, Options.timeout!(:timeout, timeout))

  @doc """
  Cancels a task: its Python code is interrupted and no message of it stays behind.

      iex> Py.cancel(Py.async(:time, :sleep, [0.01]))
      :ok
  """
  @spec cancel(Py.Task.t()) :: :ok
  def cancel(%Py.Task{} = task), do: Py.Task.cancel(task)

  @doc """
  Runs many calls at once, spread over the contexts of a pool, and waits for all of them.

  `calls` are `{module, function, args}`. Returns `{:ok, results}`: one result each, in their order; a call that fails does not
  stop the others. Options: those of all calls, where `:context` is the name of a pool (default: the default pool) and `:timeout`
  bounds the whole: calls that are not done by then are interrupted and give `{:error, %Py.TimeoutError{}}`.

      iex> Py.parallel([{:math, :sqrt, [16]}, {:math, :sqrt, [-1]}, {:math, :sqrt, [36]}])
      ...> |> then(fn {:ok, [a, {:error, error}, c]} -> {a, error.type, c} end)
      {{:ok, 4.0}, "ValueError", {:ok, 6.0}}

  Python code runs at the same time only on own-GIL contexts; on worker contexts, C code and I/O do.
  """
  @spec parallel([{name(), name(), [term()]}], keyword()) ::
          {:ok, [result()]} | {:error, Exception.t()}
  def parallel(calls, options \\ []) do
    options = Options.new(options, (@common -- [:env, :namespace]) ++ [:return])

    if not is_list(calls) or List.improper?(calls),
      do: raise(ArgumentError, "expected a list of calls, got: #{inspect(calls)}")

    operations = Enum.map(calls, &parallel_operation/1)

    case Py.Pool.Table.native_contexts(options.context || :default) do
      [] -> {:error, %Py.ContextError{reason: :not_found, context: options.context || :default}}
      contexts -> {:ok, Py.Parallel.run(operations, contexts, options)}
    end
  end

  defp parallel_operation({module, function, args}), do: operation(module, function, args, nil)

  defp parallel_operation(other),
    do:
      raise(ArgumentError, "expected a call as {module, function, args}, got: #{inspect(other)}")

  @doc """
  The pid of context number `index`, from 1, of the default pool. Raises `Py.ContextError` when there is none.

      iex> Py.eval(Py.context(1), "6 * 7")
      {:ok, 42}
  """
  @spec context(pos_integer()) :: pid()
  def context(index), do: index |> Py.Router.get_context() |> unwrap!()

  @doc """
  Starts a call whose result nobody wants. A failure is logged and counted.

      iex> Py.cast(:builtins, :print, [], kwargs: [end: ""])
      :ok
  """
  @spec cast(name() | Py.Object.t(), name() | nil, [term()], keyword()) :: :ok
  def cast(target, function, args \\ [], options \\ []) do
    options = Options.new(options, @call_options -- [:return])
    Py.Cast.run(operation(target, function, args, options.kwargs), options)
  end

  @doc "Lets Python call a function by name. See `Py.Callback`."
  @spec register_function(name(), fun() | {module(), atom()}) :: :ok
  def register_function(name, fun), do: Py.Callback.register(name, fun)

  @doc "Forgets a function that `register_function/2` made known."
  @spec unregister_function(name()) :: :ok
  def unregister_function(name), do: Py.Callback.unregister(name)

  @doc "Interrupts what runs on a context. See `Py.Context.interrupt/1`."
  @spec interrupt(Py.Context.t()) :: :ok | {:error, :not_running | Py.ContextError.t()}
  def interrupt(context), do: Py.Context.interrupt(context)

  @doc """
  What Python's garbage collector knows of the interpreter that serves the calling process, or of that of `:context`.

      iex> {:ok, stats} = Py.memory_stats()
      iex> for(%{"collections" => n} <- stats.gc_stats, do: is_integer(n))
      [true, true, true]

  Keys: `:gc_stats` (`gc.get_stats()`, one map for each generation; CPython 3.15 tells more than those before), `:gc_count` and `:gc_threshold` (tuples of three), and
  while `tracemalloc` is tracing `:traced_memory_current` and `:traced_memory_peak` in bytes. All worker contexts share one
  interpreter. Options: `:context`, `:timeout`, `:wait` and `:dialect` of calls.
  """
  @spec memory_stats(keyword()) :: {:ok, map()} | {:error, Exception.t() | term()}
  def memory_stats(options \\ []) do
    options = Options.new(options, @memory_options)

    with {:ok, {stats, count, threshold, traced}} <-
           Request.run({:call, "erlang._setup", :memory_stats, [], nil}, options) do
      stats = %{gc_stats: stats, gc_count: count, gc_threshold: threshold}
      {:ok, Map.merge(stats, traced_memory(traced))}
    end
  end

  defp traced_memory({}), do: %{}

  defp traced_memory({current, peak}),
    do: %{traced_memory_current: current, traced_memory_peak: peak}

  @doc """
  Runs Python's garbage collector, on the interpreter that serves the calling process or on that of `:context`; the number of
  unreachable objects found. Generations are 0 to 2, the last collects all.

      iex> Py.exec!("import weakref; node = type('Node', (), {})()")
      iex> Py.exec!("node.itself = node; alive = weakref.ref(node); del node")
      iex> {:ok, _found} = Py.gc()
      iex> Py.eval!("alive() is None")
      true

  Options: those of `memory_stats/1`.
  """
  @spec gc(0..2, keyword()) :: {:ok, non_neg_integer()} | {:error, Exception.t() | term()}
  def gc(generation \\ 2, options \\ [])

  def gc(generation, options) when generation in 0..2 do
    options = Options.new(options, @memory_options)
    Request.run({:call, :gc, :collect, [generation], nil}, options)
  end

  def gc(generation, _options),
    do: raise(ArgumentError, "expected a generation from 0 to 2, got: #{inspect(generation)}")

  @doc """
  Returns what this Python is, and the numbers of the limit on concurrent requests.

      iex> info = Py.info()
      iex> info.contexts == Py.Router.num_contexts()
      true
      iex> info.max_concurrent == Py.Semaphore.max_concurrent()
      true

  Keys:

    * `:version`, `:executable`, `:library`, `:prefix`, `:base_prefix` - strings
    * `:own_gil` - `true` if own-GIL contexts are possible
    * `:free_threaded` - `true` if this Python was built without a GIL. Such builds are refused today: always `false`
    * `:contexts`, `:context_mode` - the number and the mode of the contexts in the default pool
    * `:in_use`, `:max_concurrent`, `:waiting` - as in `Py.Semaphore.info/0`

  ## Errors

  Raises `Py.ContextError` with the reason `:not_running` while the application is not running.
  """
  @doc since: "0.1.0"
  @spec info() :: map()
  def info do
    %{interpreter: python, version: version, own_gil: own_gil} =
      :persistent_term.get(Py.Interpreter, nil) || raise %Py.ContextError{reason: :not_running}

    python
    |> Map.take([:executable, :library, :prefix, :base_prefix, :free_threaded])
    |> Map.merge(Py.Semaphore.info())
    |> Map.merge(%{
      version: version,
      own_gil: own_gil,
      contexts: Py.Router.num_contexts(),
      context_mode: Py.Router.mode() || Py.Config.get(:context_mode)
    })
  end

  @doc """
  Returns the statistics of this node as one map. See `Py.Stats.snapshot/0`.

      iex> Py.stats().permits.max_concurrent == Py.Semaphore.max_concurrent()
      true
  """
  @doc since: "0.1.0"
  @spec stats() :: Py.Stats.snapshot()
  defdelegate stats, to: Py.Stats, as: :snapshot

  ## Values

  @doc """
  Wraps a binary that shall be `bytes` in Python even if it is UTF-8 text.

      iex> Py.call!(:builtins, :repr, [Py.bytes("abc")])
      "b'abc'"
  """
  @spec bytes(binary()) :: Py.Bytes.t()
  def bytes(data) when is_binary(data), do: %Py.Bytes{data: data}

  @doc """
  Wraps an atom that shall come back as an atom.

      iex> Py.call!(:copy, :copy, [[Py.atom(:ok), :ok]])
      [:ok, "ok"]
  """
  @spec atom(atom()) :: Py.Atom.t()
  def atom(name) when is_atom(name), do: %Py.Atom{name: name}

  @doc """
  Wraps a number that shall be a `float`, an integer most of all. `:nan`, `:infinity` and `:neg_infinity`, which Elixir's
  floats lack, are floats by themselves, but for keys of maps.

      iex> Py.call!(:builtins, :repr, [[2, Py.float(2), :infinity]])
      "[2, 2.0, inf]"
      iex> Py.call!(:builtins, :repr, [%{Py.float(:infinity) => :infinity}])
      "{inf: inf}"
  """
  @spec float(number() | :nan | :infinity | :neg_infinity) :: Py.Float.t()
  def float(value) when is_number(value) or value in [:nan, :infinity, :neg_infinity],
    do: %Py.Float{value: value}

  @doc false
  def unwrap!({:ok, value}), do: value
  def unwrap!(:ok), do: :ok
  def unwrap!({:error, error}) when is_exception(error), do: raise(error)
  def unwrap!({:error, reason}), do: :erlang.error(reason)

  defp run_code(kind, code, options) do
    options = Options.new(options, @code_options)

    if not is_binary(code),
      do: raise(ArgumentError, "expected Python code as a string, got: #{inspect(code)}")

    Request.run({kind, code, options.locals}, options)
  end
end
