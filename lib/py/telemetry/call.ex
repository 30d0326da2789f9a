defmodule Py.Telemetry.Call do
  @moduledoc false
  # The events of calls. `start/1` returns nil if no handler is attached; then nothing else is done.

  alias Py.{Config, Native, Operation}
  alias Py.Telemetry.Events

  @start [:erlang_python, :call, :start]
  @stop [:erlang_python, :call, :stop]
  @exception [:erlang_python, :call, :exception]

  @type t :: %{started: integer(), metadata: map()}

  # `:ok` for a task whose value was delivered to its owner.
  @type outcome ::
          Operation.result()
          | :ok
          | {:error, :cancelled}
          | {:raised, :error | :exit | :throw, term(), Exception.stacktrace()}

  @doc "Emits the start of a call; returns `nil` if no handler is attached to the events of calls."
  @spec start(Operation.t()) :: t() | nil
  def start(operation) do
    if Config.get(:telemetry) and
         (Events.handled?(@stop) or Events.handled?(@exception) or Events.handled?(@start)),
       do: begin(operation)
  end

  defp begin(operation) do
    started = System.monotonic_time()
    names = operation |> Operation.brief() |> Operation.names()
    metadata = Map.put(names, :telemetry_span_context, make_ref())

    :telemetry.execute(
      @start,
      %{monotonic_time: started, system_time: System.system_time()},
      metadata
    )

    %{started: started, metadata: metadata}
  end

  @doc "Runs a synchronous call between its events. `run` returns the result, and the request if there was one."
  @spec span(t(), (-> {result, Native.request() | nil})) :: result
        when result: Operation.result()
  def span(call, run) do
    {result, request} = guard(call, run)
    stop(call, request, result)
    result
  end

  @doc "Runs a part of a call. An exception that it raises ends the call, too."
  @spec guard(t() | nil, (-> result)) :: result when result: term()
  def guard(nil, run), do: run.()

  def guard(call, run) do
    run.()
  catch
    kind, reason ->
      stop(call, nil, {:raised, kind, reason, __STACKTRACE__})
      :erlang.raise(kind, reason, __STACKTRACE__)
  end

  @doc "Emits the end of a call. `request` is nil if none was made."
  @spec stop(t() | nil, Native.request() | nil, outcome()) :: :ok
  def stop(nil, _request, _result), do: :ok
  def stop(call, nil, result), do: ended(call, {nil, 0, 0}, result)
  def stop(call, request, result), do: ended(call, Native.request_times(request), result)

  @doc "Emits the end of a call, with the context of its request, and its nanoseconds in the queue and in Python."
  @spec ended(t(), {pos_integer() | nil, non_neg_integer(), non_neg_integer()}, outcome()) :: :ok
  def ended(call, {context, queued, ran}, result) do
    now = System.monotonic_time()

    measurements = %{
      monotonic_time: now,
      duration: now - call.started,
      queue_time: native(queued),
      python_time: native(ran)
    }

    metadata = Map.merge(call.metadata, Events.place(context))

    case result do
      {:error, reason} ->
        exception(measurements, metadata, failure(reason))

      {:raised, kind, reason, stacktrace} ->
        exception(measurements, metadata, raised(kind, reason, stacktrace))

      _value ->
        :telemetry.execute(@stop, measurements, metadata)
    end
  end

  defp failure(reason) do
    {error, type} = Py.Stats.Failures.classify(reason)
    %{kind: :error, reason: reason, stacktrace: [], error: error, type: type}
  end

  defp raised(:error, reason, stacktrace) do
    reason = Exception.normalize(:error, reason, stacktrace)
    type = inspect(reason.__struct__)
    %{kind: :error, reason: reason, stacktrace: stacktrace, error: :raised, type: type}
  end

  defp raised(kind, reason, stacktrace),
    do: %{kind: kind, reason: reason, stacktrace: stacktrace, error: :raised, type: "#{kind}"}

  defp exception(measurements, metadata, failure) do
    metadata = metadata |> Map.merge(failure) |> Map.merge(Events.location())
    :telemetry.execute(@exception, measurements, metadata)
  end

  defp native(nanoseconds), do: System.convert_time_unit(nanoseconds, :nanosecond, :native)
end
