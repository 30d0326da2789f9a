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

  The state is a concurrent map in native memory. Reading and writing need no process and no
  message. Every context and every process of this node sees the same entries. Entries outlive the
  process and the context that made them, and end with the VM.

  The guide [Shared state](shared-state.md) has costs, and says when to use something else.

  ## Keys

  Keys are strings; an atom stands for its text. There is one name space for the whole node, so
  begin keys with the name of your application.

  Any other key raises `ArgumentError`. The Erlang API takes any term as a key: see `m:py_state`.

  ## Values

  A value is any term, and Elixir reads back that very term. Python reads its counterpart, by the
  table of values in `Py`; a term without one raises `TypeError` there. Python converts a value at
  each read, so read once for each call, and keep large data in Python, behind a `Py.Object`.

  Integers are counters. `incr/2` and `decr/2` are atomic: concurrent updates from Elixir, Erlang
  and Python all count.

  ## In Python

  | Elixir | Python |
  |---|---|
  | `get/2` | `erlang.state_get(key, default=None)` |
  | `put/2` | `erlang.state_set(key, value)` |
  | `delete/1` | `erlang.state_delete(key)` |
  | `keys/0` | `erlang.state_keys()` |
  | `clear/0` | `erlang.state_clear()` |
  | `incr/2`, `decr/2` | `erlang.state_incr(key, by=1)`, `erlang.state_decr(key, by=1)` |

  ## Bound

  `config :erlang_python, max_state_entries: n` bounds the number of entries; the default, `nil`,
  is no bound. At the bound a new key is refused, and existing entries can still be changed. There
  is no expiry and no eviction.
  """
  @moduledoc since: "0.1.0"

  alias Py.Native

  @typedoc "A key. An atom stands for its text; `nil` is not a key."
  @type key :: String.t() | atom()

  @doc """
  Returns the value of `key`, or `default` if there is no such entry.

  A stored `nil` is an entry. `fetch/1` tells it from a missing one.

  ## Examples

      iex> Py.State.put(:mode, "fast")
      :ok
      iex> Py.State.get("mode")
      "fast"
      iex> Py.State.delete("mode")
      true
      iex> Py.State.get("mode", :none)
      :none
  """
  @doc since: "0.1.0"
  @spec get(key(), term()) :: term()
  def get(key, default \\ nil) do
    case fetch(key) do
      {:ok, value} -> value
      :error -> default
    end
  end

  @doc """
  Returns `{:ok, value}` for the entry `key`, or `:error` if there is none.

  ## Examples

      iex> Py.State.put("answer", nil)
      :ok
      iex> Py.State.fetch("answer")
      {:ok, nil}
      iex> Py.State.delete("answer")
      true
      iex> Py.State.fetch("answer")
      :error
  """
  @doc since: "0.1.0"
  @spec fetch(key()) :: {:ok, term()} | :error
  def fetch(key), do: Native.state_fetch(key!(key))

  @doc """
  Stores `value` under `key`, in place of an earlier value.

  The term is copied. Reading and writing back is not atomic: another process may write in
  between. Use `incr/2` for numbers.

  ## Errors

  `{:error, :full}` when `key` is new and there are `max_state_entries` entries already. Delete
  keys, or raise the bound.

  ## Examples

      iex> Py.State.put("plan", [1, {:any, "term"}])
      :ok
      iex> Py.eval!("__import__('erlang').state_get('plan')")
      [1, {"any", "term"}]
      iex> Py.State.delete("plan")
      true
  """
  @doc since: "0.1.0"
  @spec put(key(), term()) :: :ok | {:error, :full}
  def put(key, value) do
    case Native.state_put(key!(key), value) do
      :ok -> :ok
      :full -> {:error, :full}
    end
  end

  @doc """
  Deletes the entry `key`. Returns `true` if there was one, else `false`.

  ## Examples

      iex> Py.State.put("once", 1)
      :ok
      iex> {Py.State.delete("once"), Py.State.delete("once")}
      {true, false}
  """
  @doc since: "0.1.0"
  @spec delete(key()) :: boolean()
  def delete(key), do: Native.state_delete(key!(key))

  @doc """
  Returns the keys of all entries, in no particular order.

  Keys that the Erlang API made of other terms than binaries begin with `"erlang:term:"`.

  ## Examples

      iex> Py.State.put("a", 1)
      iex> "a" in Py.State.keys()
      true
      iex> Py.State.delete("a")
      true
  """
  @doc since: "0.1.0"
  @spec keys() :: [String.t()]
  def keys, do: Native.state_keys()

  @doc false
  # Each key with the approximate size in bytes of its entry, in no particular order. Copies no
  # values.
  @spec sizes() :: [{String.t(), non_neg_integer()}]
  def sizes, do: Native.state_sizes()

  @doc """
  Deletes all entries, those of other applications and of Python code included.
  """
  @doc since: "0.1.0"
  @spec clear() :: :ok
  def clear, do: Native.state_clear()

  @doc """
  Adds the integer `by` to the counter `key` and returns the new value.

  A missing counter starts at 0. The update is atomic, and integers may be of any size.

  ## Errors

  Raises `ArgumentError` when the entry is not an integer, when `by` is not an integer, and when
  `key` is new and there are `max_state_entries` entries already.

  ## Examples

      iex> Py.State.incr("visits", 2 ** 80) - 2 ** 80
      0
      iex> Py.State.incr("visits")
      1208925819614629174706177
      iex> Py.State.delete("visits")
      true
      iex> Py.State.put("name", "text")
      iex> Py.State.incr("name")
      ** (ArgumentError) the shared value of "name" is not an integer
  """
  @doc since: "0.1.0"
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

  @doc """
  Subtracts the integer `by` from the counter `key` and returns the new value.

  Errors are those of `incr/2`.

  ## Examples

      iex> Py.State.decr("balance", 5)
      -5
      iex> Py.State.delete("balance")
      true
  """
  @doc since: "0.1.0"
  @spec decr(key(), integer()) :: integer()
  def decr(key, by \\ 1)
  def decr(key, by) when is_integer(by), do: incr(key, -by)
  def decr(_key, by), do: raise(ArgumentError, "expected an integer amount, got: #{inspect(by)}")

  @doc """
  Returns the number of entries, and the bound of `max_state_entries`, which is `nil` by default.

  ## Examples

      iex> Py.State.clear()
      :ok
      iex> Py.State.info()
      %{entries: 0, max_entries: nil}
  """
  @doc since: "0.1.0"
  @spec info() :: %{entries: non_neg_integer(), max_entries: pos_integer() | nil}
  def info do
    {entries, max} = Native.state_info()
    %{entries: entries, max_entries: max}
  end

  # The text of a key.
  defp key!(key) when is_binary(key), do: key
  defp key!(key) when is_atom(key) and not is_nil(key), do: Atom.to_string(key)

  defp key!(key),
    do: raise(ArgumentError, "expected a key as a string or an atom, got: #{inspect(key)}")
end
