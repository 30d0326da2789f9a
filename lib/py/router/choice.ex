defmodule Py.Router.Choice do
  @moduledoc false
  # Chooses a context of one pool for the calling process: the one it is bound to, else one by the strategy of the pool.
  # Runs in the calling process, on every call that does not name its context.

  alias Py.{Context, Native, Options}
  alias Py.Pool.Table

  @default :default

  # The key in the process dictionary for the binding of a process: `{:sticky, index}`, by the strategy `:affinity`, or what it
  # was bound to, `{:bound, index}` or a pid. Indexes count from 0.
  @binding :"$py_context"

  @type binding :: {:bound, non_neg_integer()} | pid()

  @typedoc "The namespace that the code sees: see `Py.Router.route/2`."
  @type namespace :: :context | {:process, pid()} | {:default, pid()} | pid() | reference()

  ## Binding

  @doc "Binds the calling process for its calls to a pool."
  @spec bind(Py.Router.pool(), binding()) :: :ok
  def bind(pool, binding) do
    Process.put(key(pool), binding)
    :ok
  end

  @doc "Undoes `bind/2`."
  @spec unbind(Py.Router.pool()) :: :ok
  def unbind(pool) do
    Process.delete(key(pool))
    :ok
  end

  ## Choosing

  @doc """
  The context of the default pool for a call, which the NIF overrules where a callback makes it: the NIF knows where that
  Python code runs. So a callback, or a task of one, that is not bound gets any context: nothing is chosen or remembered.
  The NIF takes a cast as it comes, because nobody waits for it.
  """
  @spec propose(Table.content() | nil, :call | :cast) :: Native.context() | nil
  def propose(nil, _kind), do: nil

  def propose({slots, strategy, cursor}, kind) do
    case Process.get(@binding) do
      nil when slots != {} and kind == :call ->
        if nested?(),
          do: native(slots, 0),
          else: choose(@default, nil, slots, strategy, cursor)

      binding ->
        choose(@default, binding, slots, strategy, cursor)
    end
  end

  defp nested?, do: Native.is_nested(Process.get(:"$callers", []))

  @doc "The context of a pool that serves the calling process; `nil` when the pool is not started or has no context yet."
  @spec pick(Py.Router.pool()) :: Native.context() | nil
  def pick(pool), do: pick(pool, Table.published(pool))

  @doc "The same, of a pool whose content was read."
  @spec pick(Py.Router.pool(), Table.content() | nil) :: Native.context() | nil
  def pick(_pool, nil), do: nil

  def pick(pool, {slots, strategy, cursor}),
    do: choose(pool, Process.get(key(pool)), slots, strategy, cursor)

  defp choose(pool, binding, slots, strategy, cursor) do
    size = tuple_size(slots)

    case binding do
      {:sticky, index} when strategy == :affinity and index < size ->
        sticky(pool, index, slots, cursor)

      {:bound, index} when index < size ->
        native(slots, index)

      pid when is_pid(pid) ->
        bound(pool, pid, slots, strategy, cursor)

      _none when size == 0 ->
        nil

      _none ->
        native(slots, pick_by(strategy, pool, slots, cursor))
    end
  end

  defp bound(pool, pid, slots, strategy, cursor) do
    case Context.Table.fetch(pid) do
      {:ok, native} ->
        native

      :error ->
        unbind(pool)
        choose(pool, nil, slots, strategy, cursor)
    end
  end

  # Of the default pool the NIF reports that the context is stuck, with the call: see `move/1`.
  defp sticky(@default, index, slots, _cursor), do: native(slots, index)

  defp sticky(pool, index, slots, cursor) do
    if stuck?(slots, index),
      do: native(slots, pick_by(:affinity, pool, slots, cursor)),
      else: native(slots, index)
  end

  @doc "The context for a call of the default pool whose context is stuck: another one, unless the process is bound."
  @spec move(Native.context()) :: Native.context()
  def move(context) do
    with binding when binding == nil or elem(binding, 0) == :sticky <- Process.get(@binding),
         {slots, strategy, cursor} when slots != {} <- Table.published(@default) do
      native(slots, pick_by(strategy, @default, slots, cursor))
    else
      _bound_or_stopped -> context
    end
  end

  @doc """
  Another context for a request that `context`, which has stopped, has refused. Only where the router chose that one, or where
  the request is about objects of the main interpreter, which all worker contexts share.
  """
  @spec fallback(Native.context(), namespace(), Options.t()) :: {:ok, Native.context()} | :error
  def fallback(context, namespace, options) do
    if is_pid(namespace) or match?({:default, _pid}, namespace) or
         (options.context == nil and options.env == nil) do
      case Enum.filter(Table.native_contexts(pool_of(context)), &alive?(&1, context)) do
        [] -> :error
        alive -> {:ok, Enum.random(alive)}
      end
    else
      :error
    end
  end

  defp pool_of(context),
    do: Enum.find(Table.pools(), @default, &(context in Table.native_contexts(&1)))

  defp alive?(other, context), do: other != context and elem(Native.context_state(other), 1)

  ## By the strategy: the index of a slot

  # The next one in turn that no long request keeps from its queue, else the one with the least of them.
  defp pick_by(:affinity, pool, slots, cursor) do
    index = least(slots, cursor, fn index -> {pressure(slots, index), load(slots, index)} end)
    # What a callback calls runs where its Python code runs, not here.
    if pool != @default or not nested?(), do: Process.put(key(pool), {:sticky, index})
    index
  end

  defp pick_by(:round_robin, _pool, slots, cursor), do: least(slots, cursor, &stuck?(slots, &1))

  defp pick_by(:least_busy, _pool, slots, _cursor), do: least_busy(slots)

  defp pick_by(strategy, pool, slots, _cursor) do
    size = tuple_size(slots)

    case strategy.pick(pool, size, &load(slots, &1)) do
      index when is_integer(index) and index >= 0 and index < size ->
        if stuck?(slots, index), do: least_busy(slots), else: index

      other ->
        raise ArgumentError,
              "#{inspect(strategy)}.pick/3 returned #{inspect(other)}, expected 0 to #{size - 1}"
    end
  end

  # The first in turn of which nothing speaks against it, else that with the least `weight`.
  defp least(slots, cursor, weight) do
    size = tuple_size(slots)
    first = rem(:atomics.add_get(cursor, 1, 1), size)
    indexes = for offset <- 0..(size - 1), do: rem(first + offset, size)
    Enum.find(indexes, &(pressure(slots, &1) == 0)) || Enum.min_by(indexes, weight)
  end

  defp least_busy(slots),
    do: Enum.min_by(0..(tuple_size(slots) - 1), &{stuck?(slots, &1), load(slots, &1)})

  defp stuck?(slots, index), do: pressure(slots, index) == 2
  defp pressure(slots, index), do: slots |> native(index) |> Native.context_pressure()
  defp load(slots, index), do: slots |> native(index) |> Native.context_load()

  defp native(slots, index), do: slots |> elem(index) |> elem(1)

  defp key(@default), do: @binding
  defp key(pool), do: {@binding, pool}
end
