defmodule Py.Router do
  @moduledoc """
  Chooses the context that serves a call.

  The application starts a default pool, `:default`, of `num_contexts` contexts in `context_mode`. Start others for work that
  needs another mode, other modules, or contexts of its own:

      iex> {:ok, [_, _]} = Py.Router.start_pool(:ml, 2, mode: :worker, preload: "import math")
      iex> Py.call(:math, :sqrt, [16], context: :ml)
      {:ok, 4.0}
      iex> Py.Router.stop_pool(:ml)
      :ok

  A call goes, in this order, to: its `:context` or `:env`; the context of a handle it uses; the pool its function or module is
  registered with; the context its process is bound to; the default pool, by its strategy (`Py.Router.Strategy`).

  `register_pool/2` and `bind_context/1` are there for compatibility: `context:` says the same where the call is.

  A context that ends is replaced at the same index. Calls it has taken fail with `Py.ContextError`; those that find it
  ended, before its replacement is there, go to another context of its pool.

  With `pg: true` the contexts of a pool join a process group. Nodes that have no pool of that name use its members on
  connected nodes: `Py.call(:math, :sqrt, [16], context: :ml)` works there too, for values (not for handles).
  """

  alias Py.{Context, Native, Operation, Options}
  alias Py.Pool.{Control, Table}
  alias Py.Router.Choice

  @typedoc "Name of a pool."
  @type pool :: atom()

  @typedoc "Options of `start_pool/3`."
  @type option :: unquote(Py.Schema.spec(:pool))

  @default :default

  @doc false
  def group_scope, do: Table.group_scope()

  ## Contexts

  @doc "The number of contexts in a pool; 0 when it is not started."
  @doc since: "0.1.0"
  @spec num_contexts(pool()) :: non_neg_integer()
  def num_contexts(pool \\ @default), do: Table.size(pool)

  @doc "The mode of a pool, or `nil` when it is not started."
  @doc since: "0.1.0"
  @spec mode(pool()) :: :worker | :owngil | nil
  def mode(pool \\ @default), do: Table.mode(pool)

  @doc """
  The pids of the contexts in a pool, in order.

      iex> length(Py.Router.contexts()) == Py.Router.num_contexts()
      true
  """
  @doc since: "0.1.0"
  @spec contexts(pool()) :: [pid()]
  def contexts(pool \\ @default), do: Table.contexts(pool)

  @doc """
  The context that serves the calling process by default.

  ## Errors

  `{:error, %Py.ContextError{reason: :not_found}}` when the default pool is not started: see `start/1`.
  """
  @doc since: "0.1.0"
  @spec get_context() :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def get_context, do: get_context(@default)

  @doc """
  Context number `index`, from 1, of the default pool; or a context of a pool, by its strategy.

  ## Errors

  `{:error, %Py.ContextError{reason: :not_found}}` when there is no such context or pool.
  """
  @doc since: "0.1.0"
  @spec get_context(pos_integer() | pool()) :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def get_context(index) when is_integer(index) do
    slots = Table.slots(@default)

    if index in 1..tuple_size(slots)//1,
      do: {:ok, slots |> elem(index - 1) |> elem(0)},
      else: Context.Table.not_found(index)
  end

  def get_context(pool) when is_atom(pool) do
    case Choice.pick(pool) do
      nil -> Context.Table.not_found(pool)
      context -> {:ok, Native.context_owner(context)}
    end
  end

  ## Pools

  @doc """
  Starts a pool of `size` contexts, supervised by the application.

  ## Options

  #{Py.Schema.Docs.options(:pool)}

  See [Stuck contexts](contexts.md#stuck-contexts) for `:replace_stuck`.

  ## Errors

    * `{:error, {:already_started, pool}}` - see `ensure_pool/3`
    * `{:error, %Py.ContextError{}}` - a context cannot start: `:reason` has the traceback of its `:preload`

  Raises `ArgumentError` for a wrong option or size (1 to 10,000).
  """
  @doc since: "0.1.0"
  @spec start_pool(pool(), pos_integer(), [option()]) ::
          {:ok, [pid()]} | {:error, {:already_started, pool()} | Py.ContextError.t()}
  def start_pool(pool, size, options \\ []), do: Control.start(pool, size, options)

  @doc """
  Like `start_pool/3`, but a pool that is started already is fine when it has that many contexts (`nil`: any number) of that
  `:mode` (if given): its contexts are returned. Options are those of `start_pool/3`.

  ## Errors

  Those of `start_pool/3`; and `{:error, {:already_started, settings}}`, with what another pool has.
  """
  @doc since: "0.1.0"
  @spec ensure_pool(pool(), pos_integer() | nil, [option()]) ::
          {:ok, [pid()]}
          | {:error, {:already_started, %{contexts: pos_integer(), mode: :worker | :owngil}}}
          | {:error, Py.ContextError.t()}
  def ensure_pool(pool, size, options \\ []), do: Control.ensure(pool, size, options)

  @doc """
  Stops a pool: pending calls fail with `Py.ContextError`.

  ## Errors

    * `{:error, :not_started}` - there is no such pool
    * `{:error, :supervised}` - a `Py.Pool`, which its supervisor would start again: stop it there, with
      `Supervisor.terminate_child/2`
  """
  @doc since: "0.1.0"
  @spec stop_pool(pool()) :: :ok | {:error, :not_started | :supervised}
  def stop_pool(pool), do: Control.stop(pool)

  @doc "Returns `true` if a pool is started."
  @doc since: "0.1.0"
  @spec pool_started?(pool()) :: boolean()
  def pool_started?(pool), do: Table.published(pool) != nil

  @doc "The started pools; none while the application does not run."
  @doc since: "0.1.0"
  @spec pools() :: [pool()]
  def pools, do: Table.pools()

  @doc """
  Starts the default pool again, after `stop/0`.

  ## Options

  #{Py.Schema.Docs.options(:default_pool)}

  The configured `context_mode` and `strategy` are the defaults of `:mode` and `:strategy`.

  ## Errors

  Those of `start_pool/3`.
  """
  @doc since: "0.1.0"
  @spec start([option() | {:contexts, pos_integer()}]) ::
          {:ok, [pid()]} | {:error, {:already_started, pool()} | Py.ContextError.t()}
  def start(options \\ []) do
    {size, options} = Keyword.pop(options, :contexts, Py.Config.get(:num_contexts))
    defaults = [mode: Py.Config.get(:context_mode), strategy: Py.Config.get(:strategy)]
    Control.start(@default, size, Keyword.merge(defaults, options), :default_pool)
  end

  @doc "Stops the default pool. Errors are those of `stop_pool/1`."
  @doc since: "0.1.0"
  @spec stop() :: :ok | {:error, :not_started}
  def stop, do: stop_pool(@default)

  ## Compatibility: the Erlang API, and applications that came from it

  @doc """
  Binds the calling process to a context: its calls go there, in its own namespace, until `unbind_context/0`.

  `context` is a number in the default pool, whose replacement is used when it ends, or a pid. A context of yours that ends
  is forgotten: the pool serves the process again. For one call, `context: context, namespace: :process` does the same.

  ## Errors

  `{:error, %Py.ContextError{reason: :not_found}}` when there is no such context.
  """
  @doc group: "Compatibility", since: "0.1.0"
  @spec bind_context(pos_integer() | pid()) :: :ok | {:error, Py.ContextError.t()}
  def bind_context(context), do: bind_context(@default, context)

  @doc """
  Binds the calling process to a context for its calls to `pool`. `context` is a number in that pool, or a pid. Errors are
  those of `bind_context/1`.
  """
  @doc group: "Compatibility", since: "0.1.0"
  @spec bind_context(pool(), pos_integer() | pid()) :: :ok | {:error, Py.ContextError.t()}
  def bind_context(pool, index) when is_integer(index) do
    if index in 1..Table.size(pool)//1,
      do: Choice.bind(pool, {:bound, index - 1}),
      else: Context.Table.not_found(index)
  end

  def bind_context(pool, pid) when is_pid(pid) do
    case Enum.find_index(Table.contexts(pool), &(&1 == pid)) do
      nil -> with({:ok, _native} <- Context.Table.lookup(pid), do: Choice.bind(pool, pid))
      index -> bind_context(pool, index + 1)
    end
  end

  @doc "Undoes `bind_context/1`."
  @doc group: "Compatibility", since: "0.1.0"
  @spec unbind_context() :: :ok
  def unbind_context, do: unbind_context(@default)

  @doc "Undoes `bind_context/2`."
  @doc group: "Compatibility", since: "0.1.0"
  @spec unbind_context(pool()) :: :ok
  def unbind_context(pool), do: Choice.unbind(pool)

  @doc """
  Sends calls of a module, or of one function, to a pool: `register_pool(:ml, :numpy)`, `register_pool(:ml, {:numpy, :dot})`.

      iex> Py.Router.register_pool(:default, :statistics)
      :ok
      iex> Py.Router.lookup_pool(:statistics, :mean)
      :default
      iex> Py.Router.unregister_pool(:statistics)
      :ok

  The names are compared as they are written in the call. A function's registration goes before its module's. The pool need
  not be started: calls fail with `Py.ContextError` until it is.
  """
  @doc group: "Compatibility", since: "0.1.0"
  @spec register_pool(pool(), Py.name() | {Py.name(), Py.name()}) :: :ok
  def register_pool(pool, what) when is_atom(pool),
    do: Table.register_name(pool, registered(what))

  @doc "Undoes `register_pool/2`."
  @doc group: "Compatibility", since: "0.1.0"
  @spec unregister_pool(Py.name() | {Py.name(), Py.name()}) :: :ok
  def unregister_pool(what), do: what |> registered() |> Table.unregister_name()

  @doc "The pool that calls of a function go to, or `nil`."
  @doc group: "Compatibility", since: "0.1.0"
  @spec lookup_pool(Py.name(), Py.name()) :: pool() | nil
  def lookup_pool(module, function) do
    case registrations() do
      none when map_size(none) == 0 -> nil
      registrations -> find(registrations, to_string(module), function)
    end
  end

  @doc "All registrations, as a map of module or `{module, function}` to pool, with names as strings."
  @doc group: "Compatibility", since: "0.1.0"
  @spec registrations() :: %{(String.t() | {String.t(), String.t()}) => pool()}
  def registrations, do: elem(Table.cached(), 0)

  defp find(registrations, module, function) do
    Map.get(registrations, {module, to_string(function)}) || Map.get(registrations, module)
  end

  defp registered({module, function}), do: {to_string(module), to_string(function)}
  defp registered(module), do: to_string(module)

  ## The order of the guide *Routing*: where an operation runs

  @doc false
  # Returns the context and the namespace: `:context`, that of the context; a pid, that of the process; a reference, that of a
  # `Py.Env`. In `{:process, pid}` and `{:default, pid}` it is that of the Python code which the process serves, if it serves
  # a callback of this context, and else that of the process. Only the NIF knows which request a process serves, so it applies
  # rule 5: it takes the context that rules 6 and 7 have chosen, with `{:default, pid}`, as a proposal.
  # A `:cast` is taken as it comes, because nobody waits for it.
  @spec route(Operation.t(), Options.t(), :call | :cast) ::
          {:ok, Native.context(), Choice.namespace()}
          | {:remote, pid()}
          | {:error, Py.ContextError.t()}
  def route(operation, options, kind \\ :call)

  # 1. The context of `:env`.
  def route(_operation, %{env: %Py.Env{object: object}}, _kind) do
    with {:ok, context} <- local(object), do: {:ok, context, object.ref}
  end

  def route(operation, %{context: nil}, kind) do
    case handle(operation) do
      nil -> registered_or_own(operation, kind)
      # 3. The context of a handle, in the namespace of the calling process.
      object -> with {:ok, context} <- local(object), do: {:ok, context, self()}
    end
  end

  # 2. `:context`.
  def route(_operation, %{context: pid}, _kind) when is_pid(pid) and node(pid) != node(),
    do: {:remote, pid}

  def route(_operation, %{context: context} = options, _kind) do
    if is_atom(context) and pool?(context) do
      pick(context)
    else
      with {:ok, native} <- lookup(context), do: {:ok, native, explicit(options)}
    end
  end

  # 4. The pool that the function, or else the module, is registered with.
  defp registered_or_own({:call, module, function, _args, _kwargs}, kind) do
    {registrations, default} = Table.cached()

    pool =
      if map_size(registrations) > 0, do: find(registrations, to_string(module), function)

    if pool, do: pick(pool), else: own(default, kind)
  end

  defp registered_or_own(_operation, kind), do: Table.cached() |> elem(1) |> own(kind)

  # 6. The context the process is bound to. 7. The default pool, by its strategy.
  defp own(default, kind) do
    case Choice.propose(default, kind) do
      nil -> Context.Table.not_found(@default)
      context -> {:ok, context, {:default, self()}}
    end
  end

  # A context of a pool, here or else on another node.
  defp pick(pool) do
    with nil <- Choice.pick(pool),
         [] <- :pg.get_members(Table.group_scope(), pool) do
      Context.Table.not_found(pool)
    else
      members when is_list(members) -> {:remote, Enum.random(members)}
      context -> {:ok, context, self()}
    end
  end

  defp pool?(name),
    do: pool_started?(name) or :pg.get_members(Table.group_scope(), name) != []

  defp explicit(%{namespace: :context}), do: :context
  defp explicit(%{namespace: :process}), do: {:process, self()}

  defp local(%Py.Object{context: context}) when node(context) == node(), do: {:ok, context}
  defp local(_object), do: {:error, %Py.ContextError{reason: :wrong_interpreter}}

  defp handle({:call, %Py.Object{} = object, _function, _args, _kwargs}), do: object
  defp handle({:call, _target, _function, args, _kwargs}), do: first_object(args)
  defp handle(_operation), do: nil

  defp first_object([%Py.Object{} = object | _args]), do: object
  defp first_object([_arg | args]), do: first_object(args)
  defp first_object([]), do: nil

  @doc false
  # The native context of a pid, a name, or a number in the default pool.
  @spec lookup(term()) :: {:ok, Native.context()} | {:error, Py.ContextError.t()}
  def lookup(pid) when is_pid(pid), do: Context.Table.lookup(pid)

  def lookup(context) do
    with {:ok, pid} <- whereis(context), do: Context.Table.lookup(pid)
  end

  @doc false
  # The same, as a pid.
  @spec whereis(term()) :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def whereis(pid) when is_pid(pid), do: {:ok, pid}
  def whereis(index) when is_integer(index), do: get_context(index)

  def whereis(name)
      when is_atom(name) or (is_tuple(name) and elem(name, 0) in [:via, :global]) do
    case name && GenServer.whereis(name) do
      pid when is_pid(pid) -> {:ok, pid}
      _none -> Context.Table.not_found(name)
    end
  end

  def whereis(other), do: Context.Table.not_found(other)
end
