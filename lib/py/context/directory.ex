defmodule Py.Context.Directory do
  @moduledoc false
  # Keeps `Py.Context.Table`: contexts report that they start, and one that has ended is deleted.

  use Py.Server

  alias Py.Context.Table
  alias Py.Telemetry.Events

  # So many labels of ended contexts are kept: failures come after the end.
  @ended 100

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Makes a context of the calling process known, while it starts and takes no calls yet."
  @spec starting(Py.Native.context(), Table.info()) :: :ok
  def starting(native, info), do: GenServer.call(__MODULE__, {:starting, self(), native, info})

  @doc "The context of the calling process has started."
  @spec register() :: :ok
  def register, do: GenServer.call(__MODULE__, {:register, self()})

  @doc "Forgets the calling process, at once; one that is killed is forgotten soon."
  @spec unregister() :: :ok
  def unregister, do: Table.delete(self())

  @impl true
  def init(nil) do
    Table.create()
    {:ok, %{ids: %{}, ended: []}}
  end

  @impl true
  def handle_call({:starting, pid, native, info}, _from, state) do
    Process.monitor(pid)
    Table.put_starting(pid, native, info)
    {:reply, :ok, %{state | ids: Map.put(state.ids, pid, info.id)}}
  end

  def handle_call({:register, pid}, _from, state) do
    {:reply, Table.put_started(pid), state}
  end

  @impl true
  def handle_info({:DOWN, _monitor, :process, pid, reason}, state)
      when is_map_key(state.ids, pid) do
    info = Table.take(pid)
    # A context that is killed cannot report it.
    if reason == :killed and info != nil, do: Events.context(:crash, info, %{reason: :killed})
    {id, ids} = Map.pop!(state.ids, pid)
    {:noreply, %{state | ids: ids, ended: forget([id | state.ended])}}
  end

  defp forget(ended) do
    {kept, forgotten} = Enum.split(ended, @ended)
    Enum.each(forgotten, &Table.delete_label/1)
    kept
  end
end
