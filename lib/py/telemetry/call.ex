defmodule Py.Telemetry.Call do
  @moduledoc false
  # The events of calls. `start/1` returns nil when nobody listens, and then nothing else is done.

  alias Py.{Config, Native, Telemetry}

  @start [:erlang_python, :call, :start]
  @stop [:erlang_python, :call, :stop]
  @exception [:erlang_python, :call, :exception]

  # Where a process that waits for a call keeps its request, see `submitted/1`.
  @request :"$py_timed_request"

  @type t :: %{started: integer(), metadata: map()}

  @doc "A call begins."
  @spec start(Py.Boundary.operation()) :: t() | nil
  def start(operation) do
    if Config.get(:telemetry) and
         (Telemetry.handled?(@stop) or Telemetry.handled?(@exception) or
            Telemetry.handled?(@start)),
       do: begin(operation)
  end

  defp begin(operation) do
    started = System.monotonic_time()
    metadata = Map.put(metadata(operation), :telemetry_span_context, make_ref())

    :telemetry.execute(
      @start,
      %{monotonic_time: started, system_time: System.system_time()},
      metadata
    )

    %{started: started, metadata: metadata}
  end

  @doc "Runs a call, whose process waits for it, between its events. `run` calls `submitted/1`."
  @spec span(t(), (-> result)) :: result when result: Py.Boundary.result()
  def span(call, run) do
    # A callback, in this process, may make further calls.
    outer = Process.put(@request, nil)

    try do
      result = run.()
      stop(call, Process.get(@request), result)
      result
    after
      if outer, do: Process.put(@request, outer), else: Process.delete(@request)
    end
  end

  @doc "The native request of the call that the calling process waits for."
  @spec submitted(Native.request()) :: term()
  def submitted(request), do: Process.put(@request, request)

  @doc "A call has ended. `request` is nil where none was made."
  @spec stop(t() | nil, Native.request() | nil, Py.Boundary.result() | {:error, :cancelled}) ::
          :ok
  def stop(nil, _request, _result), do: :ok

  def stop(call, request, result) do
    now = System.monotonic_time()
    {context, queue_time, python_time} = times(request)

    measurements = %{
      monotonic_time: now,
      duration: now - call.started,
      queue_time: queue_time,
      python_time: python_time
    }

    metadata = Map.put(call.metadata, :context, context)

    case result do
      {:error, reason} ->
        :telemetry.execute(@exception, measurements, Map.merge(metadata, failure(reason)))

      _value ->
        :telemetry.execute(@stop, measurements, metadata)
    end
  end

  defp failure(reason) do
    {error, type} = Py.Stats.Failures.classify(reason)
    %{kind: :error, reason: reason, stacktrace: [], error: error, type: type}
  end

  defp times(nil), do: {nil, 0, 0}

  defp times(request) do
    {context, queued, ran} = Native.request_times(request)
    {context, native(queued), native(ran)}
  end

  defp native(nanoseconds), do: System.convert_time_unit(nanoseconds, :nanosecond, :native)

  defp metadata({:call, target, function, _args, _kwargs}),
    do: %{operation: :call, module: module(target), function: function && to_string(function)}

  defp metadata(:new_env), do: %{operation: :new_env, module: nil, function: nil}

  defp metadata(operation) do
    kind = if elem(operation, 0) == :eval, do: :eval, else: :exec
    %{operation: kind, module: nil, function: nil}
  end

  defp module(%Py.Object{type: type}), do: type
  defp module(name), do: to_string(name)
end
