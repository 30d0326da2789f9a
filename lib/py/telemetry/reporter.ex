defmodule Py.Telemetry.Reporter do
  @moduledoc false
  # Emits the events that happen on Python's threads: runs of the garbage collectors. The native side keeps a bounded number of
  # them and sends one message when there are any; while more keep coming this process looks again from time to time, and
  # when there are none it waits to be told. So nothing happens while Python is idle.

  use Py.Server

  alias Py.Native
  alias Py.Telemetry.{Events, Log}

  # Between two looks, in milliseconds.
  @pause 100
  @pause_unheard 1_000

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    Native.stats_subscribe()
    # What a reporter that was killed has left.
    Log.report()
    {:ok, :idle}
  end

  # The state is `:idle`, to be told of the next event, or `:looking`, with a timer.
  @impl true
  def handle_info(:overload, state) do
    Log.report()
    {:noreply, state}
  end

  def handle_info(look, _state) when look in [:py_events, :look] do
    case Native.stats_take_events() do
      [] ->
        {:noreply, :idle}

      events ->
        Process.send_after(self(), :look, emit(events))
        {:noreply, :looking}
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
