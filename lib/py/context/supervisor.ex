defmodule Py.Context.Supervisor do
  @moduledoc false
  # The contexts of one pool. One that ends, for whatever reason, comes back at the same index.

  use Supervisor

  def child_spec({pool, _size, _options} = argument) do
    %{
      id: {__MODULE__, pool},
      start: {__MODULE__, :start_link, [argument]},
      type: :supervisor,
      restart: :transient
    }
  end

  def start_link(argument), do: Supervisor.start_link(__MODULE__, argument)

  @impl true
  def init({pool, size, options}) do
    children =
      for index <- 1..size//1 do
        %{
          id: index,
          start: {Py.Context.Server, :start_link, [[pool: pool, pool_index: index] ++ options]},
          restart: :permanent,
          shutdown: 10_000
        }
      end

    # Contexts are killed for reasons outside of this library; only a pool that cannot start at all gives up.
    Supervisor.init(children, strategy: :one_for_one, max_restarts: 1_000, max_seconds: 5)
  end
end
