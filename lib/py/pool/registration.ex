defmodule Py.Pool.Registration do
  @moduledoc false
  # Registers a pool with `Py.Pool.Table`, and ends when the process of the table does, so that the pool is registered again.

  use GenServer

  alias Py.Pool.Table

  # The time, in milliseconds, within which the process of the table must be back after its end.
  @timeout 1_000

  def start_link(argument), do: GenServer.start_link(__MODULE__, argument)

  @impl true
  def init({name, strategy, supervisor}) do
    # For `terminate`.
    Process.flag(:trap_exit, true)

    with pid when is_pid(pid) <- table(Py.Deadline.new(@timeout)),
         table = Process.monitor(pid),
         :ok <- Table.register(name, strategy, {:own, supervisor}) do
      {:ok, %{table: table, supervisor: supervisor}}
    else
      nil -> {:stop, {:shutdown, %Py.ContextError{reason: :not_running}}}
      {:error, reason} -> {:stop, {:shutdown, reason}}
    end
  end

  defp table(deadline) do
    pid = Table.whereis()

    if pid || Py.Deadline.remaining(deadline) == 0 do
      pid
    else
      Process.sleep(1)
      table(deadline)
    end
  end

  @impl true
  def handle_info({:DOWN, table, :process, _pid, _reason}, %{table: table} = state),
    do: {:stop, {:shutdown, :table_ended}, state}

  def handle_info({:EXIT, _pid, reason}, state), do: {:stop, reason, state}

  # The contexts have ended: no call must find them.
  @impl true
  def terminate(_reason, state) do
    Table.unregister({:own, state.supervisor})
  catch
    :exit, _gone -> :ok
  end
end
