defmodule Py.State do
  @moduledoc """
  State shared by Elixir, Erlang and Python.

      iex> Py.State.put("limits", %{"retries" => 3})
      :ok
      iex> Py.eval!("__import__('erlang').state_get('limits')['retries']")
      3
      iex> Py.exec!("import erlang; erlang.state_incr('hits', 2)")
      iex> Py.State.incr("hits")
      3
      iex> Py.State.delete("limits") and Py.State.delete("hits")
      true

  A concurrent map in native memory: no process, no message, no copy through ETS. Every context and every process of this
  node sees the same entries, and they outlive contexts. They are gone when the VM stops.

  Keys are strings; an atom stands for its text. Values are any terms. Numbers are counters: `incr/2` and `decr/2` lose no
  update, whoever else counts.

  In Python: `erlang.state_get(key, default=None)`, `state_set`, `state_delete`, `state_keys`, `state_clear`,
  `state_incr(key, by=1)`, `state_decr`. A value is converted each time Python reads it; keep large ones in Python.

  `config :erlang_python, max_state_entries: n` bounds the number of entries; beyond it new keys are refused.
  """

  alias Py.Native

  @type key :: String.t() | atom()

  @doc """
  The value of `key`, or `default`.

      iex> Py.State.get("nothing", :none)
      :none
  """
  @spec get(key(), term()) :: term()
  def get(key, default \\ nil) do
    case fetch(key) do
      {:ok, value} -> value
      :error -> default
    end
  end

  @doc """
  The value of `key`.

      iex> Py.State.fetch("nothing")
      :error
  """
  @spec fetch(key()) :: {:ok, term()} | :error
  def fetch(key), do: Native.state_fetch(key!(key))

  @doc "Stores a value. `{:error, :full}` when `max_state_entries` is reached and `key` is new."
  @spec put(key(), term()) :: :ok | {:error, :full}
  def put(key, value) do
    case Native.state_put(key!(key), value) do
      :ok -> :ok
      :full -> {:error, :full}
    end
  end

  @doc "Deletes an entry: whether there was one."
  @spec delete(key()) :: boolean()
  def delete(key), do: Native.state_delete(key!(key))

  @doc "All keys, in no order."
  @spec keys() :: [String.t()]
  def keys, do: Native.state_keys()

  @doc false
  # Keys with about how many bytes each takes with its value, in no order; reads no values.
  @spec sizes() :: [{String.t(), non_neg_integer()}]
  def sizes, do: Native.state_sizes()

  @doc "Deletes all entries."
  @spec clear() :: :ok
  def clear, do: Native.state_clear()

  @doc """
  Adds `by` to a counter and returns its new value. A missing one starts at 0.

  Raises `ArgumentError` when the value is no integer, or when `max_state_entries` is reached and `key` is new.

      iex> Py.State.incr("visits", 2 ** 80) - 2 ** 80
      0
      iex> Py.State.delete("visits")
      true
  """
  @spec incr(key(), integer()) :: integer()
  def incr(key, by \\ 1)

  def incr(key, by) when is_integer(by) do
    case add(key, by) do
      {:ok, sum} ->
        sum

      {:error, :not_an_integer} ->
        raise ArgumentError, "the shared value of #{inspect(key)} is not an integer"

      {:error, :full} ->
        raise ArgumentError, "the shared state is full: delete keys, or raise max_state_entries"
    end
  end

  def incr(_key, by), do: raise(ArgumentError, "expected an integer amount, got: #{inspect(by)}")

  @doc false
  @spec add(key(), integer()) :: {:ok, integer()} | {:error, :not_an_integer | :full}
  def add(key, by) do
    case Native.state_incr(key!(key), by) do
      sum when is_integer(sum) -> {:ok, sum}
      reason -> {:error, reason}
    end
  end

  @doc "Subtracts `by` from a counter. See `incr/2`."
  @spec decr(key(), integer()) :: integer()
  def decr(key, by \\ 1)
  def decr(key, by) when is_integer(by), do: incr(key, -by)
  def decr(_key, by), do: raise(ArgumentError, "expected an integer amount, got: #{inspect(by)}")

  @doc "The number of entries, and its bound."
  @spec info() :: %{entries: non_neg_integer(), max_entries: pos_integer() | nil}
  def info do
    {entries, max} = Native.state_info()
    %{entries: entries, max_entries: max}
  end

  defp key!(key) when is_binary(key), do: key
  defp key!(key) when is_atom(key) and not is_nil(key), do: Atom.to_string(key)

  defp key!(key),
    do: raise(ArgumentError, "expected a key as a string or an atom, got: #{inspect(key)}")
end
