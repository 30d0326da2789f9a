defmodule Py.Context.Directory do
  @moduledoc false
  # Owns the tables of `Py.Context.Table`, and keeps them up to date.
  #
  # Contexts report that they start. The directory monitors them, and deletes a context that has
  # ended, also one that was killed.

  use Py.Server

  alias Py.Context.Table
  alias Py.Telemetry.Events

  # The number of labels of ended contexts that are kept: failures are reported after the end.
  @ended 100

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc """
  Adds the context of the calling process, which does not take calls yet.

  The dashboard shows a context that is starting, and the stop of the application reaches it.
  """
  @spec starting(Py.Native.context(), Table.info()) :: :ok
  def starting(native, info), do: GenServer.call(__MODULE__, {:starting, self(), native, info})

  @doc "Lets the context of the calling process take calls. Called when it has started."
  @spec register() :: :ok
  def register, do: GenServer.call(__MODULE__, {:register, self()})

  @doc """
  Removes the calling process at once, before it ends, so that no further call finds it.

  One that is killed is removed when its monitor reports it.
  """
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
    # A context that is killed cannot emit the event itself.
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
