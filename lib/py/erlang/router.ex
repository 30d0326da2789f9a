defmodule Py.Erlang.Router do
  @moduledoc false
  # The functions of `py_context_router`: pools, bindings, registrations, and the contexts that
  # calls reach.
  #
  # Names of pools are checked here. A wrong one is the error `badarg`.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect

  alias Py.Router

  @doc "Starts a pool, or returns the contexts of one that runs with the same size and mode."
  def start_pool(pool, size, mode) when is_pool(pool) and is_integer(size),
    do: ensure_pool(pool, size, mode)

  def start_pool(pool, size, _mode),
    do: badarg("the name of a pool and a positive number", {pool, size})

  defp ensure_pool(pool, size, mode) when mode in [:worker, :owngil] do
    with :ok <- running(),
         do: badarg_on_raise(fn -> pool |> Router.ensure_pool(size, mode: mode) |> started() end)
  end

  defp ensure_pool(_pool, _size, mode), do: {:error, {:invalid_mode, mode}}

  @doc "Starts a pool linked to the calling process."
  def start_link(pool, size, mode) do
    case pool_options(pool, size, mode) do
      {:error, _reason} = error -> error
      options -> with(:ok <- running(), do: started(Py.Pool.start_link(options)))
    end
  end

  @doc "Returns a child specification that starts a pool. Raises `badarg` for an unknown mode."
  def child_spec(pool, size, mode) do
    with {:error, _mode} <- pool_options(pool, size, mode), do: badarg("worker or owngil", mode)

    %{
      id: {:py_context_router, pool},
      start: {:py_context_router, :start_link, [pool, size, mode]},
      type: :supervisor
    }
  end

  defp pool_options(pool, size, mode)
       when is_pool(pool) and is_integer(size) and size in 1..10_000 do
    if mode in [:worker, :owngil],
      do: [name: pool, size: size, mode: mode],
      else: {:error, {:invalid_mode, mode}}
  end

  defp pool_options(pool, size, _mode),
    do: badarg("the name of a pool and a number from 1 to 10,000", {pool, size})

  @doc "Starts the default pool. A size or mode that is not given is that of the configuration."
  def start(settings) do
    settings = settings(settings, [:contexts, :mode])

    # With no mode given, a pool that runs is fine as it is, and a new one has the configured
    # mode.
    mode = Map.get_lazy(settings, :mode, fn -> Router.mode() || Py.Config.get(:context_mode) end)

    case settings do
      %{contexts: size} -> start_pool(:default, size, mode)
      _any -> ensure_pool(:default, nil, mode)
    end
  end

  @doc "Stops a pool. Returns `:ok` also when it is not started."
  def stop_pool(pool) when is_pool(pool) do
    with {:error, :not_started} <- Router.stop_pool(pool), do: :ok
  end

  def stop_pool(other), do: badarg("the name of a pool", other)

  @doc "Returns `true` if a pool is started."
  def pool_started(pool) when is_pool(pool), do: Router.pool_started?(pool)
  def pool_started(other), do: badarg("the name of a pool", other)

  @doc "Returns the context that serves the calling process. Raises `badarg` when there is none."
  def get_context, do: fetch_context(Router.get_context(), :default)

  @doc """
  Returns a context of the default pool by its number, or that of a pool for the calling process.
  """
  def get_context(context) when is_integer(context) or is_pool(context),
    do: fetch_context(Router.get_context(context), context)

  def get_context(other), do: badarg("a number from 1 or the name of a pool", other)

  defp fetch_context({:ok, pid}, _which), do: pid
  defp fetch_context({:error, _reason}, which), do: badarg("a context that is there", which)

  @doc "Sends the calls of the calling process to a pool to one context."
  def bind_context(pool, context)
      when is_pool(pool) and (is_pid(context) or (is_integer(context) and context > 0)) do
    to_erlang(Router.bind_context(pool, context))
  end

  def bind_context(_pool, other), do: badarg("a context", other)

  @doc "Undoes `bind_context/2`."
  def unbind_context(pool) when is_pool(pool), do: Router.unbind_context(pool)
  def unbind_context(other), do: badarg("the name of a pool", other)

  @doc "Returns the number of contexts of a pool."
  def num_contexts(pool) when is_pool(pool), do: Router.num_contexts(pool)
  def num_contexts(other), do: badarg("the name of a pool", other)

  @doc "Returns the contexts of a pool."
  def contexts(pool) when is_pool(pool), do: Router.contexts(pool)
  def contexts(other), do: badarg("the name of a pool", other)

  @doc "Sends the calls of a module, or of `{module, function}`, to a pool."
  def register_pool(pool, what) when is_pool(pool),
    do: Router.register_pool(pool, registered(what))

  def register_pool(other, _what), do: badarg("the name of a pool", other)

  @doc "Undoes `register_pool/2`."
  def unregister_pool(what), do: Router.unregister_pool(registered(what))

  defp registered({module, function}), do: {name(module), name(function)}
  defp registered(module), do: name(module)

  @doc "Returns the pool that a function is registered with, or `:default`."
  def lookup_pool(module, function),
    do: Router.lookup_pool(name(module), name(function)) || :default

  @doc """
  Returns all registrations as `{{module, function}, pool}`, with `:_` as the function for a
  module.
  """
  def registrations do
    for {what, pool} <- Router.registrations() do
      case what do
        {module, function} -> {{known_atom(module), known_atom(function)}, pool}
        module -> {{known_atom(module), :_}, pool}
      end
    end
  end

  # Names are registered as atoms as a rule; new ones are not made here.
  defp known_atom(name) do
    String.to_existing_atom(name)
  rescue
    ArgumentError -> name
  end
end
