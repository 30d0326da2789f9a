defmodule Py.Telemetry.Tasks do
  @moduledoc false
  # The end events of tasks. A task may never be awaited, and its owner may die, so the NIF reports the end of each tracked task
  # here. If the owner itself ends a task, so that no reply will come, the owner emits the event. The process that takes the
  # call out of the table emits it.

  use Py.Server

  alias Py.{Native, Options}
  alias Py.Request.Failure
  alias Py.Telemetry.{Call, Events}

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Creates the table, which ends with the calling process."
  @spec prepare() :: :ok
  def prepare do
    :ets.new(__MODULE__, [:named_table, :public, write_concurrency: true])
    :ok
  end

  @doc "Follows a task. Called before it is submitted."
  @spec follow(reference(), Call.t(), Options.t()) :: :ok
  def follow(ref, call, options) do
    :ets.insert(__MODULE__, {ref, call, %{options | locals: nil, kwargs: nil}})
    :ok
  rescue
    # The application is stopping.
    ArgumentError -> :ok
  end

  @doc "Takes the call of a task whose end event is not emitted yet: the caller must emit it. `nil` for all other tasks."
  @spec take(reference()) :: Call.t() | nil
  def take(ref) do
    with {call, _options} <- remove(ref), do: call
  end

  defp remove(ref) do
    case :ets.take(__MODULE__, ref) do
      [{_ref, call, options}] -> {call, options}
      [] -> nil
    end
  rescue
    ArgumentError -> nil
  end

  @impl true
  def init(nil) do
    # For `terminate`.
    Process.flag(:trap_exit, true)
    Native.follow_tasks()
    {:ok, nil}
  end

  @impl true
  def handle_info({:py_task, ref, outcome, times}, state) do
    ended(ref, outcome, times)
    {:noreply, state}
  end

  defp ended(ref, outcome, times) do
    with {call, options} <- remove(ref),
         do: Call.ended(call, times, result(outcome, times, options))
  end

  defp result(:ok, _times, _options), do: :ok
  defp result({:error, :cancelled} = cancelled, _times, _options), do: cancelled

  defp result({:error, reason}, {context, _queued, _ran}, options) do
    {error, location} = Failure.error(reason, options, context)
    if location, do: Events.failed_at(location)
    {:error, error}
  end

  # The application stops. Tasks that ended before are reported in messages.
  @impl true
  def terminate(_reason, _state) do
    flush()

    for {ref, _call, _options} <- :ets.tab2list(__MODULE__),
        do: ended(ref, {:error, :stopped}, {nil, 0, 0})
  end

  defp flush do
    receive do
      {:py_task, ref, outcome, times} ->
        ended(ref, outcome, times)
        flush()
    after
      0 -> :ok
    end
  end
end
