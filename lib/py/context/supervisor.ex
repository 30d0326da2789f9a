defmodule Py.Context.Supervisor do
  @moduledoc false
  # The contexts of the default pool. One that ends, for whatever reason, comes back at the same index.

  use Supervisor

  alias Py.Config

  def start_link(_options), do: Supervisor.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    children =
      for index <- 1..Config.get(:num_contexts)//1 do
        options = [mode: Config.get(:context_mode), pool_index: index]

        %{
          id: index,
          start: {Py.Context.Server, :start_link, [options]},
          restart: :permanent,
          shutdown: 10_000
        }
      end

    # Contexts are killed for reasons outside of this library; only a pool that cannot start at all gives up.
    Supervisor.init(children, strategy: :one_for_one, max_restarts: 1_000, max_seconds: 5)
  end
end
