defmodule Py.Erlang do
  @moduledoc false
  # What the Erlang modules of src/ delegate to: takes their arguments in all forms, has work run in the Erlang dialect,
  # and gives the results their shapes. A wrong argument is `badarg`, before anything is sent.

  import Py.Erlang.Arguments

  alias Py.{Context, Options, Request, Response, Router}
  alias Py.Request.{Reason, Traceback}

  @timeout 30_000

  ## Calls

  def call(module, function, args) do
    run(operation(module, function, args, %{}), options(@timeout))
  end

  # (Ctx | Pool, M, F, Args)
  def call(place, module, function, args) when is_list(args) do
    run(place, operation(module, function, args, %{}), options(default_timeout(place)))
  end

  # (M, F, Args, Kwargs)
  def call(module, function, args, kwargs) do
    run(operation(module, function, args, kwargs), options(@timeout))
  end

  def call(context, module, function, args, settings) when is_pid(context) do
    settings = settings(settings, [:kwargs, :timeout, :return])
    kwargs = Map.get(settings, :kwargs, %{})
    options = %{options(Map.get(settings, :timeout, :infinity)) | return: return(settings)}
    run(context, operation(module, function, args, kwargs), options)
  end

  # (Pool, M, F, Args, Kwargs)
  def call(pool, module, function, args, kwargs) when is_list(args) do
    run(pool, operation(module, function, args, kwargs), options(@timeout))
  end

  # (M, F, Args, Kwargs, Timeout)
  def call(module, function, args, kwargs, timeout) do
    run(operation(module, function, args, kwargs), options(timeout))
  end

  defp return(%{return: :ref}), do: :object
  defp return(%{return: :term}), do: :term
  defp return(%{return: other}), do: badarg("return is term or ref", other)
  defp return(_settings), do: :term

  def eval(code), do: run({:eval, code(code), nil}, options(@timeout))

  def eval(context, code) when is_pid(context), do: eval(context, code, %{})
  def eval(code, locals), do: eval(code, locals, @timeout)

  def eval(context, code, locals) when is_pid(context),
    do: run(context, {:eval, code(code), map(locals)}, options(:infinity))

  def eval(code, locals, timeout),
    do: run({:eval, code(code), map(locals)}, options(timeout))

  def exec(code), do: done(run({:exec, code(code), nil}, options(:infinity)))

  def exec(context, code),
    do: done(run(context(context), {:exec, code(code), nil}, options(:infinity)))

  ## Tracebacks

  def keep_tracebacks(keep) when is_boolean(keep) do
    Traceback.keep(keep)
  end

  def keep_tracebacks(other), do: badarg("true or false", other)

  def last_traceback, do: Traceback.last() || :undefined

  ## Spans

  def enable_tracing, do: guarded(&Py.Tracing.enable/0)
  def disable_tracing, do: guarded(&Py.Tracing.disable/0)
  def clear_traces, do: guarded(&Py.Tracing.clear/0)

  def get_traces do
    {:ok, for(trace <- guarded(&Py.Tracing.traces/0), do: with_undefined(trace))}
  end

  defp with_undefined(%{parent_id: nil} = trace), do: %{trace | parent_id: :undefined}
  defp with_undefined(trace), do: trace

  ## Work beside the caller

  def cast(module, function, args), do: start(&Py.Cast.run/2, module, function, args, %{})
  def cast(a, b, c, d), do: start(&Py.Cast.run/2, a, b, c, d)
  def cast(place, m, f, args, kwargs), do: start(&Py.Cast.run/2, place, m, f, args, kwargs)

  def spawn_call(module, function, args),
    do: start(&Response.start/2, module, function, args, %{})

  def spawn_call(a, b, c, d), do: start(&Response.start/2, a, b, c, d)

  def spawn_call(place, m, f, args, kwargs),
    do: start(&Response.start/2, place, m, f, args, kwargs)

  # (Ctx | Pool, M, F, Args) or (M, F, Args, Kwargs)
  defp start(how, place, module, function, args) when is_list(args),
    do: start(how, place, module, function, args, %{})

  defp start(how, module, function, args, kwargs),
    do: how.(operation(module, function, args, kwargs), options(@timeout))

  defp start(how, place, module, function, args, kwargs) do
    options = place(place, options(default_timeout(place)))
    how.(operation(module, function, args, kwargs), options)
  end

  def await(ref), do: await(ref, @timeout)
  def await(ref, timeout) when is_reference(ref), do: Response.await(ref, timeout(timeout))
  def await(ref, _timeout), do: badarg("a reference of spawn_call", ref)

  def parallel(calls) do
    calls = for call <- list(calls), do: parallel_call(call)
    flat(Py.parallel(calls, dialect: :erlang))
  end

  defp parallel_call({module, function, args}), do: {name(module), name(function), list(args)}
  defp parallel_call(other), do: badarg("{Module, Function, Args}", other)

  ## Contexts

  @context_settings [
    :mode,
    :name,
    :preload,
    :memory_limit,
    :paths,
    :max_queue,
    :start_timeout
  ]

  def context_start_link(mode, settings) when mode in [:worker, :owngil] do
    case settings(settings, @context_settings) do
      %{memory_limit: _bytes} -> {:error, {:not_supported, :memory_limit}}
      settings -> started(Context.start_link(context_options(settings, mode)))
    end
  end

  def context_start_link(mode, _settings), do: {:error, {:invalid_mode, mode}}

  def context_child_spec(settings) do
    settings = settings(settings, @context_settings)
    id = Map.get(settings, :name, :py_context)
    %{id: id, start: {:py_context, :new, [settings]}, shutdown: 10_000}
  end

  defp started({:error, %Py.ContextError{reason: {:failed, text}}}),
    do: {:error, {:start_failed, text}}

  defp started(other), do: flat(other)

  defp context_options(settings, mode) do
    for {key, value} <- Map.put(settings, :mode, mode), do: {key, setting(key, value)}
  end

  defp setting(:preload, code), do: preload(code)
  defp setting(:paths, paths), do: Enum.map(list(paths), &text/1)
  defp setting(:start_timeout, timeout), do: timeout(timeout)
  defp setting(:max_queue, max) when is_integer(max) and max > 0, do: max
  defp setting(:mode, mode), do: mode
  defp setting(:name, name) when is_pool(name), do: name
  defp setting(:name, {:local, name}) when is_pool(name), do: name
  defp setting(:name, {kind, _name} = name) when kind == :global, do: name
  defp setting(:name, {:via, module, _name} = name) when is_atom(module), do: name
  defp setting(key, value), do: badarg(Atom.to_string(key), value)

  def context_stop(context) do
    with {:ok, _native} <- Router.lookup(context(context)), do: Context.stop(context)
    :ok
  end

  def context_call(context, module, function, args, kwargs, timeout) do
    on_context(context, operation(module, function, args, kwargs), options(timeout))
  end

  def context_call(context, module, function, args, kwargs, timeout, env) do
    in_env(context, operation(module, function, args, kwargs), options(timeout), env)
  end

  def context_eval(context, code, locals, timeout) do
    on_context(context, {:eval, code(code), map(locals)}, options(timeout))
  end

  def context_eval(context, code, locals, timeout, env) do
    in_env(context, {:eval, code(code), map(locals)}, options(timeout), env)
  end

  def context_exec(context, code) do
    done(on_context(context, {:exec, code(code), nil}, options(:infinity)))
  end

  def context_exec(context, code, env) do
    done(in_env(context, {:exec, code(code), nil}, options(:infinity), env))
  end

  defp on_context(context, operation, options) do
    Request.run(operation, %{options | context: context(context), namespace: :context})
  end

  # An environment belongs to its context.
  defp in_env(context, operation, options, %Py.Env{object: object} = env) do
    with {:ok, native} <- native(context) do
      if object.context == native,
        do: Request.run(operation, %{options | env: env, context: nil}),
        else: died(:wrong_interpreter)
    end
  end

  defp in_env(_context, _operation, _options, other),
    do: badarg("an environment of create_local_env", other)

  # A context's pid, or what get_nif_ref gave for it.
  defp native(reference) when is_reference(reference), do: {:ok, reference}
  defp native(context), do: flat(Router.lookup(context(context)))

  defp done({:ok, _none}), do: :ok
  defp done(error), do: error

  def context_interrupt(context) do
    case Context.interrupt(context(context)) do
      :ok -> :ok
      {:error, _reason} -> :not_running
    end
  end

  def context_info(context, key) do
    with {:ok, info} <- flat(Context.info(context(context))), do: {:ok, Map.fetch!(info, key)}
  end

  def nif_ref(context) do
    case native(context(context)) do
      {:ok, native} -> native
      {:error, reason} -> :erlang.error(reason)
    end
  end

  def new_env(context), do: flat(Context.new_env(context(context)))

  # The calling process's own names on a context, as an environment: what py:exec(Ctx, Code) uses.
  def local_env(context) do
    options = %{
      options(@timeout)
      | context: context(context),
        namespace: :process,
        return: :object
    }

    case Request.run({:eval, "globals()", nil}, options) do
      {:ok, object} -> %Py.Env{object: object}
      {:error, reason} -> :erlang.error(reason)
    end
  end

  ## Objects

  def call_method(%Py.Object{} = object, method, args) do
    Request.run({:call, object, name(method), list(args), nil}, options(@timeout))
  end

  def call_method(other, _method, _args), do: badarg("a reference to a Python object", other)

  # The context is that of the object.
  def call_method(context, object, method, args) do
    _checked = context(context)
    call_method(object, method, args)
  end

  def getattr(%Py.Object{} = object, name) do
    flat(Py.Object.getattr(object, text(name), dialect: :erlang))
  end

  def getattr(other, _name), do: badarg("a reference to a Python object", other)

  def to_term(%Py.Object{} = object), do: Py.Object.to_term(object, dialect: :erlang)
  def to_term(other), do: badarg("a reference to a Python object", other)

  def is_ref(term), do: is_struct(term, Py.Object)

  ## Router

  def start_pool(pool, size, mode) when is_pool(pool) and is_integer(size),
    do: ensure_pool(pool, size, mode)

  def start_pool(pool, size, _mode),
    do: badarg("the name of a pool and a positive number", {pool, size})

  defp ensure_pool(pool, size, mode) when mode in [:worker, :owngil] do
    with :ok <- running(),
         do: guarded(fn -> pool |> Router.ensure_pool(size, mode: mode) |> started() end)
  end

  defp ensure_pool(_pool, _size, mode), do: {:error, {:invalid_mode, mode}}

  def pool_start_link(pool, size, mode) do
    case pool_options(pool, size, mode) do
      {:error, _reason} = error -> error
      options -> with(:ok <- running(), do: started(Py.Pool.start_link(options)))
    end
  end

  def pool_child_spec(pool, size, mode) do
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

  def start_router(settings) do
    settings = settings(settings, [:contexts, :mode])

    # With no mode given, a pool that runs is fine as it is, and a new one has the configured mode.
    mode = Map.get_lazy(settings, :mode, fn -> Router.mode() || Py.Config.get(:context_mode) end)

    case settings do
      %{contexts: size} -> start_pool(:default, size, mode)
      _any -> ensure_pool(:default, nil, mode)
    end
  end

  def stop_pool(pool) when is_pool(pool) do
    with {:error, :not_started} <- Router.stop_pool(pool), do: :ok
  end

  def stop_pool(other), do: badarg("the name of a pool", other)

  def pool_started(pool) when is_pool(pool), do: Router.pool_started?(pool)
  def pool_started(other), do: badarg("the name of a pool", other)

  def get_context, do: fetch_context(Router.get_context(), :default)

  def get_context(context) when is_integer(context) or is_pool(context),
    do: fetch_context(Router.get_context(context), context)

  def get_context(other), do: badarg("a number from 1 or the name of a pool", other)

  defp fetch_context({:ok, pid}, _which), do: pid
  defp fetch_context({:error, _reason}, which), do: badarg("a context that is there", which)

  def bind_context(pool, context)
      when is_pool(pool) and (is_pid(context) or (is_integer(context) and context > 0)) do
    flat(Router.bind_context(pool, context))
  end

  def bind_context(_pool, other), do: badarg("a context", other)

  def unbind_context(pool) when is_pool(pool), do: Router.unbind_context(pool)
  def unbind_context(other), do: badarg("the name of a pool", other)

  def num_contexts(pool) when is_pool(pool), do: Router.num_contexts(pool)
  def num_contexts(other), do: badarg("the name of a pool", other)

  def contexts(pool) when is_pool(pool), do: Router.contexts(pool)
  def contexts(other), do: badarg("the name of a pool", other)

  def register_pool(pool, what) when is_pool(pool),
    do: Router.register_pool(pool, registered(what))

  def register_pool(other, _what), do: badarg("the name of a pool", other)

  def unregister_pool(what), do: Router.unregister_pool(registered(what))

  defp registered({module, function}), do: {name(module), name(function)}
  defp registered(module), do: name(module)

  def lookup_pool(module, function),
    do: Router.lookup_pool(name(module), name(function)) || :default

  def pool_registrations do
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

  ## Semaphore

  def acquire(timeout) do
    case Py.Semaphore.acquire(timeout(timeout)) do
      :ok -> :ok
      {:error, %Py.OverloadedError{}} -> {:error, :max_concurrent}
    end
  end

  # As ever: giving back what was not taken is no error.
  def release do
    Py.Semaphore.release()
  rescue
    ArgumentError -> :ok
  end

  def set_max_concurrent(max), do: guarded(fn -> Py.Semaphore.set_max_concurrent(max) end)

  ## State

  # Keys are any terms. Binaries are those of Elixir and Python; others are in the table in Erlang's external format.
  @term_key "erlang:term:"

  defp state_key(key) when is_binary(key), do: key
  defp state_key(key), do: @term_key <> :erlang.term_to_binary(key, [:deterministic])

  def state_keys do
    for key <- Py.State.keys() do
      case key do
        @term_key <> term -> :erlang.binary_to_term(term)
        key -> key
      end
    end
  end

  # The bound is that of the environment at this moment.
  defp refresh_bound do
    bound = Application.get_env(:erlang_python, :max_state_entries)

    if bound != Py.Config.get(:max_state_entries) do
      bound = Py.Config.check!(:max_state_entries, bound)
      Py.Config.update(:max_state_entries, fn _old -> bound end)
      Py.Native.state_set_max(bound)
    end
  end

  def state_fetch(key) do
    with :error <- Py.State.fetch(state_key(key)), do: {:error, :not_found}
  end

  def state_store(key, value) do
    refresh_bound()
    Py.State.put(state_key(key), value)
  end

  def state_remove(key) do
    _was_there = Py.State.delete(state_key(key))
    :ok
  end

  def state_incr(key, by) when is_integer(by) do
    refresh_bound()

    case Py.State.add(state_key(key), by) do
      {:ok, sum} -> sum
      {:error, :full} -> {:error, :full}
      {:error, :not_an_integer} -> badarg("the key of an integer", key)
    end
  end

  def state_incr(_key, by), do: badarg("an integer", by)

  def state_decr(key, by) when is_integer(by), do: state_incr(key, -by)
  def state_decr(_key, by), do: badarg("an integer", by)

  ## Callbacks

  def register_function(name, fun) when is_function(fun, 1), do: register(name, fun)

  def register_function(name, {module, function})
      when is_atom(module) and is_atom(function),
      do: register(name, {module, function})

  def register_function(_name, other),
    do: badarg("a function of one argument, or {Module, Function}", other)

  defp register(name, fun), do: Py.Callback.register(text(name), fun, :list)

  def unregister_function(name), do: Py.Callback.unregister(text(name))

  def lookup_function(name) do
    case Py.Callback.lookup(text(name)) do
      {:ok, {_style, fun}} -> {:ok, fun}
      :error -> {:error, :not_found}
    end
  end

  def execute(name, args) do
    args = list(args)

    with {:error, {:not_found, _text}} <- Py.Callback.execute(text(name), args),
         do: {:error, {:not_found, name}}
  end

  ## Set-up

  def set_preload(code), do: code |> preload() |> Py.Setup.put_preload()
  def get_preload, do: Py.Setup.preload() |> preloaded()

  # A configured one may be a string of sys.config.
  defp preloaded(nil), do: :undefined
  defp preloaded(code), do: text(code)

  def ensure_imported(module, name) do
    case text(module) do
      "__main__" ->
        {:error, :main_not_cacheable}

      module ->
        result =
          guarded(fn -> Py.Setup.add_import(module, import_name(name), dialect: :erlang) end)

        # As in the C package: calls of it tell.
        if match?({:error, {:ModuleNotFoundError, _text}}, result), do: :ok, else: result
    end
  end

  defp import_name(:all), do: :all
  defp import_name(name), do: text(name)

  def is_imported(module) do
    module = text(module)
    Enum.any?(Py.Setup.imports(), fn {imported, _name} -> imported == module end)
  end

  def is_imported(module, name) do
    {module, name} = {text(module), text(name)}
    Enum.any?(Py.Setup.imports(), &(&1 in [{module, :all}, {module, name}]))
  end

  def import_list do
    list =
      Enum.reduce(Py.Setup.imports(), %{}, fn
        {module, :all}, list -> Map.put_new(list, module, [])
        {module, name}, list -> Map.update(list, module, [name], &(&1 ++ [name]))
      end)

    {:ok, list}
  end

  def add_paths(paths) do
    paths = Enum.map(list(paths), &text/1)
    Py.Setup.add_paths(paths, dialect: :erlang)
  end

  def is_path_added(path), do: Path.expand(text(path)) in Py.Setup.paths()

  def reload(module) do
    case Py.Setup.reload(text(module), dialect: :erlang) do
      :ok -> :ok
      {:error, reason} -> {:error, [{:context, reason}]}
    end
  end

  def configure_logging(settings) do
    options =
      for {key, value} <- settings(settings, [:level, :format]), do: {key, logging(key, value)}

    guarded(fn -> Py.Logging.configure([{:dialect, :erlang} | options]) end)
  end

  defp logging(:format, :undefined), do: nil
  defp logging(:format, format), do: text(format)
  defp logging(:level, level), do: level

  ## Facts

  def memory_stats, do: Py.memory_stats(dialect: :erlang)

  def gc(generation), do: guarded(fn -> Py.gc(generation, dialect: :erlang) end)

  # Tracing is one for the process, and CPython 3.14 crashes when an own-GIL interpreter ends meanwhile.
  def tracemalloc_start(frames) when is_integer(frames) and frames > 0 do
    if Enum.any?(Context.list(), &(context_info(&1, :mode) == {:ok, :owngil})),
      do: {:error, {:not_supported, :owngil}},
      else: done(call(:tracemalloc, :start, [frames]))
  end

  def tracemalloc_start(other), do: badarg("a positive number of frames", other)

  def tracemalloc_stop, do: done(call(:tracemalloc, :stop, []))

  def execution_mode,
    do: if(Py.Interpreter.capabilities().free_threaded, do: :free_threaded, else: :gil)

  # Counts since their start of the contexts that run, added up, and what is in use.
  def debug_counters do
    counters = for context <- Context.list(), {:ok, info} <- [Context.info(context)], do: info
    total = fn key -> counters |> Enum.map(&Map.fetch!(&1, key)) |> Enum.sum() end

    [:calls, :errors, :timeouts, :interrupts, :orphans, :queued]
    |> Map.new(&{&1, total.(&1)})
    |> Map.merge(Map.take(Py.info(), [:in_use, :waiting]))
    |> Map.merge(%{contexts: length(counters), state_entries: Py.State.info().entries})
  end

  ## Running

  defp run(operation, options), do: Request.run(operation, options)
  defp run(place, operation, options), do: Request.run(operation, place(place, options))

  defp place(pid, options) when is_pid(pid), do: %{options | context: pid, namespace: :process}

  defp place(pool, options) when is_pool(pool),
    do: %{options | context: pool, namespace: :process}

  defp place(other, _options), do: badarg("a context or the name of a pool", other)

  defp default_timeout(context) when is_pid(context), do: :infinity
  defp default_timeout(_pool), do: @timeout

  defp options(timeout),
    do: %{Options.default() | dialect: :erlang, timeout: timeout(timeout)}

  defp operation(module, function, args, kwargs) when kwargs == %{},
    do: {:call, name(module), name(function), list(args), nil}

  defp operation(module, function, args, kwargs),
    do: {:call, name(module), name(function), list(args), map(kwargs)}

  # The shapes of Elixir functions, in those of Erlang.
  defp flat({:error, error}) when is_exception(error), do: {:error, Reason.erlang(error)}
  defp flat(other), do: other

  defp running, do: if(Py.Lifecycle.running?(), do: :ok, else: died(:not_running))

  defp died(reason), do: {:error, {:context_died, reason}}
end
