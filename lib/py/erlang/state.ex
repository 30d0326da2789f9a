defmodule Py.Erlang.State do
  @moduledoc false
  # The functions of `py_state`: the shared state with any term as a key.
  #
  # A binary is the key that Elixir and Python know. Any other term is stored under
  # `"erlang:term:"` followed by its external term format.

  import Py.Erlang.Arguments

  @term_key "erlang:term:"

  defp key(key) when is_binary(key), do: key
  defp key(key), do: @term_key <> :erlang.term_to_binary(key, [:deterministic])

  @doc "Returns all keys, as the terms that they were given as."
  def keys do
    for key <- Py.State.keys() do
      case key do
        @term_key <> term -> :erlang.binary_to_term(term)
        key -> key
      end
    end
  end

  # The bound of the application's environment may change at run time.
  defp refresh_bound do
    bound = Application.get_env(:erlang_python, :max_state_entries)

    if bound != Py.Config.get(:max_state_entries) do
      bound = Py.Config.check!(:max_state_entries, bound)
      Py.Config.update(:max_state_entries, fn _old -> bound end)
      Py.Native.state_set_max(bound)
    end
  end

  @doc "Returns `{:ok, value}` or `{:error, :not_found}`."
  def fetch(key) do
    with :error <- Py.State.fetch(key(key)), do: {:error, :not_found}
  end

  @doc "Stores a value. `{:error, :full}` when the key is new and the state is full."
  def store(key, value) do
    refresh_bound()
    Py.State.put(key(key), value)
  end

  @doc "Removes an entry. Returns `:ok` also when there is none."
  def remove(key) do
    _was_there = Py.State.delete(key(key))
    :ok
  end

  @doc """
  Adds to a counter. Returns the new value or `{:error, :full}`, and raises `badarg` where the
  entry is not an integer.
  """
  def incr(key, by) when is_integer(by) do
    refresh_bound()

    case Py.State.add(key(key), by) do
      {:ok, sum} -> sum
      {:error, :full} -> {:error, :full}
      {:error, :not_an_integer} -> badarg("the key of an integer", key)
    end
  end

  def incr(_key, by), do: badarg("an integer", by)

  @doc "Subtracts from a counter. See `incr/2`."
  def decr(key, by) when is_integer(by), do: incr(key, -by)
  def decr(_key, by), do: badarg("an integer", by)
end
