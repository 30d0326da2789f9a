defmodule Py.Pool.Table do
  @moduledoc false
  # The pools of this node and the functions that are registered with them. Every process reads them from persistent terms;
  # the process of this module writes them.

  use Py.Server

  alias Py.Native

  @default :default
  @group_scope Py.Router.Groups

  # The name of the process.
  @server Py.Router

  @typedoc "A context of a pool, at its place."
  @type slot :: {pid(), Native.context()}

  @typedoc "The slots, the strategy, and a counter for taking turns."
  @type content :: {tuple(), atom(), :atomics.atomics_ref()}

  @typedoc "The supervisor of the contexts, or `{:own, supervisor}` for one of `Py.Pool`."
  @type owner :: pid() | {:own, pid()}

  @type registrations :: %{(String.t() | {String.t(), String.t()}) => Py.Router.pool()}

  @doc "The scope of the process groups of pools with `pg: true`."
  @spec group_scope() :: atom()
  def group_scope, do: @group_scope

  ## Reading

  # Persistent terms: `{__MODULE__, pool}` holds the content of a pool; `__MODULE__` what most calls need.

  @doc "Returns what most calls need: the registrations, and the content of the default pool or `nil`."
  @spec cached() :: {registrations(), content() | nil}
  def cached, do: :persistent_term.get(__MODULE__, {%{}, nil})

  @doc "The content of a pool; `nil` when it is not started."
  @spec published(Py.Router.pool()) :: content() | nil
  def published(pool), do: :persistent_term.get({__MODULE__, pool}, nil)

  @doc "The slots of a pool; `{}` when it is not started."
  @spec slots(Py.Router.pool()) :: tuple()
  def slots(pool) do
    case published(pool) do
      {slots, _strategy, _cursor} -> slots
      nil -> {}
    end
  end

  @doc "The number of contexts of a pool; 0 when it is not started."
  @spec size(Py.Router.pool()) :: non_neg_integer()
  def size(pool), do: pool |> slots() |> tuple_size()

  @doc "The pids of the contexts of a pool, in order."
  @spec contexts(Py.Router.pool()) :: [pid()]
  def contexts(pool), do: for({pid, _native} <- Tuple.to_list(slots(pool)), do: pid)

  @doc "The native contexts of a pool, in order."
  @spec native_contexts(Py.Router.pool()) :: [Native.context()]
  def native_contexts(pool), do: for({_pid, native} <- Tuple.to_list(slots(pool)), do: native)

  @doc "The mode of a pool; `nil` when it is not started."
  @spec mode(Py.Router.pool()) :: :worker | :owngil | nil
  def mode(pool) do
    case native_contexts(pool) do
      [] -> nil
      [native | _others] -> Native.context_info(native).mode
    end
  end

  @doc "The started pools; none while the application does not run."
  @spec pools() :: [Py.Router.pool()]
  def pools do
    :ets.select(__MODULE__, [{{{:pool, :"$1"}, :_}, [], [:"$1"]}])
  rescue
    # The process is being restarted.
    ArgumentError -> []
  end

  @doc "The owner of a pool; `nil` when it is not started."
  @spec owner(Py.Router.pool()) :: owner() | nil
  def owner(pool) do
    :ets.lookup_element(__MODULE__, {:pool, pool}, 2, nil)
  rescue
    # The process is being restarted.
    ArgumentError -> nil
  end

  @doc "The contexts of all pools: `{pool, index, pid, native context, number of restarts}`."
  @spec places() :: [
          {Py.Router.pool(), pos_integer(), pid(), Native.context(), non_neg_integer()}
        ]
  def places do
    for pool <- pools(),
        {{pid, native}, index} <- Enum.with_index(Tuple.to_list(slots(pool)), 1) do
      {pool, index, pid, native, :ets.lookup_element(__MODULE__, {:starts, pool, index}, 2) - 1}
    end
  rescue
    # The process is being restarted, or that pool was stopped.
    ArgumentError -> []
  end

  @doc "The number of restarts of a slot of a pool; 0 of a slot that is not there."
  @spec restarts(Py.Router.pool() | nil, pos_integer() | nil) :: non_neg_integer()
  def restarts(pool, index) do
    :ets.lookup_element(__MODULE__, {:starts, pool, index}, 2, 1) - 1
  rescue
    # The process is being restarted.
    ArgumentError -> 0
  end

  @doc "Returns `true` if a pool of that owner may be replaced: it has ended, or `new` is its owner already."
  @spec replaceable?(owner() | nil, owner() | nil) :: boolean()
  def replaceable?(nil, _new), do: true
  # The end of an owner may not be in the mailbox yet, or may be behind this message.
  def replaceable?(known, new), do: known == new or not Process.alive?(pid_of(known))

  ## Writing

  @doc "Puts the context of the calling process, which has started, at its place."
  @spec put(Py.Router.pool(), pos_integer(), Native.context()) :: :ok
  def put(pool, index, context) do
    GenServer.call(@server, {:put, pool, index, context, Process.get(:"$ancestors", [])})
  end

  @doc "Makes a pool known as long as its owner, which is about to start the contexts, lives."
  @spec register(Py.Router.pool(), atom(), owner()) ::
          :ok | {:error, {:already_started, Py.Router.pool()}}
  def register(pool, strategy, owner),
    do: GenServer.call(@server, {:new_pool, pool, strategy, owner})

  @doc "Forgets the pools of an owner, which is about to end by itself."
  @spec unregister(owner()) :: :ok
  def unregister(owner), do: GenServer.call(@server, {:ended, owner})

  @doc "Forgets a pool that is about to be stopped. Returns the supervisor of its contexts."
  @spec stop(Py.Router.pool()) :: {:ok, pid()} | {:error, :not_started | :supervised}
  def stop(pool), do: GenServer.call(@server, {:stop_pool, pool})

  @doc "Forgets a pool whose owner has ended."
  @spec forget_dead(Py.Router.pool()) :: :ok
  def forget_dead(pool), do: GenServer.call(@server, {:forget_dead, pool})

  @doc "Sends calls of a module or of `{module, function}` to a pool."
  @spec register_name(Py.Router.pool(), String.t() | {String.t(), String.t()}) :: :ok
  def register_name(pool, name), do: GenServer.call(@server, {:register, name, pool})

  @doc "Undoes `register_name/2`."
  @spec unregister_name(String.t() | {String.t(), String.t()}) :: :ok
  def unregister_name(name), do: GenServer.call(@server, {:unregister, name})

  @doc "The process of this module; `nil` while it is being restarted."
  @spec whereis() :: pid() | nil
  def whereis, do: Process.whereis(@server)

  ## The process

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: @server)

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    # Left by a process that was killed: its pools have ended with it.
    forget_all()
    :ets.new(__MODULE__, [:named_table, :protected, read_concurrency: true])
    {:ok, nil}
  end

  @impl true
  def handle_call({:new_pool, pool, strategy, owner}, _from, state) do
    if replaceable?(owner(pool), owner) do
      Process.monitor(pid_of(owner))
      :ets.insert(__MODULE__, {{:pool, pool}, owner})
      publish(pool, {{}, strategy, :atomics.new(1, signed: false)})
      {:reply, :ok, state}
    else
      {:reply, {:error, {:already_started, pool}}, state}
    end
  end

  def handle_call({:put, pool, index, context, ancestors}, {pid, _tag}, state) do
    # Nothing to put where the pool is being stopped, which another one of that name may have followed.
    with owner when owner != nil <- owner(pool),
         true <- pid_of(owner) in ancestors do
      {slots, strategy, cursor} = published(pool)
      starts = {:starts, pool, index}
      :ets.update_counter(__MODULE__, starts, 1, {starts, 0})
      publish(pool, {place(slots, index - 1, {pid, context}), strategy, cursor})
    end

    {:reply, :ok, state}
  end

  def handle_call({:stop_pool, pool}, _from, state) do
    case owner(pool) do
      nil ->
        {:reply, {:error, :not_started}, state}

      {:own, _supervisor} ->
        {:reply, {:error, :supervised}, state}

      supervisor ->
        forget(pool)
        {:reply, {:ok, supervisor}, state}
    end
  end

  def handle_call({:forget_dead, pool}, _from, state) do
    if replaceable?(owner(pool), nil), do: forget(pool)
    {:reply, :ok, state}
  end

  def handle_call({:ended, owner}, _from, state) do
    ended(pid_of(owner))
    {:reply, :ok, state}
  end

  def handle_call({:register, name, pool}, _from, state) do
    publish_cached(Map.put(registrations(), name, pool))
    {:reply, :ok, state}
  end

  def handle_call({:unregister, name}, _from, state) do
    publish_cached(Map.delete(registrations(), name))
    {:reply, :ok, state}
  end

  # A pool has ended otherwise than by `stop/1`.
  @impl true
  def handle_info({:DOWN, _monitor, :process, supervisor, _reason}, state) do
    ended(supervisor)
    {:noreply, state}
  end

  # Of a supervisor that a caller of `Py.Router.start_pool/3` has started.
  def handle_info({:EXIT, _pid, _reason}, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, _state), do: forget_all()

  defp ended(supervisor) do
    for known <- [supervisor, {:own, supervisor}],
        [pool] <- :ets.match(__MODULE__, {{:pool, :"$1"}, known}),
        do: forget(pool)
  end

  defp pid_of({:own, supervisor}), do: supervisor
  defp pid_of(supervisor), do: supervisor

  defp forget(pool) do
    :ets.delete(__MODULE__, {:pool, pool})
    :persistent_term.erase({__MODULE__, pool})
    publish_cached(registrations())
    :ets.match_delete(__MODULE__, {{:starts, pool, :_}, :_})
  end

  defp forget_all do
    for {{__MODULE__, _pool} = key, {_slots, _strategy, _cursor}} <- :persistent_term.get(),
        do: :persistent_term.erase(key)

    publish_cached(%{})
  end

  # Contexts start in order, so there are no holes.
  defp place(slots, index, slot) when index < tuple_size(slots), do: put_elem(slots, index, slot)

  defp place(slots, index, slot) when index == tuple_size(slots),
    do: Tuple.insert_at(slots, index, slot)

  defp publish(pool, content) do
    :persistent_term.put({__MODULE__, pool}, content)
    publish_cached(registrations())
  end

  defp publish_cached(registrations),
    do: :persistent_term.put(__MODULE__, {registrations, published(@default)})

  defp registrations, do: elem(cached(), 0)
end
