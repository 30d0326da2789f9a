defmodule Py.Telemetry.Reporter do
  @moduledoc false
  # Emits the events that happen on Python's threads: runs of the garbage collectors. The NIF buffers a bounded number of them
  # and sends one message when there are any. While more keep coming this process polls, and when there are none it waits for
  # the next message. So it does nothing while Python is idle.

  use Py.Server

  alias Py.Native
  alias Py.Telemetry.{Events, Log}

  # Milliseconds between two polls, with and without a handler.
  @pause 100
  @pause_unheard 1_000

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    Native.stats_subscribe()
    # The counts that a killed reporter has left.
    Log.report()
    {:ok, :idle}
  end

  # The state is `:idle`, until the next message of the NIF, or `:polling`, with a timer.
  @impl true
  def handle_info(:overload, state) do
    Log.report()
    {:noreply, state}
  end

  def handle_info(poll, _state) when poll in [:py_events, :poll] do
    case Native.stats_take_events() do
      [] ->
        {:noreply, :idle}

      events ->
        Process.send_after(self(), :poll, emit(events))
        {:noreply, :polling}
    end
  end

  defp emit(events) do
    if Events.handled?([:erlang_python, :gc, :run]) do
      Enum.each(events, &Events.collection/1)
      @pause
    else
      @pause_unheard
    end
  end
end
