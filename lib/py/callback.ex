defmodule Py.Callback do
  @moduledoc """
  Functions of Elixir and Erlang that Python may call.

      iex> Py.register_function("double", fn n -> 2 * n end)
      iex> Py.exec!("import erlang")
      iex> Py.eval!("erlang.call('double', 4) + erlang.double(5)")
      18
      iex> Py.unregister_function("double")
      :ok

  A registered function is known to all contexts of the node. Python calls it in three ways:

    * `erlang.call("double", 4)` - works for every name
    * `erlang.double(4)` - an attribute of the module while the function is registered
    * `from erlang import double` - raises `ImportError` unless the function is registered

  A name that the module `erlang` has itself, such as `call` or `send`, is reached by the first
  way only. Arguments are positional.

  A function that is passed as an argument needs no registration, and is called like any other:

      iex> Py.eval!("sum(map(f, [1, 2, 3]))", locals: %{f: fn n -> n * n end})
      14

  The guide [Callbacks](callbacks.md) has the whole subject.

  ## The process that runs a function

  The process that waits for the Python code runs the function. So the process dictionary, Logger
  metadata, group leader, Ecto sandbox and transaction are those of the caller. The function may
  call Python again, on the same context too, to a depth of 256.

  Where no process waits, a supervised process runs the function. This is so for `Py.cast/4`,
  `Py.async/4`, and threads that Python code started. The `$callers` of that process name the
  process that made the call.

  A thread that Python code started belongs to no call. A function that such a thread calls must
  not call the context whose code waits for the thread (`thread.join()`): both would wait until
  the timeout.

  ## Errors

  A function that raises, throws or exits, or whose value has no counterpart, raises
  `erlang.CallbackError` in Python. So does a name that is not registered. The exception is a
  `RuntimeError` with `kind` (`"error"`, `"throw"` or `"exit"`), `reason`, and `stacktrace`, the
  text of the Elixir stack trace. If Python code does not catch it, the call returns
  `{:error, %Py.Error{type: "CallbackError"}}`:

      iex> {:error, error} = Py.call(:erlang, :call, [fn -> raise "no stock" end])
      iex> {error.type, error.message}
      {"CallbackError", "RuntimeError: no stock"}

  `Py.Stats` counts the calls, errors and time of each function.
  """
  @moduledoc since: "0.1.0"

  alias Py.Native
  alias Py.Stats.{Counters, Failures}
  alias Py.Telemetry.Events

  @typedoc """
  The way a function takes its arguments:

    * `:spread` - one parameter for each argument, with values as in `Py`
    * `:list` - one list of all arguments, with values as in `m:py`. `py:register_function/2` uses
      it
  """
  @type style :: :spread | :list

  @doc """
  Registers `fun` under `name`, in place of a function registered before.

  `fun` is a function of as many arguments as Python passes, or `{module, function}`. `style` says
  how it takes its arguments. `Py.register_function/2` is this function with the default style.

  A registration belongs to no process: it stays until `unregister/1`, or until the application
  stops.

  ## Errors

  Raises `ArgumentError` when `name` is not a name or `fun` is not a function, and
  `Py.ContextError` when the application is not running.

  ## Examples

      iex> Py.Callback.register(:upcase, {String, :upcase})
      :ok
      iex> Py.eval!("__import__('erlang').upcase('tea')")
      "TEA"
      iex> Py.Callback.register(:count, fn args -> length(args) end, :list)
      :ok
      iex> Py.eval!("__import__('erlang').count(1, 2, 3)")
      3
      iex> {Py.Callback.unregister(:upcase), Py.Callback.unregister(:count)}
      {:ok, :ok}
      iex> Py.Callback.register("name", "text")
      ** (ArgumentError) expected a function or {module, function}, got: "text"
  """
  @doc since: "0.1.0"
  @spec register(atom() | String.t(), fun() | {module(), atom()}, style()) :: :ok
  def register(name, fun, style \\ :spread) when style in [:spread, :list] do
    name = name!(name)
    Py.Lifecycle.running!()

    if not (is_function(fun) or match?({m, f} when is_atom(m) and is_atom(f), fun)) do
      raise ArgumentError, "expected a function or {module, function}, got: #{inspect(fun)}"
    end

    :ets.insert(__MODULE__, {name, style, fun, counters(name)})
    Native.set_registered(name, style == :list)
  end

  @doc """
  Removes the function registered under `name`. Returns `:ok` also when there is none.

  Calls of it that have begun go on. Later ones raise `erlang.CallbackError` in Python.

  ## Examples

      iex> Py.Callback.register("gone", fn -> 1 end)
      iex> Py.Callback.unregister("gone")
      :ok
      iex> {:error, error} = Py.call(:erlang, :call, ["gone"])
      iex> error.message
      ~s(no function is registered as "gone"; register it with Py.register_function/2)
  """
  @doc since: "0.1.0"
  @spec unregister(atom() | String.t()) :: :ok
  def unregister(name) do
    name = name!(name)
    :ets.delete(__MODULE__, name)
    Native.clear_registered_name(name)
  end

  @doc """
  Returns `{:ok, {style, fun}}` for the function registered under `name`, or `:error`.

  ## Examples

      iex> Py.Callback.register("upper", {String, :upcase})
      iex> Py.Callback.lookup(:upper)
      {:ok, {:spread, {String, :upcase}}}
      iex> Py.Callback.unregister("upper")
      iex> Py.Callback.lookup("upper")
      :error
  """
  @doc since: "0.1.0"
  @spec lookup(atom() | String.t()) :: {:ok, {style(), fun() | {module(), atom()}}} | :error
  def lookup(name) do
    case :ets.lookup(__MODULE__, name!(name)) do
      [{_name, style, fun, _counters}] -> {:ok, {style, fun}}
      [] -> :error
    end
  end

  @doc """
  Runs the function registered under `name` in the calling process, without Python.

  Useful in tests, and to call a function by the name that Python code uses. `args` are passed as
  they are: nothing is converted or counted.

  ## Errors

    * `{:error, {:not_found, name}}` - no function is registered under that name
    * `{:error, {kind, reason, stacktrace}}` - the function failed, as in `catch kind, reason`

  ## Examples

      iex> Py.Callback.register("twice", fn n -> 2 * n end)
      iex> Py.Callback.execute("twice", [4])
      {:ok, 8}
      iex> Py.Callback.unregister("twice")
      iex> Py.Callback.execute("twice", [4])
      {:error, {:not_found, "twice"}}
  """
  @doc since: "0.1.0"
  @spec execute(atom() | String.t(), [term()]) ::
          {:ok, term()}
          | {:error, {:not_found, atom() | String.t()}}
          | {:error, {:error | :exit | :throw, term(), Exception.stacktrace()}}
  def execute(name, args) when is_list(args) do
    case lookup(name) do
      {:ok, {style, fun}} -> attempt(fun, style, args)
      :error -> {:error, {:not_found, name}}
    end
  end

  defp attempt(fun, style, args) do
    {:ok, apply_fun(fun, style, args)}
  catch
    kind, reason -> {:error, {kind, reason, __STACKTRACE__}}
  end

  # The counters of the function registered before, or new ones: calls, errors, and time in native
  # units.
  defp counters(name) do
    :ets.lookup_element(__MODULE__, name, 4)
  rescue
    ArgumentError -> :counters.new(3, [:write_concurrency])
  end

  @doc false
  # The counts of each registered function, for `Py.Stats`: `{name, calls, errors, time}`.
  @spec counts() :: [{String.t(), non_neg_integer(), non_neg_integer(), non_neg_integer()}]
  def counts do
    for {name, _style, _fun, counters} <- :ets.tab2list(__MODULE__) do
      [calls, errors, time] = for index <- 1..3, do: :counters.get(counters, index)
      {name, calls, errors, time}
    end
  end

  defp name!(name) when is_binary(name) and name != "", do: name
  defp name!(name) when is_atom(name) and name not in [nil, true, false], do: Atom.to_string(name)

  defp name!(name),
    do: raise(ArgumentError, "expected a name as an atom or a string, got: #{inspect(name)}")

  @typep done ::
           {String.t() | nil, :counters.counters_ref() | nil, map() | nil, integer(), tuple()}

  @doc false
  # Runs a function that Python calls. Returns the result for Python,
  # `{:ok, value} | {:error, kind, text, stacktrace}`, and the argument of `count/1`.
  @spec run(term(), tuple(), Native.request() | nil) ::
          {{:ok, term()} | {:error, String.t(), String.t(), String.t()}, done() | nil}
  def run(target, args, request) do
    case resolve(target) do
      {name, style, fun, counters} ->
        call = Events.callback_start(name)
        started = System.monotonic_time()
        outcome = invoke(style, fun, args)
        time = System.monotonic_time() - started
        {answer(outcome, name, request), {name, counters, call, time, outcome}}

      :error ->
        {unregistered(target, request), nil}
    end
  end

  defp invoke(style, fun, args) do
    case prepare(style, apply_fun(fun, style, Tuple.to_list(args))) do
      {:ok, value} -> {:ok, value}
      {:error, error} -> {:failed, :error, error, [], Exception.message(error)}
    end
  catch
    kind, reason ->
      {:failed, kind, reason, __STACKTRACE__, text(kind, reason, __STACKTRACE__)}
  end

  @doc false
  # Counts a function that has run, and emits its telemetry event.
  @spec count(done() | nil) :: :ok
  def count(nil), do: :ok

  def count({name, counters, call, time, outcome}) do
    count(counters, time, match?({:failed, _, _, _, _}, outcome))
    Events.callback_stop(call, name, time, outcome)
  end

  defp answer({:ok, value}, _name, _request), do: {:ok, value}

  defp answer({:failed, kind, reason, stacktrace, text}, name, request) do
    type = type(kind, reason, stacktrace)
    Failures.record_callback(type, text, name, context(request), location(stacktrace))
    stacktrace = if stacktrace == [], do: "", else: Exception.format_stacktrace(stacktrace)
    {:error, Atom.to_string(kind), text, cut(stacktrace)}
  end

  # `nil`, for threads that Python code started.
  defp context(nil), do: nil
  defp context(request), do: request |> Native.request_times() |> elem(0)

  @languages [:elixir, :erts, :kernel, :stdlib, :erlang_python]

  # The innermost line of the program, as opposed to Elixir, Erlang and this library.
  defp location(stacktrace) do
    stacktrace
    # The frames further out called Python.
    |> Enum.take_while(&(elem(&1, 0) != __MODULE__))
    |> Enum.find_value(fn {module, _function, _args, info} ->
      with [_ | _] = file <- info[:file],
           line when is_integer(line) <- info[:line],
           false <- application(module) in @languages do
        {List.to_string(file), line}
      else
        _unknown -> nil
      end
    end)
  end

  defp application(module) do
    case :application.get_application(module) do
      {:ok, application} -> application
      :undefined -> nil
    end
  end

  defp type(:error, reason, stacktrace),
    do: inspect(Exception.normalize(:error, reason, stacktrace).__struct__)

  defp type(kind, _reason, _stacktrace), do: Atom.to_string(kind)

  defp count(nil, time, failed) do
    Counters.add(:callback_calls)
    Counters.add(:callback_time, time)
    if failed, do: Counters.add(:callback_errors)
  end

  defp count(counters, time, failed) do
    :counters.add(counters, 1, 1)
    :counters.add(counters, 3, time)
    if failed, do: :counters.add(counters, 2, 1)
  end

  @doc false
  def timed_out(timeout),
    do: {:error, "exit", "the call that Python runs for has timed out after #{timeout} ms", ""}

  # Structs are maps in the Erlang dialect.
  defp prepare(:list, value), do: {:ok, value}
  defp prepare(:spread, value), do: Py.Encoder.Prepare.value(value)

  # A function that was passed as an argument has no name and no counters.
  defp resolve(fun) when is_function(fun), do: {nil, :spread, fun, nil}

  defp resolve(name) when is_binary(name) or is_atom(name) do
    case :ets.lookup(__MODULE__, to_string(name)) do
      [entry] -> entry
      [] -> :error
    end
  rescue
    # The application is stopping.
    ArgumentError -> :error
  end

  defp resolve(_other), do: :error

  defp apply_fun({module, function}, :spread, args), do: apply(module, function, args)
  defp apply_fun({module, function}, :list, args), do: apply(module, function, [args])
  defp apply_fun(fun, :spread, args), do: apply(fun, args)
  defp apply_fun(fun, :list, args), do: fun.(args)

  defp unregistered(name, request) do
    text =
      "no function is registered as #{inspect(name)}; register it with Py.register_function/2"

    # Python code chooses the name, so it is not a key of the statistics. The message has it.
    Failures.record_callback("not_registered", text, nil, context(request), nil)
    {:error, "error", text, ""}
  end

  # A chain of failing callbacks passes its text up through every level. Without a bound it would
  # grow at each.
  @max_text 2_000

  # A deeper failure is passed on unchanged, without its traceback, which would repeat it at every
  # level.
  defp text(:error, %Py.Error{type: "CallbackError", message: message}, _stacktrace), do: message

  defp text(:error, %Py.Error{type: type, message: message}, _stacktrace) do
    cut("Py.Error: #{type}: #{message}")
  end

  defp text(:error, reason, stacktrace) do
    error = Exception.normalize(:error, reason, stacktrace)
    cut("#{inspect(error.__struct__)}: #{Exception.message(error)}")
  end

  defp text(_kind, reason, _stacktrace), do: reason |> inspect() |> cut()

  defp cut(text), do: Py.Text.cut(text, @max_text)
end
