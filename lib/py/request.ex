defmodule Py.Request do
  @moduledoc false
  # The only caller of the request NIFs. The life of a request:
  #
  #   1. `Py.Router.route/2` finds the context and the namespace, without leaving the calling process.
  #   2. `Native.submit` copies the operation and queues it, or refuses.
  #   3. The context's thread tells the caller `{:ok, value} | {:error, reason}`. Where Python calls a function of ours it
  #      tells `{:callback, id, target, args}` first: see `serve/3`. A caller that may expect the outcome within
  #      microseconds looks for it and finds it without a message; others get it as `{ref, outcome}`.
  #   4. On a timeout the caller cancels. Either that wins, and no message will ever come, or the reply is certain and
  #      is received: so no late reply is left in a mailbox.

  alias Py.{Native, Operation, Options, Router, Telemetry}
  alias Py.Router.Choice

  @erlang 1
  @return_object 2
  @no_wait 4
  @cast 8
  @async 16
  @routed 32
  @look 64
  @timed 128
  @inherit 256
  @tracked 512
  @traceback 1024

  # In the process dictionary: whether tracebacks are kept, and the last one.
  @tracebacks {__MODULE__, :tracebacks}

  # How often an outcome is looked for after other processes had their turn.
  @looks 16

  @no_deadline -1

  @doc "Runs an operation and waits for its result."
  @spec run(Operation.t(), Options.t()) :: Operation.result()
  def run(operation, options) do
    case Telemetry.Call.start(operation) do
      nil -> execute(operation, options)
      call -> Telemetry.Call.span(call, fn -> execute(operation, %{options | timed: true}) end)
    end
  end

  defp execute(operation, options) do
    case Router.route(operation, options) do
      {:ok, context, namespace} -> run(operation, context, namespace, options, 3)
      {:remote, context} -> Py.Request.Remote.run(context, operation, %{options | timed: false})
      {:error, error} -> failure(error, options, nil, Operation.brief(operation))
    end
  end

  defp run(operation, context, namespace, options, tries) do
    {names, flags} = scope(namespace, flags(options))
    flags = if options.timeout > 0 and options.wait > 0, do: flags + @look, else: flags
    deadline = deadline(options)
    ref = make_ref()

    case submit_and_look(context, ref, operation, names, flags, deadline) do
      {:ok, _value} = ok ->
        ok

      {:error, reason} ->
        failed(reason, operation, context, namespace, options, tries)

      refused when is_atom(refused) or tuple_size(refused) == 4 ->
        failed(refused, operation, context, namespace, options, tries)

      submitted ->
        if options.timed, do: Telemetry.Call.submitted(request(submitted))
        started = System.monotonic_time()

        submitted
        |> outcome(ref, options)
        |> finish(operation, context, namespace, options, tries, started)
    end
  end

  # What was not there at once: look for it between turns of other processes, a few times, then wait for a message.
  defp submit_and_look(context, ref, operation, names, flags, deadline) do
    case Native.submit(context, self(), ref, operation, names, flags, deadline, callers()) do
      :look -> look_again(@looks)
      submitted -> submitted
    end
  end

  defp look_again(tries) do
    :erlang.yield()

    case Native.look_again(tries == 1) do
      :look -> look_again(tries - 1)
      submitted -> submitted
    end
  end

  defp finish({:ok, _value} = ok, _operation, _context, _namespace, _options, _tries, _started),
    do: ok

  # The time that has passed, for reasons that lead to another attempt.
  defp finish({:error, reason}, operation, context, namespace, options, tries, started) do
    passed = System.monotonic_time() - started
    spent = options.spent + System.convert_time_unit(passed, :native, :millisecond)
    failed(reason, operation, context, namespace, %{options | spent: spent}, tries)
  end

  # The same, of a request that somebody needs a handle on.
  defp outcome({:look, request}, ref, options) do
    case look(request, @looks) do
      :away -> outcome(request, ref, options)
      {:callback, _id, _target, _args} = callback -> serve(request, ref, callback)
      result -> result
    end
  end

  defp outcome({request, {:callback, _id, _target, _args} = callback}, ref, _options),
    do: serve(request, ref, callback)

  # Of a timed request: it may be asked how long it took.
  defp outcome({_request, result}, _ref, _options), do: result

  defp outcome(request, ref, %{timeout: timeout, wait: wait, spent: spent}) do
    receive do
      {^ref, {:callback, _id, _target, _args} = callback} -> serve(request, ref, callback)
      {^ref, result} -> result
    after
      remaining(min(wait, timeout), spent) -> expire(request, ref, wait, timeout)
    end
  end

  defp request({:look, request}), do: request
  defp request({request, _event}), do: request
  defp request(request), do: request

  defp look(request, tries) do
    :erlang.yield()

    case Native.look(request, tries == 1) do
      :look -> look(request, tries - 1)
      seen -> seen
    end
  end

  # Python calls a function of ours: it runs here, in the process that waits for that Python code. From now on the
  # watchdog keeps the deadline, because this process may be busy when it comes.
  # It is counted while Python goes on.
  defp serve(request, ref, {:callback, id, target, args}) do
    {answer, done} = Py.Callback.run(target, args, request)
    looking = Native.callback_resume(request, id, answer)
    Py.Callback.count(done)
    seen = if looking, do: Native.callback_look(request), else: :away
    seen = if seen == :look, do: look(request, @looks), else: seen
    served(seen, request, ref)
  end

  defp served(:away, request, ref) do
    receive do
      {^ref, event} -> served(event, request, ref)
    end
  end

  defp served({:callback, _id, _target, _args} = callback, request, ref),
    do: serve(request, ref, callback)

  defp served(result, _request, _ref), do: result

  # `wait` is over: give up if there is no permit yet, else go on until `timeout`.
  defp expire(request, ref, wait, timeout) when wait < timeout do
    case Native.cancel_waiting(request) do
      false ->
        receive do
          {^ref, {:callback, _id, _target, _args} = callback} -> serve(request, ref, callback)
          {^ref, result} -> result
        after
          remaining(timeout, wait) -> expire(request, ref, timeout, timeout)
        end

      overload ->
        Native.count_timeout(request, true)
        {:error, overload}
    end
  end

  defp expire(request, ref, _wait, timeout) do
    case Native.cancel(request) do
      certain when certain in [:lost, :done] ->
        receive do
          {^ref, {:callback, id, _target, _args}} -> refuse(request, ref, id, timeout)
          {^ref, result} -> result
        end

      # It never got a permit: the limit is what stood in the way.
      :waiting ->
        Native.count_timeout(request, true)
        {current, max, _waiting} = Native.permits()
        {:error, {:overloaded, :permits, current, max}}

      phase ->
        Native.count_timeout(request, false)
        {:error, {:timeout, timeout, phase}}
    end
  end

  # Too late for a function to run; the watchdog ends the request.
  defp refuse(request, ref, id, timeout) do
    Native.callback_answer(request, id, Py.Callback.timed_out(timeout))

    receive do
      {^ref, {:callback, id, _target, _args}} -> refuse(request, ref, id, timeout)
      {^ref, result} -> result
    end
  end

  defp remaining(:infinity, _spent), do: :infinity
  defp remaining(timeout, spent), do: max(timeout - spent, 0)

  # A struct that only Py.Encoder knows: encode, and submit again. Nothing has run yet.
  defp failed(:encode, operation, context, namespace, options, tries) do
    case Py.Encoder.Prepare.operation(operation) do
      {:ok, encoded} when tries > 0 ->
        run(encoded, context, namespace, options, tries - 1)

      {:ok, _encoded} ->
        reason = {:conversion, "a struct that Py.Encoder did not replace", ""}
        failure(reason, options, context, Operation.brief(operation))

      {:error, error} ->
        failure(error, options, nil, Operation.brief(operation))
    end
  end

  # The router's choice is stuck: the process moves, unless it was bound there. Should all be stuck, it waits like any other.
  defp failed(:stuck, operation, context, {:default, pid}, options, tries),
    do: run(operation, Choice.move(context), pid, options, tries)

  # The context of a pool was being replaced: nothing has run, so another one may take the call.
  defp failed(:stopped, operation, context, namespace, options, tries) when tries > 0 do
    case Choice.other(context, namespace, options) do
      {:ok, other} -> run(operation, other, namespace, options, tries - 1)
      :error -> failure(:stopped, options, context, Operation.brief(operation))
    end
  end

  defp failed(reason, operation, context, _namespace, options, _tries),
    do: failure(reason, options, context, Operation.brief(operation))

  @doc """
  Submits without waiting. Replies go to `receiver` as `{ref, result}`, and are for `result/4`. Of a `:cast` only failures
  come, as `{{ref, native context, brief operation}, result}`.
  """
  @spec submit(Operation.t(), Options.t(), pid(), :async | :cast | {:task, Telemetry.Call.t()}) ::
          {:ok, reference(), Native.request()} | {:error, term()}
  def submit(operation, options, receiver \\ self(), kind \\ :async) do
    with {:ok, operation} <- prepare(operation, options),
         {:ok, context, namespace} <- Router.route(operation, options) do
      submit_to(context, operation, namespace, options, receiver, kind)
    else
      {:remote, context} ->
        failure(remote_async(context), options, nil, Operation.brief(operation))

      {:error, error} ->
        failure(error, options, nil, Operation.brief(operation))
    end
  end

  @doc "Submits to a native context, in the namespace of the calling process."
  @spec submit_to(Native.context(), Operation.t(), Options.t()) ::
          {:ok, reference(), Native.request()} | {:error, term()}
  def submit_to(context, operation, options) do
    case prepare(operation, options) do
      {:ok, operation} -> submit_to(context, operation, self(), options, self(), :async)
      {:error, error} -> failure(error, options, nil, Operation.brief(operation))
    end
  end

  # Structs are maps in the Erlang dialect.
  defp prepare(operation, %{dialect: :erlang}), do: {:ok, operation}
  defp prepare(operation, _options), do: Py.Encoder.Prepare.operation(operation)

  defp submit_to(context, operation, namespace, options, receiver, kind) do
    ref = make_ref()
    deadline = deadline(options)
    {names, flags} = scope(namespace, flags(options))

    {tag, flags} = tag(kind, ref, context, operation, options, flags + @async)

    case Native.submit(context, receiver, tag, operation, names, flags, deadline, callers()) do
      request when is_reference(request) ->
        {:ok, ref, request}

      :stuck ->
        {:default, pid} = namespace
        Telemetry.Tasks.take(ref)
        submit_to(Choice.move(context), operation, pid, options, receiver, kind)

      refused ->
        Telemetry.Tasks.take(ref)
        failure(refused, options, context, Operation.brief(operation))
    end
  end

  # What comes back with the reply.
  defp tag(:async, ref, _context, _operation, _options, flags), do: {ref, flags}

  defp tag(:cast, ref, context, operation, _options, flags),
    do: {{ref, context, Operation.brief(operation)}, flags + @cast}

  defp tag({:task, call}, ref, _context, _operation, options, flags) do
    Telemetry.Tasks.follow(ref, call, options)
    {ref, flags + @tracked}
  end

  defp remote_async(context) do
    %Py.ContextError{
      reason:
        {:unreachable, "async work runs on this node's contexts; use Task.async with Py.call"},
      context: context
    }
  end

  defp deadline(%{timeout: :infinity}), do: @no_deadline
  defp deadline(%{timeout: timeout, spent: spent}), do: remaining(timeout, spent)

  # On whose behalf this process works: a call of a Task that a callback started belongs to that callback.
  defp callers, do: Process.get(:"$callers", [])

  @doc """
  Maps the reply to a submitted request to what users see. `context` is its request, or the native context, or the id of that,
  where one was reached.
  """
  @spec result(
          {:ok, term()} | {:error, term()},
          Options.t(),
          {:request, Native.request() | nil} | Native.context() | pos_integer() | nil,
          Operation.brief()
        ) :: Operation.result()
  def result({:ok, _value} = ok, _options, _context, _brief), do: ok

  def result(error, options, {:request, nil}, brief), do: result(error, options, nil, brief)

  def result(error, options, {:request, request}, brief) do
    {context, _queued, _ran} = Native.request_times(request)
    result(error, options, context, brief)
  end

  def result({:error, reason}, options, context, brief),
    do: failure(reason, options, context, brief)

  @doc "Like `cancel/1`, because the request's time is over."
  @spec give_up(Native.request()) :: :waiting | :queued | :running | :lost | :done
  def give_up(request) do
    phase = Native.cancel(request)
    if phase not in [:lost, :done], do: Native.count_timeout(request, false)
    phase
  end

  @doc "Cancels a submitted request: `:lost` when its reply is on its way, `:done` when it has come."
  @spec cancel(Native.request()) :: :waiting | :queued | :running | :lost | :done
  def cancel(request), do: Native.cancel(request)

  # What a callback calls without naming a context runs where the Python code runs that called it: the native side knows.
  defp scope({:default, pid}, flags), do: {pid, flags + @routed}
  defp scope({:process, pid}, flags), do: {pid, flags + @inherit}
  defp scope(namespace, flags), do: {namespace, flags}

  defp flags(%{dialect: :elixir, return: :term, wait: wait, timed: false}) when wait != 0, do: 0

  defp flags(options) do
    if(options.dialect == :erlang, do: @erlang + traceback(), else: 0) +
      if(options.return == :object, do: @return_object, else: 0) +
      if(options.wait == 0, do: @no_wait, else: 0) +
      if(options.timed, do: @timed, else: 0)
  end

  defp traceback, do: if(Process.get(@tracebacks), do: @traceback, else: 0)

  @doc "Has failures in the Erlang dialect, which are class and text, leave their traceback for `last_traceback/0`."
  @spec keep_tracebacks(boolean()) :: :ok
  def keep_tracebacks(keep) do
    if keep, do: Process.put(@tracebacks, {:last, nil}), else: Process.delete(@tracebacks)
    :ok
  end

  @doc "The traceback of the last failure of the calling process, as text; `nil` when there was none, or none is kept."
  @spec last_traceback() :: String.t() | nil
  def last_traceback do
    with {:last, text} <- Process.get(@tracebacks), do: text
  end

  ## What went wrong

  # `context`: the native one, or its id, where one was reached.
  defp failure(reason, options, context, brief) do
    context = context_id(context)
    {error, location} = error(reason, options, context)
    if options.timed and location, do: Telemetry.Events.failed_at(location)
    Telemetry.Events.overload(reason, context)
    Py.Stats.Failures.record(error, context, brief, location)
    {:error, error}
  end

  @doc "What users see of a reason, and the line of the program that raised, where it is known. `context`: an id."
  @spec error(term(), Options.t(), pos_integer() | nil) ::
          {term(), {String.t(), pos_integer()} | nil}
  # From the watchdog, which does not know the timeout that was given.
  def error(:timeout, options, context),
    do: error({:timeout, options.timeout, :running}, options, context)

  def error(:timeout_queued, options, context),
    do: error({:timeout, options.timeout, :queued}, options, context)

  def error({:timeout, timeout, phase}, %{dialect: :elixir}, context),
    do: {%Py.TimeoutError{timeout: timeout, phase: phase, context: context}, nil}

  def error({:exception, {class, text, location, traceback}}, %{dialect: :erlang}, _context) do
    Process.put(@tracebacks, {:last, traceback})
    {erlang_reason({:exception, {class, text, location}}), location}
  end

  def error(reason, %{dialect: :erlang}, _context) do
    # That of an earlier failure is not this one's.
    if Process.get(@tracebacks), do: Process.put(@tracebacks, {:last, nil})
    {erlang_reason(reason), location(reason)}
  end

  def error(reason, _options, _context), do: {exception(reason), location(reason)}

  defp location({:exception, {description, _object}}) when is_tuple(description),
    do: elem(description, tuple_size(description) - 1)

  defp location({:exception, {_class, _text, location}}), do: location
  defp location(_reason), do: nil

  defp context_id(context) when is_reference(context), do: elem(Native.context_state(context), 0)
  defp context_id(id), do: id

  @doc "The exception struct of a native reason."
  @spec exception(term()) :: Exception.t()
  def exception(error) when is_exception(error), do: error

  def exception({:exception, {description, object}}) when is_tuple(description),
    do: Py.Error.from_description(description, object)

  # In the Erlang dialect, of work that nobody waits for.
  def exception({:exception, {class, text, _location}}) do
    %Py.Error{
      type: to_string(class),
      message: List.to_string(text),
      bases: ["builtins.#{class}"]
    }
  end

  def exception({:exception, class}) do
    %Py.Error{
      type: class,
      message: "(no details: describing the exception failed)",
      bases: ["builtins.#{class}"]
    }
  end

  def exception({:conversion, reason, path}), do: %Py.ConversionError{reason: reason, path: path}
  def exception({:timeout, timeout}), do: %Py.TimeoutError{timeout: timeout}
  def exception(:timeout), do: %Py.TimeoutError{}
  def exception(:interrupted), do: %Py.InterruptedError{}

  def exception({refused, limit, current, max}) when refused in [:rejected, :overloaded],
    do: %Py.OverloadedError{current: current, max: max, limit: limit}

  def exception(:stopped), do: %Py.ContextError{reason: :stopped}
  def exception({:stopped, id}), do: %Py.ContextError{reason: :stopped, context: id}
  def exception({:panicked, text}), do: %Py.ContextError{reason: {:crashed, text}}

  # Only where nobody is there to encode and submit again: a built-in struct with such a struct in one of its fields.
  def exception(:encode),
    do: %Py.ConversionError{reason: "a built-in struct holds a value that only Py.Encoder knows"}

  def exception(reason) when reason in [:bad_request, :cancelled],
    do: %Py.ContextError{
      reason: {:failed, "unexpected reply #{inspect(reason)}; please report this"}
    }

  def exception(:wrong_interpreter), do: %Py.ContextError{reason: :wrong_interpreter}

  @doc "The reason of a failure as the Erlang API has it."
  @spec erlang_reason(term()) :: term()
  def erlang_reason({:exception, {:StopIteration, _text, _location}}),
    do: {:stop_iteration, :none}

  def erlang_reason({:exception, {:KeyboardInterrupt, _text, _location}}), do: :interrupted
  def erlang_reason({:exception, {class, text, _location}}), do: {class, text}
  def erlang_reason({:timeout, _timeout}), do: :timeout
  def erlang_reason({:timeout, _timeout, _phase}), do: :timeout

  def erlang_reason({refused, _limit, current, max}) when refused in [:rejected, :overloaded],
    do: {:overloaded, current, max}

  def erlang_reason(reason) when reason in [:timeout, :interrupted], do: reason

  def erlang_reason(reason) do
    case exception(reason) do
      %Py.ContextError{reason: :not_found, context: name}
      when is_atom(name) and name not in [nil, :default] ->
        {:no_such_pool, name}

      %Py.ContextError{reason: reason} ->
        {:context_died, reason}

      %Py.OverloadedError{current: current, max: max} ->
        {:overloaded, current, max}

      %Py.TimeoutError{} ->
        :timeout

      %Py.ConversionError{} = error ->
        {:conversion_error, to_charlist(Exception.message(error))}
    end
  end
end
