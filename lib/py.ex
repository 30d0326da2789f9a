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

  `call/4` and `async/4` take these options. `eval/2`, `exec/2`, `cast/4` and `parallel/2` take most of
  them; each function lists its own.

  #{Py.Schema.Docs.options(:call)}

  A wrong option raises `ArgumentError`, which names the allowed ones, before anything is sent to
  Python. The first three options decide where code runs and which names it sees:

  | options | runs on | names that code sees |
  |---|---|---|
  | none | the context that `Py.Router` chooses | those of the calling process, on that context |
  | none, and a handle is called or an argument | the context of the handle | those of the calling process, on that context |
  | `context:` a pid, a name or a number | that context | those of the context, shared by all who use it |
  | the same, and `namespace: :process` | that context | those of the calling process, on that context |
  | `context:` a pool | a context of the pool, by its strategy | those of the calling process, on that context |
  | `env:` | the context of the `Py.Env` | those of the `Py.Env` |

  Names of a process are made on first need and dropped after the process has ended, so requests of a
  web server never see each other's variables. The module name `"__main__"` in `call/4` stands for the
  names that the code sees.

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

  alias Py.{Options, Request, Schema}

  @typedoc ~S(A module, function or class: `:math`, `"os.path"`, `"Path.cwd"`.)
  @type name :: atom() | String.t()

  @typedoc "A value, or an exception struct."
  @type result :: {:ok, term()} | {:error, Exception.t()}

  @call_options Schema.keys(:call)
  @cast_options Schema.keys(:cast)
  @code_options Schema.keys(:eval)
  @parallel_options Schema.keys(:parallel)
  @memory_options Schema.keys(:memory)

  ## Calls

  @doc """
  Calls a Python function.

  `module` and `function` are atoms or strings, both may be dotted. A `Py.Object` in place of the module calls its method,
  and in place of both calls the object itself: `Py.call(object, args)`. With a context's pid first the call runs there:
  `Py.call(context, module, function, args)`.

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

  ## Options

  #{Py.Schema.Docs.options(:call)}

  ## Errors

  The result is `{:error, exception}` with one of

  #{Py.Schema.Docs.errors()}

  Raises `ArgumentError` for a wrong option, for a module or function that is neither an atom nor a
  string, and for arguments that are no list.
  """
  @doc since: "0.1.0"
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

  @doc """
  Calls a Python function on a context, with options.

      iex> Py.call(Py.context(1), :builtins, :sorted, [[2, 1]], kwargs: [reverse: true])
      {:ok, [2, 1]}

  Options and errors are those of `call/4`; the context goes before `:context`.
  """
  @doc since: "0.1.0"
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

  Options are those of `call/4`. Raises the exceptions that `call/4` returns.
  """
  @doc since: "0.1.0"
  @spec call!(
          name() | Py.Object.t() | pid(),
          name() | [term()],
          [term()] | keyword() | name(),
          keyword() | [term()]
        ) ::
          term()
  def call!(target, function, args \\ [], options \\ []),
    do: target |> call(function, args, options) |> unwrap!()

  @doc """
  Like `call/5`, but returns the value or raises.

      iex> Py.call!(Py.context(1), :builtins, :max, [[1, 2]], kwargs: [default: 0])
      2

  Options are those of `call/4`. Raises the exceptions that `call/4` returns.
  """
  @doc since: "0.1.0"
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

      iex> Py.eval("x * 2", locals: %{x: 21})
      {:ok, 42}
      iex> {:error, error} = Py.eval("1 +")
      iex> {error.type, error.message =~ "line 1"}
      {"SyntaxError", true}

  With a context's pid first the expression is evaluated there: `Py.eval(context, code, options)`.
  Assignments (`:=`) of an expression with `:locals` are not kept.

  ## Options

  #{Py.Schema.Docs.options(:eval)}

  ## Errors

  The result is `{:error, exception}` with one of

  #{Py.Schema.Docs.errors()}

  The `Py.Error` of code that is no expression has the type `SyntaxError`, and advises `exec/2` for
  statements. Raises `ArgumentError` for a wrong option and for code that is no string.
  """
  @doc since: "0.1.0"
  @spec eval(String.t() | pid(), keyword() | String.t()) :: result()
  def eval(code, options \\ [])
  def eval(context, code) when is_pid(context), do: eval(code, context: context)

  def eval(code, options) do
    with {:error, %Py.Error{type: "SyntaxError"} = error} <- run_code(:eval, code, options),
         do: {:error, Py.Error.advise_statements(error, code)}
  end

  @doc """
  Evaluates a Python expression on a context.

      iex> Py.eval(Py.context(1), "x + 1", locals: [x: 1])
      {:ok, 2}

  Options and errors are those of `eval/2`; the context goes before `:context`.
  """
  @doc since: "0.1.0"
  @spec eval(pid(), String.t(), keyword()) :: result()
  def eval(context, code, options) when is_pid(context),
    do: eval(code, [{:context, context} | options])

  @doc """
  Like `eval/2`, but returns the value or raises.

      iex> Py.eval!("{'a': 1, 'b': None}")
      %{"a" => 1, "b" => nil}

  Options are those of `eval/2`. Raises the exceptions that `eval/2` returns.
  """
  @doc since: "0.1.0"
  @spec eval!(String.t() | pid(), keyword() | String.t()) :: term()
  def eval!(code, options \\ []), do: code |> eval(options) |> unwrap!()

  @doc """
  Like `eval/3`, but returns the value or raises.

      iex> Py.eval!(Py.context(1), "x + 1", locals: [x: 1])
      2

  Options are those of `eval/2`. Raises the exceptions that `eval/2` returns.
  """
  @doc since: "0.1.0"
  @spec eval!(pid(), String.t(), keyword()) :: term()
  def eval!(context, code, options), do: context |> eval(code, options) |> unwrap!()

  @doc """
  Runs Python statements.

  Returns `:ok`, or with `return: :last` the value of the last statement. What the code defines
  stays. Names of `:locals` are visible while the code runs, and are as before afterwards.

      iex> Py.exec("import statistics\\ndef middle(values): return statistics.median(values)")
      :ok
      iex> Py.call("__main__", :middle, [[1, 5, 3]])
      {:ok, 3}
      iex> Py.exec("total = sum(numbers)\\ntotal * 2", locals: %{numbers: [1, 2, 3]}, return: :last)
      {:ok, 12}

  With a context's pid first the code runs there: `Py.exec(context, code, options)`.

  ## Options

  #{Py.Schema.Docs.options(:exec)}

  ## Errors

  The result is `{:error, exception}` with one of

  #{Py.Schema.Docs.errors()}

  What the code has done before it fails stays. Raises `ArgumentError` for a wrong option and for code
  that is no string.
  """
  @doc since: "0.1.0"
  @spec exec(String.t() | pid(), keyword() | String.t()) :: :ok | result()
  def exec(code, options \\ [])
  def exec(context, code) when is_pid(context), do: exec(code, context: context)

  def exec(code, options) do
    case is_list(options) && List.keyfind(options, :return, 0) do
      {:return, return} -> exec_last(code, Keyword.delete(options, :return), return)
      _none -> with({:ok, _none} <- run_code(:exec, code, options), do: :ok)
    end
  end

  defp exec_last(code, options, :last), do: run_code(:exec_last, code, options)

  defp exec_last(code, options, return) do
    Schema.check!(:exec, :return, return)
    run_code(:exec_last, code, [{:return, return} | options])
  end

  @doc """
  Runs Python statements on a context.

      iex> Py.exec(Py.context(1), "x * 2", locals: [x: 4], return: :last)
      {:ok, 8}

  Options and errors are those of `exec/2`; the context goes before `:context`.
  """
  @doc since: "0.1.0"
  @spec exec(pid(), String.t(), keyword()) :: :ok | result()
  def exec(context, code, options) when is_pid(context),
    do: exec(code, [{:context, context} | options])

  @doc """
  Like `exec/2`, but returns `:ok` (or the value) or raises.

      iex> Py.exec!("import json")
      :ok

  Options are those of `exec/2`. Raises the exceptions that `exec/2` returns.
  """
  @doc since: "0.1.0"
  @spec exec!(String.t() | pid(), keyword() | String.t()) :: :ok | term()
  def exec!(code, options \\ []), do: code |> exec(options) |> unwrap!()

  @doc """
  Like `exec/3`, but returns `:ok` (or the value) or raises.

      iex> Py.exec!(Py.context(1), "2 ** 10", return: :last)
      1024

  Options are those of `exec/2`. Raises the exceptions that `exec/2` returns.
  """
  @doc since: "0.1.0"
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

  ## Options

  #{Py.Schema.Docs.options(:async)}

  ## Errors

  A request that is refused is a task, too: its error is the result of `await/2`. Raises
  `ArgumentError` where `call/4` does.
  """
  @doc since: "0.1.0"
  @spec async(name() | Py.Object.t(), name() | nil, [term()], keyword()) :: Py.Task.t()
  def async(target, function, args \\ [], options \\ []) do
    options = async_options(:async, options, @call_options)
    Py.Task.start(operation(target, function, args, options.kwargs), options)
  end

  # No process waits for the turn of such a request, so its `:wait` is all or nothing.
  defp async_options(function, options, allowed) do
    taken = Options.new(options, allowed)
    if List.keymember?(options, :wait, 0), do: Schema.check!(function, :wait, taken.wait)
    taken
  end

  @doc """
  Waits for a task, up to `timeout` milliseconds but no longer than the task's own `:timeout`. A task that is not done then
  is cancelled, and the result is `{:error, %Py.TimeoutError{}}`, or `{:error, %Py.OverloadedError{}}` if it had no permit
  yet.

      iex> task = Py.async(:time, :sleep, [0.1], timeout: 10)
      iex> {:error, %Py.TimeoutError{}} = Py.await(task)
      iex> Py.cancel(task)
      :ok

  ## Errors

  The result is `{:error, exception}` as for `call/4`. Raises `ArgumentError` for a wrong timeout, and in
  a process that is not the one that called `async/4`.
  """
  @doc since: "0.1.0"
  @spec await(Py.Task.t(), timeout()) :: result()
  def await(task, timeout \\ :infinity),
    do: Py.Task.await(task, Options.timeout!(:timeout, timeout))

  @doc """
  Waits for several tasks, up to `timeout` milliseconds in all. One result each, in their order.

      iex> tasks = for n <- 1..3, do: Py.async(:operator, :mul, [n, n])
      iex> Py.await_many(tasks)
      [{:ok, 1}, {:ok, 4}, {:ok, 9}]

  ## Errors

  Each result may be `{:error, exception}` as for `call/4`; a task that is not done in time is cancelled,
  and its result is a `Py.TimeoutError` or a `Py.OverloadedError`, as that of `await/2`. Raises `ArgumentError` where `await/2` does.
  """
  @doc since: "0.1.0"
  @spec await_many([Py.Task.t()], timeout()) :: [result()]
  def await_many(tasks, timeout \\ :infinity) do
    tasks = Py.Task.list!(tasks)
    deadline = Py.Deadline.new(Options.timeout!(:timeout, timeout))
    for task <- tasks, do: Py.Task.await(task, Py.Deadline.remaining(deadline))
  end

  @doc """
  The result of a task if it comes within `timeout` milliseconds, else `nil`; the task goes on.

      iex> task = Py.async(:builtins, :abs, [-1])
      iex> Py.yield(task, 1_000)
      {:ok, 1}

  `timeout` is milliseconds (5,000 by default) or `:infinity`.

  ## Errors

  The result may be `{:error, exception}` as for `call/4`. Raises `ArgumentError` where `await/2` does.
  """
  @doc since: "0.1.0"
  @spec yield(Py.Task.t(), timeout()) :: result() | nil
  def yield(task, timeout \\ 5_000),
    do: Py.Task.yield(task, Options.timeout!(:timeout, timeout))

  @doc """
  Cancels a task: its Python code is interrupted and no message of it stays behind.

      iex> Py.cancel(Py.async(:time, :sleep, [0.01]))
      :ok

  A task that has ended, or was cancelled before, is `:ok`, too. Raises `ArgumentError` in a process that
  is not the one that called `async/4`.
  """
  @doc since: "0.1.0"
  @spec cancel(Py.Task.t()) :: :ok
  def cancel(task), do: Py.Task.cancel(task)

  @doc """
  Runs many calls at once, spread over the contexts of a pool, and waits for all of them.

  `calls` are `{module, function, args}`. Returns `{:ok, results}`: one result each, in their order. A call
  that fails does not stop the others.

      iex> Py.parallel([{:math, :sqrt, [16]}, {:math, :sqrt, [-1]}, {:math, :sqrt, [36]}])
      ...> |> then(fn {:ok, [a, {:error, error}, c]} -> {a, error.type, c} end)
      {{:ok, 4.0}, "ValueError", {:ok, 6.0}}

  Python code runs at the same time only on own-GIL contexts; on worker contexts, C code and I/O do.

  ## Options

  #{Py.Schema.Docs.options(:parallel)}

  ## Errors

  `{:error, %Py.ContextError{}}` when there is no such pool, or when it has no contexts; nothing has run
  then. Each result may be `{:error, exception}` as for `call/4`. Raises `ArgumentError` for a wrong option
  and for a call that is not `{module, function, args}`.
  """
  @doc since: "0.1.0"
  @spec parallel([{name(), name(), [term()]}], keyword()) ::
          {:ok, [result()]} | {:error, Exception.t()}
  def parallel(calls, options \\ []) do
    options = async_options(:parallel, options, @parallel_options)
    if options.context, do: Schema.check!(:parallel, :context, options.context)

    if not is_list(calls) or List.improper?(calls),
      do: raise(ArgumentError, "expected a list of calls, got: #{inspect(calls)}")

    operations = Enum.map(calls, &parallel_operation/1)
    Py.Parallel.run(operations, options)
  end

  defp parallel_operation({module, function, args}), do: operation(module, function, args, nil)

  defp parallel_operation(other),
    do:
      raise(ArgumentError, "expected a call as {module, function, args}, got: #{inspect(other)}")

  @doc """
  The pid of context number `index`, from 1, of the default pool.

      iex> Py.eval(Py.context(1), "6 * 7")
      {:ok, 42}

  ## Errors

  Raises `Py.ContextError` when the default pool has no context of that number: see
  `Py.Router.num_contexts/1`.
  """
  @doc since: "0.1.0"
  @spec context(pos_integer()) :: pid()
  def context(index), do: index |> Py.Router.get_context() |> unwrap!()

  @doc """
  Starts a call whose result is not needed. A failure is logged and counted.

      iex> Py.cast(:builtins, :print, [], kwargs: [end: ""])
      :ok

  ## Options

  #{Py.Schema.Docs.options(:cast)}

  ## Errors

  A failure, also of a request that is refused, is a line of the log, a telemetry event (`Py.Telemetry`) and
  an entry of `Py.stats/0`. Raises `ArgumentError` where `call/4` does.
  """
  @doc since: "0.1.0"
  @spec cast(name() | Py.Object.t(), name() | nil, [term()], keyword()) :: :ok
  def cast(target, function, args \\ [], options \\ []) do
    options = async_options(:cast, options, @cast_options)
    Py.Cast.run(operation(target, function, args, options.kwargs), options)
  end

  @doc """
  Runs `fun` with a context manager of Python, as the `with` statement does: `__enter__` before it, `__exit__` after it.

      iex> buffer = Py.call!(:io, :StringIO, ["tea"], return: :object)
      iex> Py.with(buffer, fn buffer -> Py.Object.call_method!(buffer, :read) end)
      "tea"
      iex> Py.Object.getattr!(buffer, :closed)
      true

  `fun` gets the value of `__enter__`, and its value is returned. If it raises, throws or exits, `__exit__` gets the exception:
  that of Python for a `Py.Error`, else an `erlang.CallbackError`. It is raised again, unless `__exit__` returns a true value:
  then the result is `nil`.

  ## Errors

  Raises the exceptions that `call/4` returns, where `__enter__` or `__exit__` fail.
  """
  @doc since: "0.1.0"
  @spec with(Py.Object.t(), (term() -> value)) :: value | nil when value: term()
  def unquote(:with)(%Py.Object{} = manager, fun) when is_function(fun, 1) do
    value = call!(:erlang, "_objects.enter", [manager])

    try do
      fun.(value)
    catch
      kind, reason ->
        if leave(manager, kind, reason, __STACKTRACE__),
          do: nil,
          else: :erlang.raise(kind, reason, __STACKTRACE__)
    else
      result ->
        call!(:erlang, "_objects.leave", [manager])
        result
    end
  end

  # The exception itself, where it is of the interpreter that has the context manager.
  defp leave(manager, :error, %Py.Error{exception: %Py.Object{} = exception} = error, stack) do
    case call(:erlang, "_objects.leave", [manager, exception]) do
      {:error, %Py.ContextError{reason: :wrong_interpreter}} ->
        leave(manager, :error, %{error | exception: nil}, stack)

      result ->
        unwrap!(result)
    end
  end

  defp leave(manager, kind, reason, stack) do
    text =
      if kind == :error,
        do: Exception.message(Exception.normalize(:error, reason, stack)),
        else: inspect(reason)

    failure = {Atom.to_string(kind), text, Exception.format_stacktrace(stack)}
    call!(:erlang, "_objects.leave", [manager, failure])
  end

  ## Looking around

  @doc """
  Prints Python's own help of a module, class, function or object, with its signature.

      iex> ExUnit.CaptureIO.capture_io(fn -> Py.help("math.gcd") end) =~ "gcd(*integers)"
      true

  `target` is a name, `{module, name}` or a `Py.Object`. A module is imported for it.

  ## Errors

  Raises the exceptions that `call/4` returns: `ModuleNotFoundError` where there is nothing of that name.
  """
  @doc since: "0.1.0"
  @spec help(name() | {name(), name()} | Py.Object.t()) :: :ok
  def help(target), do: look(:document, target) |> IO.puts()

  @doc """
  Returns the names of the public attributes of a module, class or object.

      iex> "gcd" in Py.dir(:math)
      true
      iex> "imag" in Py.dir(Py.eval!("3 + 4j", return: :object))
      true

  ## Errors

  Those of `help/1`.
  """
  @doc since: "0.1.0"
  @spec dir(name() | {name(), name()} | Py.Object.t()) :: [String.t()]
  def dir(target), do: look(:members, target)

  defp look(function, {module, name}), do: look(function, "#{module}.#{name}")
  defp look(function, %Py.Object{} = object), do: call!(:erlang, "_objects.#{function}", [object])
  defp look(function, name), do: call!(:erlang, "_objects.#{function}", [to_string(name)])

  @doc """
  Lets Python call a function by name. See `Py.Callback`.

      iex> Py.register_function(:twice, fn n -> 2 * n end)
      :ok
      iex> Py.eval!("__import__('erlang').twice(21)")
      42
      iex> Py.unregister_function(:twice)
      :ok

  A function that has the name already is replaced. Where the name is not registered, `erlang.call(name)` raises
  a `CallbackError`, and `erlang.name()` an `AttributeError`.
  """
  @doc since: "0.1.0"
  @spec register_function(name(), fun() | {module(), atom()}) :: :ok
  def register_function(name, fun), do: Py.Callback.register(name, fun)

  @doc """
  Forgets a function that `register_function/2` made known.

      iex> Py.unregister_function(:never_registered)
      :ok

  A function that runs goes on.
  """
  @doc since: "0.1.0"
  @spec unregister_function(name()) :: :ok
  def unregister_function(name), do: Py.Callback.unregister(name)

  @doc """
  Interrupts what runs on a context. See `Py.Context.interrupt/1`.

      iex> Py.interrupt(Py.context(1))
      {:error, :not_running}

  ## Errors

  `{:error, :not_running}` when nothing runs there, `{:error, %Py.ContextError{}}` when there is no such
  context on this node.
  """
  @doc since: "0.1.0"
  @spec interrupt(Py.Context.t()) :: :ok | {:error, :not_running | Py.ContextError.t()}
  def interrupt(context), do: Py.Context.interrupt(context)

  @doc """
  Returns what Python's garbage collector knows of the interpreter that serves the calling process, or of that of `:context`.

      iex> {:ok, stats} = Py.memory_stats()
      iex> for(%{"collections" => n} <- stats.gc_stats, do: is_integer(n))
      [true, true, true]

  All worker contexts share one interpreter. The map has

    * `:gc_stats` - `gc.get_stats()`, one map for each generation; that of CPython 3.15 has more keys
    * `:gc_count`, `:gc_threshold` - numbers of objects, as tuples of three
    * `:traced_memory_current`, `:traced_memory_peak` - bytes, while `tracemalloc` is tracing

  ## Options

  #{Py.Schema.Docs.options(:memory)}

  ## Errors

  The result is `{:error, exception}` with one of

  #{Py.Schema.Docs.errors([:timeout, :overloaded, :context])}

  Raises `ArgumentError` for a wrong option.
  """
  @doc since: "0.1.0"
  @spec memory_stats(keyword()) :: {:ok, map()} | {:error, Exception.t()}
  def memory_stats(options \\ []) do
    options |> Options.new(@memory_options) |> Py.Memory.stats()
  end

  @doc """
  Runs Python's garbage collector, on the interpreter that serves the calling process or on that of `:context`; the number of
  unreachable objects found. Generations are 0 to 2, the last collects all.

      iex> Py.exec!("import weakref; node = type('Node', (), {})()")
      iex> Py.exec!("node.itself = node; alive = weakref.ref(node); del node")
      iex> {:ok, _found} = Py.gc()
      iex> Py.eval!("alive() is None")
      true

  ## Options

  #{Py.Schema.Docs.options(:memory)}

  ## Errors

  The result is `{:error, exception}` with one of

  #{Py.Schema.Docs.errors([:timeout, :interrupted, :overloaded, :context])}

  Raises `ArgumentError` for a wrong option and for another generation.
  """
  @doc since: "0.1.0"
  @spec gc(0..2, keyword()) :: {:ok, non_neg_integer()} | {:error, Exception.t()}
  def gc(generation \\ 2, options \\ []),
    do: Py.Memory.collect(generation, Options.new(options, @memory_options))

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
    Py.Lifecycle.running!()

    %{interpreter: python, version: version, own_gil: own_gil} =
      :persistent_term.get(Py.Interpreter)

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
  Wraps a binary so that Python receives `bytes`, even if it is valid UTF-8.

      iex> Py.call!(:builtins, :repr, [Py.bytes("abc")])
      "b'abc'"
  """
  @doc since: "0.1.0"
  @spec bytes(binary()) :: Py.Bytes.t()
  def bytes(data) when is_binary(data), do: %Py.Bytes{data: data}

  @doc """
  Wraps an atom so that it comes back as an atom. Python sees an `erlang.Atom`.

      iex> Py.call!(:copy, :copy, [[Py.atom(:ok), :ok]])
      [:ok, "ok"]
  """
  @doc since: "0.1.0"
  @spec atom(atom()) :: Py.Atom.t()
  def atom(name) when is_atom(name), do: %Py.Atom{name: name}

  @doc """
  Wraps a number so that Python receives a `float`, even if it is an integer. `:nan`, `:infinity` and
  `:neg_infinity`, which Elixir's floats lack, need it only as keys of maps.

      iex> Py.call!(:builtins, :repr, [[2, Py.float(2), :infinity]])
      "[2, 2.0, inf]"
      iex> Py.call!(:builtins, :repr, [%{Py.float(:infinity) => :infinity}])
      "{inf: inf}"
  """
  @doc since: "0.1.0"
  @spec float(number() | :nan | :infinity | :neg_infinity) :: Py.Float.t()
  def float(value) when is_number(value) or value in [:nan, :infinity, :neg_infinity],
    do: %Py.Float{value: value}

  @doc false
  def unwrap!({:ok, value}), do: value
  def unwrap!(:ok), do: :ok
  def unwrap!({:error, error}), do: raise(error)

  defp run_code(kind, code, options) do
    options = Options.new(options, @code_options)

    if not is_binary(code),
      do: raise(ArgumentError, "expected Python code as a string, got: #{inspect(code)}")

    Request.run({kind, code, options.locals}, options)
  end
end
