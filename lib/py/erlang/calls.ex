defmodule Py.Erlang.Calls do
  @moduledoc false
  # The functions of `py` that run Python code: calls, expressions, statements, casts, objects and
  # tracebacks.
  #
  # Forms with the same number of arguments are told apart by the types of the arguments, as in
  # the C package. The comment above a clause names its form.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect

  alias Py.Erlang.SpawnCall
  alias Py.Request.Traceback

  @doc """
  Calls a function on the default pool, or the pool that the function is registered with, for at
  most 30 seconds.

  The variants with more arguments add a context or a pool in front, or keyword arguments and a
  timeout at the end.
  """
  def call(module, function, args) do
    run(operation(module, function, args, %{}), options())
  end

  # (Ctx | Pool, M, F, Args)
  def call(place, module, function, args) when is_list(args) do
    run(place, operation(module, function, args, %{}), options(default_timeout(place)))
  end

  # (M, F, Args, Kwargs)
  def call(module, function, args, kwargs) do
    run(operation(module, function, args, kwargs), options())
  end

  def call(context, module, function, args, settings) when is_pid(context) do
    settings = settings(settings, [:kwargs, :timeout, :return])
    kwargs = Map.get(settings, :kwargs, %{})
    options = %{options(Map.get(settings, :timeout, :infinity)) | return: return(settings)}
    run(context, operation(module, function, args, kwargs), options)
  end

  # (Pool, M, F, Args, Kwargs)
  def call(pool, module, function, args, kwargs) when is_list(args) do
    run(pool, operation(module, function, args, kwargs), options())
  end

  # (M, F, Args, Kwargs, Timeout)
  def call(module, function, args, kwargs, timeout) do
    run(operation(module, function, args, kwargs), options(timeout))
  end

  defp return(%{return: :ref}), do: :object
  defp return(%{return: :term}), do: :term
  defp return(%{return: other}), do: badarg("return is term or ref", other)
  defp return(_settings), do: :term

  @doc """
  Evaluates an expression. The variants with more arguments add a context in front, or local names
  and a timeout at the end.
  """
  def eval(code), do: run({:eval, code(code), nil}, options())

  def eval(context, code) when is_pid(context), do: eval(context, code, %{})
  def eval(code, locals), do: eval(code, locals, default_timeout())

  def eval(context, code, locals) when is_pid(context),
    do: run(context, {:eval, code(code), map(locals)}, options(:infinity))

  def eval(code, locals, timeout),
    do: run({:eval, code(code), map(locals)}, options(timeout))

  @doc "Runs statements, without a time limit. Returns `:ok` or an error."
  def exec(code), do: done(run({:exec, code(code), nil}, options(:infinity)))

  def exec(context, code),
    do: done(run(context(context), {:exec, code(code), nil}, options(:infinity)))

  ## Work beside the caller

  @doc "Starts a call whose result is not needed. A failure is logged."
  def cast(module, function, args), do: start(&Py.Cast.run/2, module, function, args, %{})
  def cast(a, b, c, d), do: start(&Py.Cast.run/2, a, b, c, d)
  def cast(place, m, f, args, kwargs), do: start(&Py.Cast.run/2, place, m, f, args, kwargs)

  @doc """
  Starts a call whose result comes as the message `{:py_response, ref, result}`. Returns `ref`.
  """
  def spawn_call(module, function, args),
    do: start(&SpawnCall.start/2, module, function, args, %{})

  def spawn_call(a, b, c, d), do: start(&SpawnCall.start/2, a, b, c, d)

  def spawn_call(place, m, f, args, kwargs),
    do: start(&SpawnCall.start/2, place, m, f, args, kwargs)

  # (Ctx | Pool, M, F, Args) or (M, F, Args, Kwargs)
  defp start(how, place, module, function, args) when is_list(args),
    do: start(how, place, module, function, args, %{})

  defp start(how, module, function, args, kwargs),
    do: how.(operation(module, function, args, kwargs), options())

  defp start(how, place, module, function, args, kwargs) do
    options = place(place, options(default_timeout(place)))
    how.(operation(module, function, args, kwargs), options)
  end

  @doc "Waits for the result of `spawn_call/3`."
  def await(ref), do: await(ref, default_timeout())
  def await(ref, timeout) when is_reference(ref), do: SpawnCall.await(ref, timeout(timeout))
  def await(ref, _timeout), do: badarg("a reference of spawn_call", ref)

  @doc "Runs `{module, function, args}` calls spread over the contexts of the default pool."
  def parallel(calls) do
    operations = for call <- list(calls), do: parallel_call(call)
    to_erlang(Py.Parallel.run(operations, options()))
  end

  defp parallel_call({module, function, args}), do: operation(module, function, args, %{})
  defp parallel_call(other), do: badarg("{Module, Function, Args}", other)

  ## Objects

  @doc "Calls a method of an object, on the context that has it."
  def call_method(%Py.Object{} = object, method, args) do
    run({:call, object, name(method), list(args), nil}, options())
  end

  def call_method(other, _method, _args), do: badarg("a reference to a Python object", other)

  # The context is that of the object.
  def call_method(context, object, method, args) do
    _checked = context(context)
    call_method(object, method, args)
  end

  @doc "Returns the value of an attribute of an object. Dots are followed."
  def getattr(%Py.Object{} = object, name) do
    run({:call, :erlang, "_objects.getattr", [object, text(name)], nil}, options())
  end

  def getattr(other, _name), do: badarg("a reference to a Python object", other)

  @doc "Converts an object to a term."
  def to_term(%Py.Object{} = object),
    do: run({:call, :erlang, "_objects.identity", [object], nil}, options())

  def to_term(other), do: badarg("a reference to a Python object", other)

  @doc "Returns `true` for a reference to a Python object."
  def is_ref(term), do: is_struct(term, Py.Object)

  ## Tracebacks

  @doc "Keeps the traceback of the last failure for the calling process, or no longer."
  def keep_tracebacks(keep) when is_boolean(keep), do: Traceback.keep(keep)

  def keep_tracebacks(other), do: badarg("true or false", other)

  @doc "Returns the traceback that was kept last, or `:undefined`."
  def last_traceback, do: Traceback.last() || :undefined
end
