defmodule Py.Callback.Dispatcher do
  @moduledoc false
  # Runs the functions that Python calls where no process waits for the Python code: each in a process of its own.

  use Py.Server

  alias Py.{Callback, Native}

  # In the supervisor, which owns the table: functions stay registered when this process is restarted.
  def start_link(_options) do
    if :ets.whereis(Callback) == :undefined do
      :ets.new(Callback, [:named_table, :public, read_concurrency: true])
      Native.clear_registered()
    end

    GenServer.start_link(__MODULE__, nil, name: __MODULE__)
  end

  @impl true
  def init(nil) do
    Native.callback_fail_orphaned()
    {:ok, %{}}
  end

  @impl true
  def handle_info({:py_callback, request, callers, {:callback, id, target, args}}, running) do
    {:ok, pid} =
      Task.Supervisor.start_child(Py.Callback.Tasks, fn ->
        receive do
          :monitored -> run(request, callers, id, target, args)
        end
      end)

    # Before the function runs: how it ends is told to Python.
    monitor = Process.monitor(pid)
    send(pid, :monitored)
    {:noreply, Map.put(running, monitor, {request, id})}
  end

  # Answered already, unless the process was killed.
  def handle_info({:DOWN, monitor, :process, _pid, reason}, running)
      when is_map_key(running, monitor) do
    {{request, id}, running} = Map.pop!(running, monitor)

    answer(
      request,
      id,
      {:error, "exit", "the process of the function ended: #{inspect(reason)}", ""}
    )

    {:noreply, running}
  end

  defp run(request, callers, id, target, args) do
    act_for(callers)
    if request, do: Native.callback_enter(request, id)
    {answer, done} = Callback.run(target, args, request)
    Callback.count(done)
    answer(request, id, answer)
  end

  # Nobody, for threads that Python code started.
  defp act_for([]), do: Process.delete(:"$callers")

  # As in tasks: the process that made the call first, then those it works for.
  defp act_for([caller | _] = callers) do
    Process.put(:"$callers", callers)

    with {:group_leader, leader} <- Process.info(caller, :group_leader) do
      Process.group_leader(self(), leader)
    end
  end

  defp answer(nil, id, answer), do: Native.callback_answer_thread(id, answer)
  defp answer(request, id, answer), do: Native.callback_answer(request, id, answer)
end
