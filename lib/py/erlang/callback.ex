defmodule Py.Erlang.Callback do
  @moduledoc false
  # The functions of `py_callback`: registrations of functions that Python calls with one list of
  # arguments.

  import Py.Erlang.Arguments

  @doc """
  Registers a function of one argument, or `{module, function}`. Raises `badarg` for anything
  else.
  """
  def register(name, fun) when is_function(fun, 1), do: put(name, fun)

  def register(name, {module, function})
      when is_atom(module) and is_atom(function),
      do: put(name, {module, function})

  def register(_name, other),
    do: badarg("a function of one argument, or {Module, Function}", other)

  defp put(name, fun), do: Py.Callback.register(text(name), fun, :list)

  @doc "Removes a registration."
  def unregister(name), do: Py.Callback.unregister(text(name))

  @doc "Returns `{:ok, function}` as it was registered, or `{:error, :not_found}`."
  def lookup(name) do
    case Py.Callback.lookup(text(name)) do
      {:ok, {_style, fun}} -> {:ok, fun}
      :error -> {:error, :not_found}
    end
  end

  @doc """
  Runs a registered function in the calling process. An unknown name is
  `{:error, {:not_found, name}}`, with the name as it was given.
  """
  def execute(name, args) do
    args = list(args)

    with {:error, {:not_found, _text}} <- Py.Callback.execute(text(name), args),
         do: {:error, {:not_found, name}}
  end
end
