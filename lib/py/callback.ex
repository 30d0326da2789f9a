defmodule Py.Callback do
  @moduledoc """
  Functions of Elixir and Erlang that Python may call.

      iex> Py.register_function("double", fn n -> 2 * n end)
      iex> Py.exec!("import erlang")
      iex> Py.eval!("erlang.call('double', 4) + erlang.double(5)")
      18
      iex> Py.unregister_function("double")
      :ok

  In Python: `erlang.call("double", 4)`, `erlang.double(4)`, or `from erlang import double`. A name that the module `erlang` has
  itself, such as `call` or `send`, is reached by the first form only. A function passed as an argument is called like any
  other:

      iex> Py.eval!("sum(map(f, [1, 2, 3]))", locals: %{f: fn n -> n * n end})
      14

  The function runs in the process that waits for the Python code: its process dictionary, Logger metadata, group leader,
  Ecto sandbox and transactions are those of the caller. It may call Python again, on the same context too, to a depth of
  256. Where no process waits - `Py.cast/4`, `Py.async/4`, threads that Python code started - it runs in a supervised process
  whose `$callers` name the process that made the call.

  A thread that Python code started belongs to no call: a function that it calls must not call the context whose code waits
  for that thread (`thread.join()`), or both wait until the timeout. Call another context, or do not wait there.

  A function that fails raises `erlang.CallbackError`, a `RuntimeError`, in Python.
  """

  alias Py.Native
  alias Py.Stats.{Counters, Failures}
  alias Py.Telemetry.Events

  @typedoc """
  How a function takes its arguments: spread over its parameters, or as one list of values in the Erlang dialect, as
  `py:register_function` does.
  """
  @type style :: :spread | :list

  @doc """
  Registers a function under `name`, in place of the one registered before.

  `fun` is a function, or `{module, function}`. Raises `ArgumentError` for anything else.
  """
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

  @doc "Forgets the function registered under `name`."
  @spec unregister(atom() | String.t()) :: :ok
  def unregister(name) do
    name = name!(name)
    :ets.delete(__MODULE__, name)
    Native.clear_registered_name(name)
  end

  @doc """
  The function registered under `name`.

      iex> Py.Callback.lookup("nobody")
      :error
  """
  @spec lookup(atom() | String.t()) :: {:ok, {style(), fun() | {module(), atom()}}} | :error
  def lookup(name) do
    case :ets.lookup(__MODULE__, name!(name)) do
      [{_name, style, fun, _counters}] -> {:ok, {style, fun}}
      [] -> :error
    end
  end

  @doc """
  Runs the function registered under `name`, as Python would.

      iex> Py.Callback.register("twice", fn n -> 2 * n end)
      iex> Py.Callback.execute("twice", [4])
      {:ok, 8}
      iex> Py.Callback.unregister("twice")
      iex> Py.Callback.execute("twice", [4])
      {:error, {:not_found, "twice"}}

  When the function fails: `{:error, {kind, reason, stacktrace}}`, as in `catch kind, reason`.
  """
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

  # Those of the function registered before, if there is one: calls, errors, and time in native units.
  defp counters(name) do
    :ets.lookup_element(__MODULE__, name, 4)
  rescue
    ArgumentError -> :counters.new(3, [:write_concurrency])
  end

  @doc false
  # What snapshots tell: `{name, calls, errors, time}`.
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
  # What goes back to Python, `{:ok, value} | {:error, kind, text, stacktrace}`; and what `count/1` is to be told then.
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
  # A function has run: counts it, and tells telemetry.
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

  # The innermost line of the program: not of Elixir, Erlang or this library.
  defp location(stacktrace) do
    stacktrace
    # What comes further out called Python.
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

    # A name may be anything; the message has it.
    Failures.record_callback("not_registered", text, nil, context(request), nil)
    {:error, "error", text, ""}
  end

  # A chain of failing callbacks passes its texts up through every level: each is cut, or they would grow without bound.
  @max_text 2_000

  # What failed further down is told as it was there, and without tracebacks, which tell it once more.
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
