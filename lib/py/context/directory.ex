defmodule Py.Context.Directory do
  @moduledoc false
  # Which native context a pid owns. A table, so that calls do not go through a process; this one only cleans up.

  use GenServer

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Registers the calling process."
  @spec register(Py.Native.context()) :: :ok
  def register(native), do: GenServer.call(__MODULE__, {:register, self(), native})

  @doc "Forgets the calling process, at once; one that is killed is forgotten soon."
  @spec unregister() :: :ok
  def unregister do
    :ets.delete(__MODULE__, self())
    :ok
  rescue
    # The application is not running.
    ArgumentError -> :ok
  end

  @spec fetch(pid()) :: {:ok, Py.Native.context()} | :error
  def fetch(pid) do
    {:ok, :ets.lookup_element(__MODULE__, pid, 2)}
  rescue
    # No such key, or the application is not running.
    ArgumentError -> :error
  end

  @spec pids() :: [pid()]
  def pids do
    for {pid, _native} <- :ets.tab2list(__MODULE__), do: pid
  rescue
    ArgumentError -> []
  end

  @impl true
  def init(nil) do
    {:ok, :ets.new(__MODULE__, [:named_table, :public, read_concurrency: true])}
  end

  @impl true
  def handle_call({:register, pid, native}, _from, table) do
    Process.monitor(pid)
    :ets.insert(table, {pid, native})
    {:reply, :ok, table}
  end

  @impl true
  def handle_info({:DOWN, _monitor, :process, pid, _reason}, table) do
    :ets.delete(table, pid)
    {:noreply, table}
  end
end
