defmodule Py.Context.Directory do
  @moduledoc false
  # Which native context a pid owns, and what a context is called. Tables, so that calls do not go through a process; this one
  # only cleans up.

  use Py.Server

  alias Py.Telemetry.Events

  @typedoc "Who a context is; `index` is its place in its pool; `started`, when its start began, in native units."
  @type info :: %{
          id: pos_integer(),
          mode: :worker | :owngil,
          pool: Py.Router.pool() | nil,
          index: pos_integer() | nil,
          name: GenServer.name() | nil,
          started: integer()
        }

  @names Module.concat(__MODULE__, Names)

  # So many labels of ended contexts are kept: failures come after the end.
  @ended 100

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Makes a context of the calling process known, while it starts and takes no calls yet."
  @spec starting(Py.Native.context(), info()) :: :ok
  def starting(native, info), do: GenServer.call(__MODULE__, {:starting, self(), native, info})

  @doc "The context of the calling process has started."
  @spec register() :: :ok
  def register, do: GenServer.call(__MODULE__, {:register, self()})

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

  @doc """
  What the context of an id is called: its name, else its place in its pool; `nil` when it has neither, and some time
  after its end.
  """
  @spec label(pos_integer() | nil) :: String.t() | nil
  def label(nil), do: nil

  def label(id) do
    :ets.lookup_element(@names, id, 2)
  rescue
    # No such key, or the application is not running.
    ArgumentError -> nil
  end

  defp label_of(%{name: name}) when is_atom(name) and name != nil, do: Atom.to_string(name)
  defp label_of(%{name: name}) when name != nil, do: inspect(name)
  defp label_of(%{pool: nil}), do: nil
  defp label_of(%{pool: pool, index: index}), do: "#{pool} #{index}"

  @spec pids() :: [pid()]
  def pids, do: for({pid, _native, _info} <- entries(), is_pid(pid), do: pid)

  @doc "All contexts, starting ones included."
  @spec all() :: [{pid(), Py.Native.context(), info()}]
  def all do
    for {key, native, info} <- entries() do
      pid = if is_pid(key), do: key, else: elem(key, 1)
      {pid, native, info}
    end
  end

  defp entries do
    :ets.tab2list(__MODULE__)
  rescue
    ArgumentError -> []
  end

  @impl true
  def init(nil) do
    :ets.new(@names, [:named_table, :protected, read_concurrency: true])
    table = :ets.new(__MODULE__, [:named_table, :public, read_concurrency: true])
    {:ok, %{table: table, ids: %{}, ended: []}}
  end

  @impl true
  def handle_call({:starting, pid, native, info}, _from, %{table: table} = state) do
    Process.monitor(pid)
    :ets.insert(table, {{:starting, pid}, native, info})
    :ets.insert(@names, {info.id, label_of(info)})
    {:reply, :ok, %{state | ids: Map.put(state.ids, pid, info.id)}}
  end

  def handle_call({:register, pid}, _from, %{table: table} = state) do
    with [{key, native, info}] <- :ets.lookup(table, {:starting, pid}) do
      :ets.insert(table, {pid, native, info})
      :ets.delete(table, key)
    end

    {:reply, :ok, state}
  end

  @impl true
  def handle_info({:DOWN, _monitor, :process, pid, reason}, %{table: table} = state) do
    # One that is killed cannot tell of it.
    with :killed <- reason,
         [{_pid, _native, info}] <- :ets.lookup(table, pid),
         do: Events.context(:crash, info, %{reason: :killed})

    :ets.delete(table, pid)
    :ets.delete(table, {:starting, pid})
    {id, ids} = Map.pop(state.ids, pid)
    {:noreply, %{state | ids: ids, ended: forget([id | state.ended])}}
  end

  defp forget(ended) do
    {kept, forgotten} = Enum.split(ended, @ended)
    Enum.each(forgotten, &:ets.delete(@names, &1))
    kept
  end
end
