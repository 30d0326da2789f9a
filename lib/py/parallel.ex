defmodule Py.Parallel do
  @moduledoc false
  # Many calls over the contexts of one pool. Each context has up to two at a time, so that it never waits for us; the next
  # call goes to the context that has finished one.

  alias Py.{Deadline, Operation, Request, Telemetry}
  alias Py.Request.Failure

  @per_context 2

  @doc "Runs operations on the contexts of a pool, the default one or that of `:context`; one result each, in order."
  @spec run([Operation.t()], Py.Options.t()) ::
          {:ok, [Operation.result()]} | {:error, Py.ContextError.t()}
  def run(operations, options) do
    pool = options.context || :default

    case Py.Pool.Table.native_contexts(pool) do
      [] -> Py.Context.Table.not_found(pool)
      contexts -> {:ok, run(operations, contexts, options)}
    end
  end

  defp run(operations, contexts, options) do
    deadline = Deadline.new(options.timeout)
    queue = Enum.with_index(operations)
    places = for _ <- 1..@per_context, context <- contexts, do: context
    {running, queue, results} = fill(places, queue, %{}, %{}, options)
    results = collect(running, queue, results, options, deadline)
    for index <- 0..(length(operations) - 1)//1, do: Map.fetch!(results, index)
  end

  defp fill(places, [], running, results, _options) when is_list(places),
    do: {running, [], results}

  defp fill([], queue, running, results, _options), do: {running, queue, results}

  defp fill([context | places], [{operation, index} | queue], running, results, options) do
    call = Telemetry.Call.start(operation)

    submit = fn -> Request.submit_to(context, operation, %{options | timed: call != nil}) end

    case Telemetry.Call.guard(call, submit) do
      {:ok, ref, request} ->
        told = {call, Operation.brief(operation)}
        running = Map.put(running, ref, {index, request, context, told})
        fill(places, queue, running, results, options)

      # Refused: this context takes the next one.
      {:error, _error} = failed ->
        Telemetry.Call.stop(call, nil, failed)
        fill([context | places], queue, running, Map.put(results, index, failed), options)
    end
  end

  defp collect(running, queue, results, _options, _deadline)
       when map_size(running) == 0 and queue == [], do: results

  defp collect(running, queue, results, options, deadline) do
    receive do
      {ref, reply} when is_map_key(running, ref) ->
        {{index, request, context, call}, running} = Map.pop!(running, ref)
        results = Map.put(results, index, result(call, request, reply, options))
        {running, queue, results} = fill([context], queue, running, results, options)
        collect(running, queue, results, options, deadline)
    after
      Deadline.remaining(deadline) -> give_up(running, queue, results, options)
    end
  end

  # Results that are on their way are taken; the rest is cancelled.
  defp give_up(running, queue, results, options) do
    timed_out = {:error, {:timeout, options.timeout}}

    results =
      for {ref, {index, request, _context, call}} <- running, into: results do
        reply =
          case Request.cancel(request, :timeout) do
            certain when certain in [:lost, :done] -> receive_reply(ref)
            phase -> Request.timed_out(phase, options.timeout)
          end

        {index, result(call, request, reply, options)}
      end

    for {operation, index} <- queue,
        into: results,
        do: {index, Failure.result(timed_out, options, nil, Operation.brief(operation))}
  end

  defp result({call, brief}, request, reply, options) do
    options = %{options | timed: call != nil}
    result = Failure.result(reply, options, {:request, request}, brief)
    Telemetry.Call.stop(call, request, result)
    result
  end

  defp receive_reply(ref) do
    receive do
      {^ref, reply} -> reply
    end
  end
end
