defmodule Py.Erlang.State do
  @moduledoc false
  # The shared state, whose keys are any terms. Binaries are the keys of Elixir and Python; others are stored in Erlang's
  # external term format.

  import Py.Erlang.Arguments

  @term_key "erlang:term:"

  defp key(key) when is_binary(key), do: key
  defp key(key), do: @term_key <> :erlang.term_to_binary(key, [:deterministic])

  def keys do
    for key <- Py.State.keys() do
      case key do
        @term_key <> term -> :erlang.binary_to_term(term)
        key -> key
      end
    end
  end

  # The bound is that of the environment at this moment.
  defp refresh_bound do
    bound = Application.get_env(:erlang_python, :max_state_entries)

    if bound != Py.Config.get(:max_state_entries) do
      bound = Py.Config.check!(:max_state_entries, bound)
      Py.Config.update(:max_state_entries, fn _old -> bound end)
      Py.Native.state_set_max(bound)
    end
  end

  def fetch(key) do
    with :error <- Py.State.fetch(key(key)), do: {:error, :not_found}
  end

  def store(key, value) do
    refresh_bound()
    Py.State.put(key(key), value)
  end

  def remove(key) do
    _was_there = Py.State.delete(key(key))
    :ok
  end

  def incr(key, by) when is_integer(by) do
    refresh_bound()

    case Py.State.add(key(key), by) do
      {:ok, sum} -> sum
      {:error, :full} -> {:error, :full}
      {:error, :not_an_integer} -> badarg("the key of an integer", key)
    end
  end

  def incr(_key, by), do: badarg("an integer", by)

  def decr(key, by) when is_integer(by), do: incr(key, -by)
  def decr(_key, by), do: badarg("an integer", by)
end
