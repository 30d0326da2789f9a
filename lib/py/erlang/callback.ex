defmodule Py.Erlang.Callback do
  @moduledoc false
  # Functions that Python calls.

  import Py.Erlang.Arguments

  def register(name, fun) when is_function(fun, 1), do: put(name, fun)

  def register(name, {module, function})
      when is_atom(module) and is_atom(function),
      do: put(name, {module, function})

  def register(_name, other),
    do: badarg("a function of one argument, or {Module, Function}", other)

  defp put(name, fun), do: Py.Callback.register(text(name), fun, :list)

  def unregister(name), do: Py.Callback.unregister(text(name))

  def lookup(name) do
    case Py.Callback.lookup(text(name)) do
      {:ok, {_style, fun}} -> {:ok, fun}
      :error -> {:error, :not_found}
    end
  end

  def execute(name, args) do
    args = list(args)

    with {:error, {:not_found, _text}} <- Py.Callback.execute(text(name), args),
         do: {:error, {:not_found, name}}
  end
end
