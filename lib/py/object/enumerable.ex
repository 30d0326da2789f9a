defimpl Enumerable, for: Py.Object do
  # An iterator stays in Python. Its items come in batches: see `next_items` of priv/python/erlang/_objects.py.

  def reduce(object, acc, fun) do
    iterator = Py.call!(:builtins, :iter, [object], return: :object)
    items(iterator, {[], false}, acc, fun)
  end

  defp items(iterator, {_items, ended}, {:halt, acc}, _fun) do
    if not ended, do: Py.call!(:erlang, "_objects.close", [iterator])
    {:halted, acc}
  end

  defp items(iterator, batch, {:suspend, acc}, fun),
    do: {:suspended, acc, &items(iterator, batch, &1, fun)}

  defp items(iterator, {[item | items], ended}, {:cont, acc}, fun) do
    next =
      try do
        fun.(item, acc)
      catch
        kind, reason ->
          if not ended, do: Py.call(:erlang, "_objects.close", [iterator])
          :erlang.raise(kind, reason, __STACKTRACE__)
      end

    items(iterator, {items, ended}, next, fun)
  end

  defp items(_iterator, {[], true}, {:cont, acc}, _fun), do: {:done, acc}

  defp items(iterator, {[], false}, acc, fun),
    do: items(iterator, Py.call!(:erlang, "_objects.next_items", [iterator]), acc, fun)

  # Of objects that have a length; all others are counted by iterating.
  def count(object) do
    case Py.Object.len(object) do
      {:ok, length} -> {:ok, length}
      {:error, %Py.Error{type: "TypeError"}} -> {:error, __MODULE__}
      {:error, error} -> raise error
    end
  end

  def member?(_object, _value), do: {:error, __MODULE__}
  def slice(_object), do: {:error, __MODULE__}
end
