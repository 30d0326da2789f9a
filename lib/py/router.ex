defmodule Py.Router do
  @moduledoc """
  Chooses the context that serves a call.

  The application starts a default pool, `:default`, of `num_contexts` contexts in `context_mode`. Start others for work that
  needs another mode, other modules, or contexts of its own:

      iex> {:ok, [_, _]} = Py.Router.start_pool(:ml, 2, mode: :worker, preload: "import math")
      iex> Py.call(:math, :sqrt, [16], context: :ml)
      {:ok, 4.0}
      iex> Py.Router.register_pool(:ml, :statistics)
      iex> Py.call(:statistics, :mean, [[1, 2, 3]])
      {:ok, 2}
      iex> Py.Router.unregister_pool(:statistics)
      iex> Py.Router.stop_pool(:ml)
      :ok

  A call goes, in this order, to: its `:context` or `:env`; the context of a handle it uses; the pool its function or module is
  registered with; the context its process is bound to; the default pool, by its strategy (`Py.Router.Strategy`).

  A context that ends is replaced at the same index. Calls it has taken fail with `Py.ContextError`; those that find it
  ended, before its replacement is there, go to another context of its pool.

  With `pg: true` the contexts of a pool join a process group. Nodes that have no pool of that name use its members on
  connected nodes: `Py.call(:math, :sqrt, [16], context: :ml)` works there too, for values (not for handles).
  """

  use Py.Server

  alias Py.{Context, Native}

  @typedoc "Name of a pool."
  @type pool :: atom()

  @default :default

  # Persistent terms: `{__MODULE__, pool}` holds `{slots, strategy, turn}`; `__MODULE__` what most calls need,
  # `{registrations, that of the default pool or nil}`.
  @group_scope Py.Router.Groups

  # What a process is given, kept in its dictionary: `{:sticky, index}`, or what it was bound to.
  @own :"$py_context"

  @doc false
  def group_scope, do: @group_scope

  ## Contexts

  @doc """
  The number of contexts in a pool; 0 when it is not started.
  """
  @spec num_contexts(pool()) :: non_neg_integer()
  def num_contexts(pool \\ @default), do: tuple_size(slots(pool))

  @doc "The mode of a pool, or `nil` when it is not started."
  @spec mode(pool()) :: :worker | :owngil | nil
  def mode(pool \\ @default) do
    case slots(pool) do
      {} -> nil
      slots -> slots |> native(0) |> elem(1) |> Native.context_info() |> Map.fetch!(:mode)
    end
  end

  @doc """
  The pids of the contexts in a pool, in order.

      iex> length(Py.Router.contexts()) == Py.Router.num_contexts()
      true
  """
  @spec contexts(pool()) :: [pid()]
  def contexts(pool \\ @default), do: for({pid, _context} <- Tuple.to_list(slots(pool)), do: pid)

  @doc false
  # Of all pools: `{pool, index, pid, native context, how often it was filled anew}`.
  def places do
    for pool <- pools(),
        {{pid, native}, index} <- Enum.with_index(Tuple.to_list(slots(pool)), 1) do
      {pool, index, pid, native, :ets.lookup_element(__MODULE__, {:starts, pool, index}, 2) - 1}
    end
  rescue
    # The router is being restarted, or that pool was stopped.
    ArgumentError -> []
  end

  @doc false
  def native_contexts(pool), do: for({_pid, context} <- Tuple.to_list(slots(pool)), do: context)

  @doc "The context that serves the calling process by default."
  @spec get_context() :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def get_context do
    with {:ok, context} <- pick_bound(@default), do: {:ok, Native.context_owner(context)}
  end

  @doc "Context number `index`, from 1, of the default pool; or a context of a pool, by its strategy."
  @spec get_context(pos_integer() | pool()) :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def get_context(index) when is_integer(index) do
    slots = slots(@default)

    if index in 1..tuple_size(slots)//1,
      do: {:ok, slots |> elem(index - 1) |> elem(0)},
      else: not_found(index)
  end

  def get_context(pool) when is_atom(pool) do
    with {:ok, context} <- pick_bound(pool), do: {:ok, Native.context_owner(context)}
  end

  @doc """
  Binds the calling process to a context: its calls go there, in its own namespace, until `unbind_context/0`.

  `context` is a number in the default pool, whose replacement is used when it ends, or a pid. A context of yours that ends
  is forgotten: the pool serves the process again.
  """
  @spec bind_context(pos_integer() | pid()) :: :ok | {:error, Py.ContextError.t()}
  def bind_context(context), do: bind_context(@default, context)

  @doc "Binds the calling process to a context for its calls to `pool`. `context` is a number in that pool, or a pid."
  @spec bind_context(pool(), pos_integer() | pid()) :: :ok | {:error, Py.ContextError.t()}
  def bind_context(pool, index) when is_integer(index) do
    if index in 1..num_contexts(pool)//1 do
      Process.put(key(pool), {:bound, index - 1})
      :ok
    else
      not_found(index)
    end
  end

  def bind_context(pool, pid) when is_pid(pid) do
    case Enum.find_index(contexts(pool), &(&1 == pid)) do
      nil ->
        with {:ok, _native} <- Context.lookup(pid) do
          Process.put(key(pool), pid)
          :ok
        end

      index ->
        bind_context(pool, index + 1)
    end
  end

  @doc "Undoes `bind_context/1`."
  @spec unbind_context() :: :ok
  def unbind_context, do: unbind_context(@default)

  @doc "Undoes `bind_context/2`."
  @spec unbind_context(pool()) :: :ok
  def unbind_context(pool) do
    Process.delete(key(pool))
    :ok
  end

  ## Pools

  # Each context is a thread.
  @max_size 10_000

  @doc """
  Starts a pool of `size` contexts, supervised by the application.

    * `:mode` - `:worker` (default) or `:owngil`
    * `:strategy` - `:affinity` (default), `:round_robin`, `:least_busy` or a `Py.Router.Strategy`
    * `:replace_stuck` - milliseconds after which a stuck context is replaced by a new one, or `:never`. Default: the
      configured `:replace_stuck` (600_000). Its thread is left to itself: see
      [Stuck contexts](contexts.md#stuck-contexts)
    * `:pg` - `true` lets other nodes use its contexts
    * `:paths`, `:preload`, `:max_queue`, `:start_timeout` - as for `Py.Context.start_link/1`

  Errors: `{:error, {:already_started, pool}}`, `{:error, %Py.ContextError{}}` when a context cannot start.
  """
  @spec start_pool(pool(), pos_integer(), keyword()) ::
          {:ok, [pid()]} | {:error, {:already_started, pool()} | Py.ContextError.t()}
  def start_pool(pool, size, options \\ []) do
    {strategy, options} = check_pool!(pool, size, options)
    start(pool, size, strategy, options)
  end

  @doc false
  # The strategy, and the options of the pool's contexts.
  def check_pool!(pool, size, options) do
    if not (is_atom(pool) and pool not in [nil, true, false]),
      do: raise(ArgumentError, "expected a pool name as an atom, got: #{inspect(pool)}")

    Py.Application.running!()

    if not (is_integer(size) and size in 1..@max_size) do
      raise ArgumentError,
            "expected a positive number of contexts, at most #{@max_size}, got: #{inspect(size)}"
    end

    {strategy, options} = Keyword.pop(options, :strategy, :affinity)
    {pg, options} = Keyword.pop(options, :pg, false)
    strategy!(strategy)

    if not is_boolean(pg),
      do: raise(ArgumentError, "invalid :pg #{inspect(pg)}, expected a boolean")

    if Keyword.has_key?(options, :name),
      do: raise(ArgumentError, "unknown option :name, a pool names its contexts by number")

    Context.Server.check!(options, [:strategy, :pg, :replace_stuck])
    {strategy, [pg: pg] ++ options}
  end

  @doc """
  Like `start_pool/3`, but a pool that is started already is fine when it has that many contexts (`nil`: any number) of that
  `:mode` (if given): its contexts are returned. Otherwise `{:error, {:already_started, settings}}` with what it has.
  """
  @spec ensure_pool(pool(), pos_integer() | nil, keyword()) ::
          {:ok, [pid()]}
          | {:error, {:already_started, %{contexts: pos_integer(), mode: :worker | :owngil}}}
          | {:error, Py.ContextError.t()}
  def ensure_pool(pool, size, options \\ []) do
    case start_pool(pool, size || Py.Config.get(:num_contexts), options) do
      {:error, {:already_started, ^pool}} -> same_pool(pool, size, options[:mode])
      other -> other
    end
  end

  defp same_pool(pool, size, mode) do
    has = %{contexts: num_contexts(pool), mode: mode(pool)}

    if size in [nil, has.contexts] and mode in [nil, has.mode],
      do: {:ok, contexts(pool)},
      else: {:error, {:already_started, has}}
  end

  @doc """
  Stops a pool: pending calls fail with `Py.ContextError`.

  Errors: `{:error, :not_started}`, and `{:error, :supervised}` for a `Py.Pool`, which its supervisor would start again: stop it
  there, with `Supervisor.terminate_child/2`.
  """
  @spec stop_pool(pool()) :: :ok | {:error, :not_started | :supervised}
  def stop_pool(pool) do
    # The supervisor is stopped here and not in the router, which its contexts may be about to call.
    case GenServer.call(__MODULE__, {:stop_pool, pool}) do
      {:ok, supervisor} ->
        # All at once, so that stopping them one after the other waits for none of them alone.
        Enum.each(children(supervisor), &Context.Server.prepare_stop/1)
        # Or it has ended by itself meanwhile.
        _ended = DynamicSupervisor.terminate_child(Py.Pools, supervisor)
        :ok

      {:error, reason} ->
        {:error, reason}
    end
  end

  defp children(supervisor) do
    for {_id, pid, _kind, _modules} <- Supervisor.which_children(supervisor), is_pid(pid), do: pid
  catch
    :exit, _ended -> []
  end

  @doc "Whether a pool is started."
  @spec pool_started?(pool()) :: boolean()
  def pool_started?(pool), do: published(pool) != nil

  @doc "The started pools; none while the application does not run."
  @spec pools() :: [pool()]
  def pools do
    :ets.select(__MODULE__, [{{{:pool, :"$1"}, :_}, [], [:"$1"]}])
  rescue
    # The router is being restarted.
    ArgumentError -> []
  end

  @doc "Starts the default pool again, after `stop/0`. Options: `:contexts`, `:mode`, and those of `start_pool/3`."
  @spec start(keyword()) ::
          {:ok, [pid()]} | {:error, {:already_started, pool()} | Py.ContextError.t()}
  def start(options \\ []) do
    {size, options} = Keyword.pop(options, :contexts, Py.Config.get(:num_contexts))
    defaults = [mode: Py.Config.get(:context_mode), strategy: Py.Config.get(:strategy)]
    start_pool(@default, size, Keyword.merge(defaults, options))
  end

  @doc "Stops the default pool."
  @spec stop() :: :ok | {:error, :not_started}
  def stop, do: stop_pool(@default)

  ## Registration

  @doc """
  Sends calls of a module, or of one function, to a pool: `register_pool(:ml, :numpy)`, `register_pool(:ml, {:numpy, :dot})`.

  The names are compared as they are written in the call. A function's registration goes before its module's.
  """
  @spec register_pool(pool(), Py.name() | {Py.name(), Py.name()}) :: :ok
  def register_pool(pool, what) when is_atom(pool),
    do: GenServer.call(__MODULE__, {:register, registered(what), pool})

  @doc "Undoes `register_pool/2`."
  @spec unregister_pool(Py.name() | {Py.name(), Py.name()}) :: :ok
  def unregister_pool(what), do: GenServer.call(__MODULE__, {:unregister, registered(what)})

  @doc "The pool that calls of a function go to, or `nil`."
  @spec lookup_pool(Py.name(), Py.name()) :: pool() | nil
  def lookup_pool(module, function) do
    case registrations() do
      none when map_size(none) == 0 -> nil
      registrations -> find(registrations, to_string(module), function)
    end
  end

  @doc "All registrations, as a map of module or `{module, function}` to pool, with names as strings."
  @spec registrations() :: %{(String.t() | {String.t(), String.t()}) => pool()}
  def registrations, do: elem(usual(), 0)

  defp usual, do: :persistent_term.get(__MODULE__, {%{}, nil})

  defp find(registrations, module, function) do
    Map.get(registrations, {module, to_string(function)}) || Map.get(registrations, module)
  end

  defp registered({module, function}), do: {to_string(module), to_string(function)}
  defp registered(module), do: to_string(module)

  ## The choice

  @doc false
  # Where an operation without an explicit context goes.
  @spec route(Py.Boundary.operation()) ::
          {:default, Native.context()}
          | {:ok, Native.context()}
          | {:remote, pid()}
          | {:error, Py.ContextError.t()}
  def route({:call, module, function, _args, _kwargs}) when not is_struct(module) do
    {registrations, default} = usual()

    pool =
      if map_size(registrations) > 0, do: find(registrations, to_string(module), function)

    if pool, do: pick(pool), else: default(default)
  end

  def route(_operation), do: usual() |> elem(1) |> default()

  defp default(pool) do
    with {:ok, context} <- pick_bound(@default, pool), do: {:default, context}
  end

  @doc false
  # A context of a pool, here or else on another node.
  def pick(pool) do
    with {:error, _not_found} <- pick_bound(pool) do
      case :pg.get_members(@group_scope, pool) do
        [] -> not_found(pool)
        members -> {:remote, Enum.random(members)}
      end
    end
  end

  @doc false
  # Whether `name` is a pool, of this node or of another one.
  def pool?(name), do: pool_started?(name) or :pg.get_members(@group_scope, name) != []

  defp pick_bound(pool), do: pick_bound(pool, published(pool))

  defp pick_bound(pool, nil), do: not_found(pool)

  defp pick_bound(pool, {slots, strategy, turn}),
    do: choose(pool, Process.get(key(pool)), slots, strategy, turn)

  defp choose(pool, own, slots, strategy, turn) do
    size = tuple_size(slots)

    case own do
      {:sticky, index} when strategy == :affinity and index < size ->
        sticky(pool, index, slots, turn)

      {:bound, index} when index < size ->
        native(slots, index)

      pid when is_pid(pid) ->
        bound(pool, pid, slots, strategy, turn)

      _none when size == 0 ->
        not_found(pool)

      _none ->
        native(slots, by(strategy, pool, slots, turn))
    end
  end

  defp bound(pool, pid, slots, strategy, turn) do
    with {:error, _ended} <- Context.lookup(pid) do
      unbind_context(pool)
      choose(pool, nil, slots, strategy, turn)
    end
  end

  defp native(slots, index), do: {:ok, slots |> elem(index) |> elem(1)}

  # Of the default pool the native side tells, with the call.
  defp sticky(@default, index, slots, _turn), do: native(slots, index)

  defp sticky(pool, index, slots, turn) do
    if stuck?(slots, index),
      do: native(slots, by(:affinity, pool, slots, turn)),
      else: native(slots, index)
  end

  @doc false
  # Where a call of the default pool goes whose context is stuck.
  @spec move(Native.context()) :: Native.context()
  def move(context) do
    with own when own == nil or elem(own, 0) == :sticky <- Process.get(@own),
         {slots, strategy, turn} when slots != {} <- published(@default) do
      slots |> elem(by(strategy, @default, slots, turn)) |> elem(1)
    else
      _bound_or_stopped -> context
    end
  end

  # The next one in turn that no long request keeps from its queue, else the one with the least of them.
  defp by(:affinity, pool, slots, turn) do
    index = least(slots, turn, fn index -> {pressure(slots, index), load(slots, index)} end)
    # What a callback calls runs where its Python code runs, not here.
    nested? = pool == @default and Native.is_nested(Process.get(:"$callers", []))
    if not nested?, do: Process.put(key(pool), {:sticky, index})
    index
  end

  defp by(:round_robin, _pool, slots, turn), do: least(slots, turn, &stuck?(slots, &1))

  defp by(:least_busy, _pool, slots, _turn),
    do: Enum.min_by(0..(tuple_size(slots) - 1), &{stuck?(slots, &1), load(slots, &1)})

  defp by(strategy, pool, slots, _turn) do
    size = tuple_size(slots)

    case strategy.pick(pool, size, &load(slots, &1)) do
      index when is_integer(index) and index >= 0 and index < size ->
        if stuck?(slots, index),
          do: Enum.min_by(0..(size - 1), &{stuck?(slots, &1), load(slots, &1)}),
          else: index

      other ->
        raise ArgumentError,
              "#{inspect(strategy)}.pick/3 returned #{inspect(other)}, expected 0 to #{size - 1}"
    end
  end

  # The first in turn of which nothing speaks against it, else that with the least `weight`.
  defp least(slots, turn, weight) do
    size = tuple_size(slots)
    first = rem(:atomics.add_get(turn, 1, 1), size)
    indexes = for offset <- 0..(size - 1), do: rem(first + offset, size)
    Enum.find(indexes, &(pressure(slots, &1) == 0)) || Enum.min_by(indexes, weight)
  end

  defp stuck?(slots, index), do: pressure(slots, index) == 2
  defp pressure(slots, index), do: slots |> elem(index) |> elem(1) |> Native.context_pressure()
  defp load(slots, index), do: slots |> elem(index) |> elem(1) |> Native.context_load()

  # Another context for a request that `context`, stopped, has refused: only where the router chose it, or where the
  # request is about objects of the main interpreter, which all worker contexts share.
  @doc false
  def other(context, namespace, options) do
    if is_pid(namespace) or match?({:default, _pid}, namespace) or
         (options.context == nil and options.env == nil) do
      pool = pool_of(context) || @default

      case Enum.filter(Tuple.to_list(slots(pool)), &alive?(&1, context)) do
        [] -> :error
        alive -> {:ok, alive |> Enum.random() |> elem(1)}
      end
    else
      :error
    end
  end

  defp pool_of(context) do
    Enum.find(pools(), fn pool -> List.keymember?(Tuple.to_list(slots(pool)), context, 1) end)
  end

  defp alive?({_pid, other}, context),
    do: other != context and elem(Native.context_state(other), 1)

  # A tuple of `{pid, native context}`. Read by every call, written when a context starts.
  defp slots(pool) do
    case published(pool) do
      {slots, _strategy, _turn} -> slots
      nil -> {}
    end
  end

  defp published(pool), do: :persistent_term.get({__MODULE__, pool}, nil)

  defp key(@default), do: @own
  defp key(pool), do: {@own, pool}

  defp not_found(what), do: {:error, %Py.ContextError{reason: :not_found, context: what}}

  defp strategy!(strategy) when strategy in [:affinity, :round_robin, :least_busy], do: :ok

  defp strategy!(strategy) do
    if not (is_atom(strategy) and Code.ensure_loaded?(strategy) and
              function_exported?(strategy, :pick, 3)) do
      raise ArgumentError,
            "invalid :strategy #{inspect(strategy)}, expected :affinity, :round_robin, :least_busy or a module " <>
              "with the behaviour Py.Router.Strategy"
    end
  end

  ## The process that owns the tables

  @doc false
  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc false
  # Called by a context of a pool when it has started.
  def put(pool, index, context) do
    GenServer.call(__MODULE__, {:put, pool, index, context, Process.get(:"$ancestors", [])})
  end

  @doc false
  # Makes a pool known, as long as `owner` lives: the supervisor that is about to start its contexts, or `{:own, supervisor}`
  # for one of `Py.Pool`.
  @spec register(pool(), module() | atom(), pid() | {:own, pid()}) ::
          :ok | {:error, {:already_started, pool()}}
  def register(pool, strategy, owner),
    do: GenServer.call(__MODULE__, {:new_pool, pool, strategy, owner})

  @doc false
  # Before it ends by itself.
  def unregister(owner), do: GenServer.call(__MODULE__, {:ended, owner})

  # Contexts report to the router while they start, so it is not the one that starts them.
  defp start(pool, size, strategy, options) do
    child = {Context.Supervisor, {pool, size, strategy, options}}

    # Looked at first, because pools start one after the other.
    with true <- replaceable?(owner(pool), nil),
         {:ok, supervisor} <- DynamicSupervisor.start_child(Py.Pools, child) do
      if owner(pool) == supervisor,
        do: {:ok, contexts(pool)},
        else: {:error, %Py.ContextError{reason: :stopped, context: pool}}
    else
      started when started in [false, :ignore] ->
        {:error, {:already_started, pool}}

      {:error, reason} ->
        GenServer.call(__MODULE__, {:forget_dead, pool})
        {:error, start_error(reason)}
    end
  end

  @doc false
  # Why a supervisor of contexts, or of one of those, has not started.
  def start_error({:shutdown, {:failed_to_start_child, _id, reason}}), do: start_error(reason)
  def start_error({:shutdown, reason}), do: start_error(reason)
  def start_error(%Py.ContextError{} = error), do: error
  def start_error({:already_started, pool}), do: {:already_started, pool}
  def start_error(other), do: %Py.ContextError{reason: {:failed, inspect(other)}}

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    # Left by a router that was killed: its pools have ended with it.
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
      {slots, strategy, turn} = published(pool)
      starts = {:starts, pool, index}
      :ets.update_counter(__MODULE__, starts, 1, {starts, 0})
      publish(pool, {place(slots, index - 1, {pid, context}), strategy, turn})
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

  def handle_call({:register, what, pool}, _from, state) do
    publish_usual(Map.put(registrations(), what, pool))
    {:reply, :ok, state}
  end

  def handle_call({:unregister, what}, _from, state) do
    publish_usual(Map.delete(registrations(), what))
    {:reply, :ok, state}
  end

  # It has ended, which is not in the mailbox yet, or is behind this message; or its supervisor starts it anew.
  defp replaceable?(nil, _new), do: true
  defp replaceable?(known, new), do: known == new or not Process.alive?(pid_of(known))

  defp owner(pool) do
    :ets.lookup_element(__MODULE__, {:pool, pool}, 2, nil)
  rescue
    # The router is being restarted.
    ArgumentError -> nil
  end

  defp pid_of({:own, supervisor}), do: supervisor
  defp pid_of(supervisor), do: supervisor

  # A pool has ended otherwise than by `stop_pool/1`.
  @impl true
  def handle_info({:DOWN, _monitor, :process, supervisor, _reason}, state) do
    ended(supervisor)
    {:noreply, state}
  end

  # Of a supervisor that a caller of `start_pool` has started.
  def handle_info({:EXIT, _pid, _reason}, state), do: {:noreply, state}

  defp ended(supervisor) do
    for known <- [supervisor, {:own, supervisor}],
        [pool] <- :ets.match(__MODULE__, {{:pool, :"$1"}, known}),
        do: forget(pool)
  end

  @impl true
  def terminate(_reason, _state), do: forget_all()

  defp forget(pool) do
    :ets.delete(__MODULE__, {:pool, pool})
    :persistent_term.erase({__MODULE__, pool})
    publish_usual(registrations())
    :ets.match_delete(__MODULE__, {{:starts, pool, :_}, :_})
  end

  defp forget_all do
    for {{__MODULE__, _pool} = key, {_slots, _strategy, _turn}} <- :persistent_term.get(),
        do: :persistent_term.erase(key)

    publish_usual(%{})
  end

  # Contexts start in order, so there are no holes.
  defp place(slots, index, slot) when index < tuple_size(slots), do: put_elem(slots, index, slot)

  defp place(slots, index, slot) when index == tuple_size(slots),
    do: Tuple.insert_at(slots, index, slot)

  defp publish(pool, content) do
    :persistent_term.put({__MODULE__, pool}, content)
    publish_usual(registrations())
  end

  defp publish_usual(registrations),
    do: :persistent_term.put(__MODULE__, {registrations, published(@default)})
end
