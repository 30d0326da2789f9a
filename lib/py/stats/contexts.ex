defmodule Py.Stats.Contexts do
  @moduledoc false
  # The entries of contexts in a snapshot: what the NIF counts of each, with its pid, pool, name and restarts.

  alias Py.Context.Table
  alias Py.Native
  alias Py.Pool

  @typedoc "The facts about a context that only Elixir knows."
  @type who :: %{
          pid: pid(),
          pool: atom() | nil,
          index: pos_integer() | nil,
          name: GenServer.name() | nil,
          dead: boolean(),
          restarts: non_neg_integer()
        }

  @doc "All contexts: those of living owners, and those in slots of pools that wait for a replacement."
  @spec all() :: [{who(), Native.context()}]
  def all do
    slots = Pool.Table.places()

    restarts =
      Map.new(slots, fn {pool, index, _pid, _native, count} -> {{pool, index}, count} end)

    living =
      for {pid, native, info} <- Table.all() do
        {who(pid, info, restarts[{info.pool, info.index}] || 0), native}
      end

    taken = MapSet.new(living, fn {who, _native} -> {who.pool, who.index} end)

    dead =
      for {pool, index, pid, native, count} <- slots, {pool, index} not in taken do
        {%{pid: pid, pool: pool, index: index, name: nil, dead: true, restarts: count}, native}
      end

    living ++ dead
  end

  @doc "The entry of one context, by the pid of its owner; `:error` if that owns no context of this node."
  @spec fetch(pid()) :: {:ok, Py.Stats.context()} | :error
  def fetch(pid) do
    with {:ok, native, info} <- Table.find(pid) do
      restarts = Pool.Table.restarts(info.pool, info.index)
      {:ok, entry(who(pid, info, restarts), Native.context_info(native))}
    end
  end

  defp who(pid, info, restarts) do
    info
    |> Map.take([:pool, :index, :name])
    |> Map.merge(%{pid: pid, dead: false, restarts: restarts})
  end

  @doc "The entry of a context, from what the NIF says of it."
  @spec entry(who(), map()) :: Py.Stats.context()
  def entry(who, native) do
    {counts, native} = Map.pop!(native, :counts)
    native = if who.dead, do: %{native | state: :dead, running: 0, running_ms: nil}, else: native

    native
    |> Map.merge(counts)
    |> Map.merge(Map.take(who, [:pid, :pool, :index, :restarts]))
    |> Map.put(:name, name(who.name))
  end

  defp name(name) when is_atom(name), do: name
  defp name(name), do: inspect(name)
end
