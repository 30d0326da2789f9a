defmodule Py.Request do
  @moduledoc false
  # Submits requests to the native code, waits for them and cancels them. The life of a request:
  #
  #   1. `Py.Router.route/2` finds the context and the namespace, without leaving the calling process.
  #   2. `Native.submit` copies the operation and queues it, or refuses.
  #   3. The thread of the context replies `{:ok, value} | {:error, reason}`. Where Python calls a function of Elixir, it
  #      sends `{:callback, id, target, args}` first: see `serve/3`. A caller that may expect the reply within microseconds
  #      polls for it and gets it without a message; others get it as `{ref, reply}`.
  #   4. On a timeout the caller cancels. If the cancellation wins, no message will ever come; else the reply is certain and is
  #      received. So no late reply is left in a mailbox.

  alias Py.{Deadline, Native, Operation, Options, Router, Telemetry}
  alias Py.Request.{Failure, Flags, Remote}
  alias Py.Router.Choice

  # How often an outcome is polled for after other processes had their turn.
  @polls 16

  @no_deadline -1

  @doc "Runs an operation and waits for its result."
  @spec run(Operation.t(), Options.t()) :: Operation.result()
  def run(operation, options) do
    case Telemetry.Call.start(operation) do
      # No handler is attached to the events of calls.
      nil -> execute(operation, options)
      call -> Telemetry.Call.span(call, fn -> execute(operation, %{options | timed: true}) end)
    end
  end

  # Returns the result, and for a timed call also its request, which has its times.
  defp execute(operation, options) do
    with {:ok, context, namespace} <- Router.route(operation, options),
         {:ok, operation} <- encode_arguments(operation, options) do
      run(operation, context, namespace, options, 3)
    else
      {:remote, context} -> run_remotely(context, operation, options)
      {:error, error} -> failure(error, options, nil, operation)
    end
  end

  # So that the converter need not ask for it, see `failed(:encode, …)`. Structs are maps in the Erlang dialect.
  defp encode_arguments(operation, %{dialect: :erlang}), do: {:ok, operation}
  defp encode_arguments(operation, _options), do: Py.Encoder.Prepare.arguments(operation)

  # The node of the context runs the operation like its own ones.
  defp run_remotely(context, operation, options) do
    there = %{options | context: context, namespace: :context, timed: false}

    context
    |> Remote.run({__MODULE__, :run, [operation, there]}, options.timeout)
    |> with_request(options)
  end

  defp run(operation, context, namespace, options, tries) do
    {names, flags} = Flags.of_call(namespace, options)
    deadline = deadline(options)
    ref = make_ref()

    case submit_and_poll(context, ref, operation, names, flags, deadline) do
      # A timed call never ends here.
      {:ok, _value} = ok ->
        ok

      {:error, reason} ->
        failed(reason, operation, context, namespace, options, tries)

      {:refused, reason} ->
        failed(reason, operation, context, namespace, options, tries)

      outcome ->
        started = System.monotonic_time()
        reply = reply(outcome, ref, options)
        options = note_request(outcome, options)
        finish(reply, operation, context, namespace, options, tries, started)
    end
  end

  # What was not there at once: poll for it between turns of other processes, a few times, then wait for a message.
  defp submit_and_poll(context, ref, operation, names, flags, deadline) do
    case Native.submit(context, self(), ref, operation, names, flags, deadline, callers()) do
      :poll -> poll(nil, @polls)
      {:poll, request} -> poll(request, @polls)
      outcome -> outcome
    end
  end

  defp poll(request, tries) do
    :erlang.yield()

    case Native.poll(request, tries == 1) do
      :poll -> poll(request, tries - 1)
      outcome -> outcome
    end
  end

  defp note_request(_outcome, %{timed: false} = options), do: options

  defp note_request(outcome, options) when is_tuple(outcome),
    do: %{options | request: elem(outcome, 1)}

  defp note_request(request, options), do: %{options | request: request}

  defp with_request(result, %{timed: false}), do: result
  defp with_request(result, %{request: request}), do: {result, request}

  defp finish({:ok, _value} = ok, _operation, _context, _namespace, options, _tries, _started),
    do: with_request(ok, options)

  # The time that has passed, for reasons that lead to another attempt.
  defp finish({:error, reason}, operation, context, namespace, options, tries, started) do
    passed = System.monotonic_time() - started
    spent = options.spent + System.convert_time_unit(passed, :native, :millisecond)
    failed(reason, operation, context, namespace, %{options | spent: spent}, tries)
  end

  # Waits for the reply.
  defp reply({:done, _request, reply}, _ref, _options), do: reply
  defp reply({:ask, request, callback}, ref, _options), do: serve(request, ref, callback)

  defp reply(request, ref, %{timeout: timeout, wait: wait, spent: spent}) do
    receive do
      {^ref, {:callback, _id, _target, _args} = callback} -> serve(request, ref, callback)
      {^ref, reply} -> reply
    after
      Deadline.rest(min(wait, timeout), spent) -> expire(request, ref, wait, timeout)
    end
  end

  # Python calls a function of Elixir, which runs here, in the process that waits for that Python code. From now on the
  # watchdog keeps the deadline, because this process may be busy then. The call is counted after the answer was sent, while
  # Python goes on.
  defp serve(request, ref, {:callback, id, target, args}) do
    {answer, done} = Py.Callback.run(target, args, request)
    outcome = Native.callback_resume(request, id, answer)
    Py.Callback.count(done)
    outcome = if outcome == :poll, do: Native.poll_soon(request), else: outcome
    outcome = if outcome == :poll, do: poll(request, @polls), else: outcome
    served(outcome, ref)
  end

  defp served({:done, _request, reply}, _ref), do: reply
  defp served({:ask, request, callback}, ref), do: serve(request, ref, callback)

  defp served(request, ref) when is_reference(request) do
    receive do
      {^ref, {:callback, _id, _target, _args} = callback} -> serve(request, ref, callback)
      {^ref, reply} -> reply
    end
  end

  defp served(reply, _ref), do: reply

  # `wait` is over: give up if there is no permit yet, else go on until `timeout`.
  defp expire(request, ref, wait, timeout) when wait < timeout do
    case Native.cancel_waiting(request) do
      false ->
        receive do
          {^ref, {:callback, _id, _target, _args} = callback} -> serve(request, ref, callback)
          {^ref, result} -> result
        after
          Deadline.rest(timeout, wait) -> expire(request, ref, timeout, timeout)
        end

      overload ->
        {:error, overload}
    end
  end

  defp expire(request, ref, _wait, timeout) do
    case Native.cancel(request, :timeout) do
      certain when certain in [:lost, :done] ->
        receive do
          {^ref, {:callback, id, _target, _args}} -> refuse(request, ref, id, timeout)
          {^ref, result} -> result
        end

      phase ->
        timed_out(phase, timeout)
    end
  end

  @doc """
  Returns the error of a request that `cancel/2` ended for the reason `:timeout`, by what it was doing. If it never got a
  permit, the limit is what stood in the way.
  """
  @spec timed_out(:waiting | :queued | :running, timeout()) :: {:error, term()}
  def timed_out(:waiting, _timeout) do
    {current, max} = Native.permits_used()
    {:error, {:overloaded, :permits, current, max}}
  end

  def timed_out(phase, timeout), do: {:error, {:timeout, timeout, phase}}

  # Too late for a function to run; the watchdog ends the request.
  defp refuse(request, ref, id, timeout) do
    Native.callback_answer(request, id, Py.Callback.timed_out(timeout))

    receive do
      {^ref, {:callback, id, _target, _args}} -> refuse(request, ref, id, timeout)
      {^ref, result} -> result
    end
  end

  # A struct that only Py.Encoder knows: encode, and submit again. Nothing has run yet.
  defp failed(:encode, operation, context, namespace, options, tries) do
    case Py.Encoder.Prepare.operation(operation) do
      {:ok, encoded} when tries > 0 ->
        run(encoded, context, namespace, options, tries - 1)

      {:ok, _encoded} ->
        reason = {:conversion, "a struct that Py.Encoder did not replace", ""}
        failure(reason, options, context, operation)

      {:error, error} ->
        failure(error, options, nil, operation)
    end
  end

  # The router's choice is stuck: the process moves, unless it was bound there. Should all be stuck, it waits like any other.
  defp failed(:stuck, operation, context, {:default, pid}, options, tries),
    do: run(operation, Choice.move(context), pid, options, tries)

  # The context of a pool was being replaced: nothing has run, so another one may take the call.
  defp failed(:stopped, operation, context, namespace, options, tries) when tries > 0 do
    case Choice.fallback(context, namespace, options) do
      {:ok, other} -> run(operation, other, namespace, options, tries - 1)
      :error -> failure(:stopped, options, context, operation)
    end
  end

  defp failed(reason, operation, context, _namespace, options, _tries),
    do: failure(reason, options, context, operation)

  defp failure(reason, options, context, operation) do
    reason
    |> Failure.record(options, context, Operation.brief(operation))
    |> with_request(options)
  end

  @doc """
  Submits without waiting. Replies go to `receiver` as `{ref, result}`, and are for `Failure.result/4`. Of a `:cast` only failures
  come, as `{{ref, native context, brief operation}, result}`.
  """
  @spec submit(Operation.t(), Options.t(), pid(), :async | :cast | {:task, Telemetry.Call.t()}) ::
          {:ok, reference(), Native.request()} | {:error, term()}
  def submit(operation, options, receiver \\ self(), kind \\ :async) do
    with {:ok, operation} <- prepare(operation, options),
         {:ok, context, namespace} <- Router.route(operation, options, routed(kind)) do
      submit_to(context, operation, namespace, options, receiver, kind)
    else
      {:remote, context} ->
        Failure.record(remote_async(context), options, nil, Operation.brief(operation))

      {:error, error} ->
        Failure.record(error, options, nil, Operation.brief(operation))
    end
  end

  defp routed(:cast), do: :cast
  defp routed(_kind), do: :call

  @doc "Submits to a native context, in the namespace of the calling process."
  @spec submit_to(Native.context(), Operation.t(), Options.t()) ::
          {:ok, reference(), Native.request()} | {:error, term()}
  def submit_to(context, operation, options) do
    case prepare(operation, options) do
      {:ok, operation} -> submit_to(context, operation, self(), options, self(), :async)
      {:error, error} -> Failure.record(error, options, nil, Operation.brief(operation))
    end
  end

  # Structs are maps in the Erlang dialect.
  defp prepare(operation, %{dialect: :erlang}), do: {:ok, operation}
  defp prepare(operation, _options), do: Py.Encoder.Prepare.operation(operation)

  defp submit_to(context, operation, namespace, options, receiver, kind) do
    ref = make_ref()
    deadline = deadline(options)
    {names, flags} = Flags.of_async(namespace, options, kind)
    tag = tag(kind, ref, context, operation, options)

    case Native.submit(context, receiver, tag, operation, names, flags, deadline, callers()) do
      request when is_reference(request) ->
        {:ok, ref, request}

      {:refused, :stuck} ->
        {:default, pid} = namespace
        Telemetry.Tasks.take(ref)
        submit_to(Choice.move(context), operation, pid, options, receiver, kind)

      {:refused, reason} ->
        Telemetry.Tasks.take(ref)
        Failure.record(reason, options, context, Operation.brief(operation))
    end
  end

  # What comes back with the reply.
  defp tag(:async, ref, _context, _operation, _options), do: ref

  defp tag(:cast, ref, context, operation, _options),
    do: {ref, context, Operation.brief(operation)}

  defp tag({:task, call}, ref, _context, _operation, options) do
    Telemetry.Tasks.follow(ref, call, options)
    ref
  end

  defp remote_async(context) do
    %Py.ContextError{
      reason:
        {:unreachable, "async work runs on this node's contexts; use Task.async with Py.call"},
      context: context
    }
  end

  defp deadline(%{timeout: :infinity}), do: @no_deadline
  defp deadline(%{timeout: timeout, spent: spent}), do: Deadline.rest(timeout, spent)

  # On whose behalf this process works: a call of a Task that a callback started belongs to that callback.
  defp callers, do: Process.get(:"$callers", [])

  @doc """
  Cancels a submitted request; one for the reason `:timeout` is counted as such. Returns what the request was doing; `:lost`
  when its reply is on its way, `:done` when the reply has come.
  """
  @spec cancel(Native.request(), :timeout | :user) ::
          :waiting | :queued | :running | :lost | :done
  def cancel(request, why), do: Native.cancel(request, why)
end
