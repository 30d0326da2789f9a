defmodule Py.Pool.Registration do
  @moduledoc false
  # Tells the router of a pool, and ends when the router does, so that the pool is told of again.

  use GenServer

  alias Py.Router

  # A router that has ended is back within moments, in milliseconds.
  @patience 1_000

  def start_link(argument), do: GenServer.start_link(__MODULE__, argument)

  @impl true
  def init({name, strategy, supervisor}) do
    # For `terminate`.
    Process.flag(:trap_exit, true)

    with pid when is_pid(pid) <- router(System.monotonic_time(:millisecond) + @patience),
         router = Process.monitor(pid),
         :ok <- Router.register(name, strategy, {:own, supervisor}) do
      {:ok, %{router: router, supervisor: supervisor}}
    else
      nil -> {:stop, {:shutdown, %Py.ContextError{reason: :not_running}}}
      {:error, reason} -> {:stop, {:shutdown, reason}}
    end
  end

  defp router(deadline) do
    pid = Process.whereis(Router)

    if pid || System.monotonic_time(:millisecond) > deadline do
      pid
    else
      Process.sleep(1)
      router(deadline)
    end
  end

  @impl true
  def handle_info({:DOWN, router, :process, _pid, _reason}, %{router: router} = state),
    do: {:stop, {:shutdown, :router_ended}, state}

  def handle_info({:EXIT, _pid, reason}, state), do: {:stop, reason, state}

  # Its contexts have ended, and nobody shall find them.
  @impl true
  def terminate(_reason, state) do
    Router.unregister({:own, state.supervisor})
  catch
    :exit, _gone -> :ok
  end
end
