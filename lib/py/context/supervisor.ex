defmodule Py.Context.Supervisor do
  @moduledoc false
  # Supervises the contexts of one pool. A context that ends, for whatever reason, is started
  # again at the same index.
  #
  # With a strategy it also registers the pool with `Py.Pool.Table`, which removes the pool when
  # this process ends.

  use Supervisor

  @doc "The child specification of a pool: its name, size, strategy and the options of its contexts."
  @spec child_spec({atom(), pos_integer(), term(), keyword()}) :: Supervisor.child_spec()
  def child_spec({pool, _size, _strategy, _options} = argument) do
    %{
      id: {__MODULE__, pool},
      start: {__MODULE__, :start_link, [argument]},
      type: :supervisor,
      restart: :transient
    }
  end

  @doc "Starts the contexts of a pool. `:ignore` when another pool has the name."
  @spec start_link({atom(), pos_integer(), term(), keyword()}) :: Supervisor.on_start()
  def start_link(argument), do: Supervisor.start_link(__MODULE__, argument)

  @impl true
  def init({pool, size, strategy, options}) do
    case register(pool, strategy) do
      :ok ->
        children = Enum.map(1..size, &child(pool, &1, options))

        # Contexts are killed for reasons outside of this library. Only a pool that cannot start
        # at all reaches this limit.
        Supervisor.init(children, strategy: :one_for_one, max_restarts: 1_000, max_seconds: 5)

      # Another pool has taken the name while this one was restarted.
      {:error, {:already_started, ^pool}} ->
        :ignore
    end
  end

  defp child(pool, index, options) do
    %{
      id: index,
      start: {Py.Context.Server, :start_link, [[pool: pool, pool_index: index] ++ options]},
      restart: :permanent,
      shutdown: 10_000
    }
  end

  defp register(_pool, nil), do: :ok
  defp register(pool, strategy), do: Py.Pool.Table.register(pool, strategy, self())
end
