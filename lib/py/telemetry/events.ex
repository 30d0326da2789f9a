defmodule Py.Telemetry.Events do
  @moduledoc false
  # Emits the events of `Py.Telemetry`, except those of calls (`Py.Telemetry.Call`) and the polled statistics.

  alias Py.{Config, Native, Operation}
  alias Py.Context.Table
  alias Py.Stats.{Counters, Failures}

  # The key in the process dictionary for the line where the latest call failed, until an event reports it.
  @location :"$py_failed_at"

  # `:telemetry` does not document this table, which is the same in all its versions. Without it each event is emitted.
  @doc "Returns `true` if a handler is attached to an event."
  @spec handled?(:telemetry.event_name()) :: boolean()
  def handled?(event) do
    :telemetry_handler_table.list_for_event(event) != []
  rescue
    UndefinedFunctionError -> true
  end

  @doc "Notes the line of the program at which the tracked operation that ends next in this process has failed."
  @spec failed_at({String.t(), pos_integer()}) :: term()
  def failed_at(location), do: Process.put(@location, location)

  @doc "Takes the metadata of that line."
  @spec location() :: %{file: String.t() | nil, line: pos_integer() | nil}
  def location do
    {file, line} = Process.delete(@location) || {nil, nil}
    %{file: file, line: line}
  end

  @doc "The metadata of a context, by its id: `context` and `context_name`."
  @spec place(pos_integer() | nil) :: map()
  def place(context), do: %{context: context, context_name: Table.label(context)}

  @doc "Emits the failure of a cast."
  @spec cast(term(), Native.context() | nil, Operation.brief()) :: :ok
  def cast(reason, native, brief) do
    {error, type} = Failures.classify(reason)
    context = native && elem(Native.context_state(native), 0)

    metadata =
      %{kind: :error, reason: reason, stacktrace: [], error: error, type: type}
      |> Map.merge(Operation.names(brief))
      |> Map.merge(place(context))
      |> Map.merge(location())

    :telemetry.execute([:erlang_python, :cast, :exception], %{count: 1}, metadata)
  end

  @doc "Emits the start of a callback. Returns what `callback_stop/4` takes, `nil` when no handler is attached."
  @spec callback_start(String.t() | nil) :: map() | nil
  def callback_start(name) do
    if Config.get(:telemetry) and handled?(callback(:start)) do
      metadata = callback_metadata(name)
      measurements = %{monotonic_time: System.monotonic_time(), system_time: System.system_time()}
      :telemetry.execute(callback(:start), measurements, metadata)
      metadata
    end
  end

  @doc "Emits the end of a callback."
  @spec callback_stop(map() | nil, String.t() | nil, integer(), tuple()) :: :ok
  def callback_stop(metadata, name, duration, outcome) do
    event = callback(if elem(outcome, 0) == :ok, do: :stop, else: :exception)

    if Config.get(:telemetry) and handled?(event) do
      measurements = %{monotonic_time: System.monotonic_time(), duration: duration}
      metadata = Map.merge(metadata || callback_metadata(name), callback_failure(outcome))
      :telemetry.execute(event, measurements, metadata)
    end

    :ok
  end

  defp callback_failure({:ok, _value}), do: %{}

  defp callback_failure({:failed, kind, reason, stacktrace, _text}),
    do: %{kind: kind, reason: reason, stacktrace: stacktrace}

  defp callback_metadata(name), do: %{name: name, telemetry_span_context: make_ref()}

  # Constants, so that no list is built while no handler is attached.
  for name <- [:start, :stop, :exception] do
    defp callback(unquote(name)), do: [:erlang_python, :callback, unquote(name)]
  end

  @doc "Emits an event of a context. `info.started` is the start of the time span that the event ends."
  @spec context(atom(), Table.info(), map()) :: :ok
  def context(name, info, metadata \\ %{}) do
    count(name, info, metadata)
    {started, info} = Map.pop!(info, :started)
    measurements = %{system_time: System.system_time()}

    measurements =
      if name == :stuck,
        do: measurements,
        else: Map.put(measurements, :duration, System.monotonic_time() - started)

    :telemetry.execute([:erlang_python, :context, name], measurements, Map.merge(info, metadata))
  end

  defp count(:start, _info, _metadata), do: Counters.add(:contexts_started)

  defp count(:crash, info, metadata) do
    Counters.add(:contexts_crashed)
    Failures.record_crash(inspect(metadata.reason), info.id)
  end

  defp count(_name, _info, _metadata), do: :ok

  @doc "Emits an event if the reason of a failure is overload, and does nothing otherwise."
  @spec overload(term(), pos_integer() | nil) :: :ok
  def overload({:rejected, limit, current, max}, context),
    do: overload(:rejected, limit, current, max, context)

  def overload({:overloaded, limit, current, max}, context),
    do: overload(:expired, limit, current, max, context)

  def overload(_other, _context), do: :ok

  defp overload(name, limit, current, max, context) do
    :telemetry.execute(
      [:erlang_python, :overload, name],
      %{current: current, max: max},
      Map.put(place(context), :limit, limit)
    )
  end

  @doc "Emits a run of a garbage collector."
  @spec collection(map()) :: :ok
  def collection(run) do
    :telemetry.execute(
      [:erlang_python, :gc, :run],
      %{
        duration: System.convert_time_unit(run.duration, :nanosecond, :native),
        collected: run.collected,
        uncollectable: run.uncollectable
      },
      Map.take(run, [:generation, :interpreter])
    )
  end
end
