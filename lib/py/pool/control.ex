defmodule Py.Pool.Control do
  @moduledoc false
  # Starts and stops pools, and checks their options: for `Py.Router`, whose pools the application supervises, and `Py.Pool`.

  alias Py.{Context, Schema}
  alias Py.Pool.Table

  @doc """
  Checks the arguments of a pool; `function` is that of `Py.Schema` whose options they are. Returns its strategy, and the
  options of its contexts.
  """
  @spec check!(term(), term(), term(), atom()) :: {atom(), keyword()}
  def check!(pool, size, options, function) do
    Schema.check!(:own_pool, :name, pool)
    Py.Lifecycle.running!()
    Schema.check!(:own_pool, :size, size)

    if is_list(options) and List.keymember?(options, :name, 0),
      do: raise(ArgumentError, "unknown option :name, a pool names its contexts by number")

    function |> Schema.check!(options) |> Keyword.pop!(:strategy)
  end

  @doc "Checks the options of `Py.Pool`. Returns the strategy, and all others."
  @spec check!(term()) :: {atom(), keyword()}
  def check!(options) do
    options = Schema.check!(:own_pool, options)
    Py.Lifecycle.running!()
    Keyword.pop!(options, :strategy)
  end

  @doc "Starts a pool, as `Py.Router.start_pool/3` documents it; `function` is that of `check!/4`."
  @spec start(Py.Router.pool(), pos_integer(), keyword(), atom()) ::
          {:ok, [pid()]} | {:error, {:already_started, Py.Router.pool()} | Py.ContextError.t()}
  def start(pool, size, options, function \\ :pool) do
    {strategy, options} = check!(pool, size, options, function)

    # Contexts report to the process of the table while they start, so that process does not start them.
    child = {Context.Supervisor, {pool, size, strategy, options}}

    # Looked up first, because pools start one after the other.
    with true <- Table.replaceable?(Table.owner(pool), nil),
         {:ok, supervisor} <- DynamicSupervisor.start_child(Py.Pools, child) do
      if Table.owner(pool) == supervisor,
        do: {:ok, Table.contexts(pool)},
        else: {:error, %Py.ContextError{reason: :stopped, context: pool}}
    else
      started when started in [false, :ignore] ->
        {:error, {:already_started, pool}}

      {:error, reason} ->
        Table.forget_dead(pool)
        {:error, start_error(reason)}
    end
  end

  @doc "Starts a pool unless it is started, as `Py.Router.ensure_pool/3` documents it."
  @spec ensure(Py.Router.pool(), pos_integer() | nil, keyword()) ::
          {:ok, [pid()]}
          | {:error, {:already_started, %{contexts: pos_integer(), mode: :worker | :owngil}}}
          | {:error, Py.ContextError.t()}
  def ensure(pool, size, options) do
    case start(pool, size || Py.Config.get(:num_contexts), options) do
      {:error, {:already_started, ^pool}} -> same(pool, size, options[:mode])
      other -> other
    end
  end

  defp same(pool, size, mode) do
    has = %{contexts: Table.size(pool), mode: Table.mode(pool)}

    if size in [nil, has.contexts] and mode in [nil, has.mode],
      do: {:ok, Table.contexts(pool)},
      else: {:error, {:already_started, has}}
  end

  @doc "Stops a pool, as `Py.Router.stop_pool/1` documents it."
  @spec stop(Py.Router.pool()) :: :ok | {:error, :not_started | :supervised}
  def stop(pool) do
    # The supervisor is stopped here and not in the process of the table, which its contexts may be about to call.
    with {:ok, supervisor} <- Table.stop(pool) do
      # All contexts end at the same time: the supervisor, which stops one after the other, waits for the slowest only.
      Enum.each(children(supervisor), &Context.Server.prepare_stop/1)
      # Or it has ended by itself meanwhile.
      _ended = DynamicSupervisor.terminate_child(Py.Pools, supervisor)
      :ok
    end
  end

  defp children(supervisor) do
    for {_id, pid, _kind, _modules} <- Supervisor.which_children(supervisor), is_pid(pid), do: pid
  catch
    :exit, _ended -> []
  end

  @doc "The reason why a supervisor of contexts, or of one of those, has not started."
  @spec start_error(term()) :: {:already_started, Py.Router.pool()} | Py.ContextError.t()
  def start_error({:shutdown, {:failed_to_start_child, _id, reason}}), do: start_error(reason)
  def start_error({:shutdown, reason}), do: start_error(reason)
  def start_error(%Py.ContextError{} = error), do: error
  def start_error({:already_started, pool}), do: {:already_started, pool}
  def start_error(other), do: %Py.ContextError{reason: {:failed, inspect(other)}}
end
