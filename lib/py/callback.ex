defmodule Py.Callback do
  @moduledoc """
  Functions of Elixir and Erlang that Python may call.

      iex> Py.register_function("double", fn n -> 2 * n end)
      iex> Py.exec!("import erlang")
      iex> Py.eval!("erlang.call('double', 4) + erlang.double(5)")
      18
      iex> Py.unregister_function("double")
      :ok

  In Python: `erlang.call("double", 4)`, `erlang.double(4)`, or `from erlang import double`. A function passed as an argument
  is called like any other:

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

    if not (is_function(fun) or match?({m, f} when is_atom(m) and is_atom(f), fun)) do
      raise ArgumentError, "expected a function or {module, function}, got: #{inspect(fun)}"
    end

    :ets.insert(__MODULE__, {name, style, fun})
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
      [{_name, style, fun}] -> {:ok, {style, fun}}
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

  defp name!(name) when is_binary(name) and name != "", do: name
  defp name!(name) when is_atom(name) and name not in [nil, true, false], do: Atom.to_string(name)

  defp name!(name),
    do: raise(ArgumentError, "expected a name as an atom or a string, got: #{inspect(name)}")

  @doc false
  # What goes back to Python: `{:ok, value} | {:error, kind, text, stacktrace}`.
  @spec run(term(), tuple()) ::
          {:ok, term()} | {:error, String.t(), String.t(), String.t()}
  def run(target, args) do
    with {:ok, {style, fun}} <- resolve(target),
         {:ok, value} <- prepare(style, apply_fun(fun, style, Tuple.to_list(args))) do
      {:ok, value}
    else
      :error -> {:error, "error", unregistered(target), ""}
      {:error, error} -> {:error, "error", Exception.message(error), ""}
    end
  catch
    kind, reason ->
      {:error, Atom.to_string(kind), text(kind, reason, __STACKTRACE__),
       __STACKTRACE__ |> Exception.format_stacktrace() |> cut()}
  end

  @doc false
  def timed_out(timeout),
    do: {:error, "exit", "the call that Python runs for has timed out after #{timeout} ms", ""}

  # Structs are maps in the Erlang dialect.
  defp prepare(:list, value), do: {:ok, value}
  defp prepare(:spread, value), do: Py.Encoder.Prepare.value(value)

  defp resolve(fun) when is_function(fun), do: {:ok, {:spread, fun}}
  defp resolve(name) when is_binary(name) or is_atom(name), do: lookup(name)
  defp resolve(_other), do: :error

  defp apply_fun({module, function}, :spread, args), do: apply(module, function, args)
  defp apply_fun({module, function}, :list, args), do: apply(module, function, [args])
  defp apply_fun(fun, :spread, args), do: apply(fun, args)
  defp apply_fun(fun, :list, args), do: fun.(args)

  defp unregistered(name) do
    "no function is registered as #{inspect(name)}; register it with Py.register_function/2"
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

  defp cut(text) do
    case String.split_at(text, @max_text) do
      {text, ""} -> text
      {start, _rest} -> start <> "…"
    end
  end
end
