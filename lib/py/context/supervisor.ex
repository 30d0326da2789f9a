defmodule Py.Context.Supervisor do
  @moduledoc false
  # The contexts of one pool. One that ends, for whatever reason, comes back at the same index. With a strategy, the pool is its
  # own: it registers it with `Py.Pool.Table`, which forgets the pool when this process ends.

  use Supervisor

  def child_spec({pool, _size, _strategy, _options} = argument) do
    %{
      id: {__MODULE__, pool},
      start: {__MODULE__, :start_link, [argument]},
      type: :supervisor,
      restart: :transient
    }
  end

  def start_link(argument), do: Supervisor.start_link(__MODULE__, argument)

  @impl true
  def init({pool, size, strategy, options}) do
    case register(pool, strategy) do
      :ok ->
        children = Enum.map(1..size, &child(pool, &1, options))

        # Contexts are killed for reasons outside of this library; only a pool that cannot start at all gives up.
        Supervisor.init(children, strategy: :one_for_one, max_restarts: 1_000, max_seconds: 5)

      # Also where this is started again: the name has gone to another one.
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
