defmodule Py.Erlang.Context do
  @moduledoc false
  # The functions of `py_context`: contexts, found by their pid or their name.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect

  alias Py.{Context, Router}

  @settings [:mode, :name, :preload, :memory_limit, :paths, :max_queue, :start_timeout]

  @doc """
  Starts a context linked to the calling process. `settings` is the map of options of the Erlang
  API.

  `:memory_limit`, an option of the C package, is refused with
  `{:error, {:not_supported, :memory_limit}}`.
  """
  def start_link(mode, settings) when mode in [:worker, :owngil] do
    case settings(settings, @settings) do
      %{memory_limit: _bytes} -> {:error, {:not_supported, :memory_limit}}
      settings -> start_checked(context_options(settings, mode))
    end
  end

  def start_link(mode, _settings), do: {:error, {:invalid_mode, mode}}

  defp start_checked(options), do: started(badarg_on_raise(fn -> Context.start_link(options) end))

  @doc "Returns a child specification that starts a context by `py_context:new/1`."
  def child_spec(settings) do
    settings = settings(settings, @settings)
    id = Map.get(settings, :name, :py_context)
    %{id: id, start: {:py_context, :new, [settings]}, shutdown: 10_000}
  end

  defp context_options(settings, mode) do
    for {key, value} <- Map.put(settings, :mode, mode), do: {key, setting(key, value)}
  end

  defp setting(:preload, code), do: preload(code)
  defp setting(:paths, paths), do: Enum.map(list(paths), &text/1)
  defp setting(:name, name) when name in [nil, true, false], do: badarg("a name", name)
  defp setting(:name, {:local, name}), do: setting(:name, name)
  # `Py.Context.start_link/1` checks it.
  defp setting(_key, value), do: value

  @doc "Stops a context. Returns `:ok` also when there is no such context."
  def stop(context) do
    with {:ok, _native} <- Router.lookup(context(context)), do: Context.stop(context)
    :ok
  end

  @doc """
  Calls a function on a context. With an environment as the last argument, the function sees its
  names as `__main__`.
  """
  def call(context, module, function, args, kwargs, timeout) do
    on_context(context, operation(module, function, args, kwargs), options(timeout))
  end

  def call(context, module, function, args, kwargs, timeout, env) do
    in_env(context, operation(module, function, args, kwargs), options(timeout), env)
  end

  @doc "Evaluates an expression on a context, or in an environment of it."
  def eval(context, code, locals, timeout) do
    on_context(context, {:eval, code(code), map(locals)}, options(timeout))
  end

  def eval(context, code, locals, timeout, env) do
    in_env(context, {:eval, code(code), map(locals)}, options(timeout), env)
  end

  @doc "Runs statements on a context, or in an environment of it."
  def exec(context, code) do
    done(on_context(context, {:exec, code(code), nil}, options(:infinity)))
  end

  def exec(context, code, env) do
    done(in_env(context, {:exec, code(code), nil}, options(:infinity), env))
  end

  defp on_context(context, operation, options) do
    run(operation, %{options | context: context(context), namespace: :context})
  end

  # An environment belongs to its context.
  defp in_env(context, operation, options, %Py.Env{object: object} = env) do
    with {:ok, native} <- native(context) do
      if object.context == native,
        do: run(operation, %{options | env: env, context: nil}),
        else: context_died(:wrong_interpreter)
    end
  end

  defp in_env(_context, _operation, _options, other),
    do: badarg("an environment of create_local_env", other)

  # A context's pid, or what get_nif_ref gave for it.
  defp native(reference) when is_reference(reference), do: {:ok, reference}
  defp native(context), do: to_erlang(Router.lookup(context(context)))

  @doc """
  Interrupts what runs on a context. Returns `:not_running` when nothing runs, or there is none.
  """
  def interrupt(context) do
    case Context.interrupt(context(context)) do
      :ok -> :ok
      {:error, _reason} -> :not_running
    end
  end

  @doc "Returns one value of `Py.Context.info/1`."
  def info(context, key) do
    with {:ok, info} <- to_erlang(Context.info(context(context))),
         do: {:ok, Map.fetch!(info, key)}
  end

  @doc """
  Returns the native reference of a context. Raises the reason when there is no such context.
  """
  def nif_ref(context) do
    case native(context(context)) do
      {:ok, native} -> native
      {:error, reason} -> :erlang.error(reason)
    end
  end

  @doc "Makes an environment on a context."
  def new_env(context), do: to_erlang(Context.new_env(context(context)))

  @doc """
  Returns the names of the calling process on a context, which `py:exec(Ctx, Code)` uses, as an
  environment.
  """
  def local_env(context) do
    options = %{options() | context: context(context), namespace: :process, return: :object}

    case run({:eval, "globals()", nil}, options) do
      {:ok, object} -> %Py.Env{object: object}
      {:error, reason} -> :erlang.error(reason)
    end
  end
end
