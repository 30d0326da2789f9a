defmodule Py.Telemetry.Log do
  @moduledoc false
  # The default logger, see `Py.Telemetry.attach_default_logger/1`, and the logger that is attached without it, for problems
  # of contexts and overload. Overload is counted and summed up once a second: a line for each refusal would add to the load.

  @id "erlang_python-default-logger"
  @problems_id "erlang_python-problems"
  @problems [context: :crash, context: :stuck, context: :recovered, context: :replaced] ++
              [overload: :rejected, overload: :expired]

  # One array: the counts, then the latest limits, then 1 while a report is scheduled.
  @overloads [rejected: :permits, rejected: :queue, rejected: :context] ++
               [expired: :permits, expired: :context]
  @kinds length(@overloads)
  @reporting 2 * @kinds + 1
  @report_ms 1_000

  @stack_lines 8

  @families [:cast, :callback, :context, :overload]
  @allowed [:call, :gc | @families]
  @options [level: :info, families: @families, slow: nil]

  @doc "Attaches the default logger to those of `events` that the options select."
  @spec attach(keyword(), [:telemetry.event_name()]) :: :ok | {:error, :already_exists}
  def attach(options, events) do
    if not Keyword.keyword?(options), do: Py.Schema.no_keyword!(options)

    case Keyword.keys(options) -- Keyword.keys(@options) do
      [] -> :ok
      unknown -> Py.Schema.unknown!(unknown, Keyword.keys(@options), "")
    end

    config = @options |> Keyword.merge(options) |> Map.new()
    check!(config)
    events = Enum.filter(events, &wanted?(&1, config))

    with :ok <- :telemetry.attach_many(@id, events, &__MODULE__.handle/4, config) do
      :telemetry.detach(@problems_id)
      :ok
    end
  end

  @doc "Detaches the default logger, and attaches the other one while the application runs."
  @spec detach() :: :ok | {:error, :not_found}
  def detach do
    with :ok <- :telemetry.detach(@id) do
      if Py.Lifecycle.running?(), do: attach_problems()
      :ok
    end
  end

  @doc "Creates the counts, before any event is emitted."
  @spec init() :: :ok
  def init do
    if :persistent_term.get(__MODULE__, nil) == nil,
      do: :persistent_term.put(__MODULE__, :atomics.new(@reporting, signed: false))

    :ok
  end

  @doc "Attaches the logger of problems, unless the default logger is attached or `config :erlang_python, log: false` is set."
  @spec attach_problems() :: :ok
  def attach_problems do
    default? = Enum.any?(:telemetry.list_handlers([:erlang_python]), &(&1.id == @id))

    if Py.Config.get(:log) and not default? do
      events = for {family, name} <- @problems, do: [:erlang_python, family, name]
      :telemetry.attach_many(@problems_id, events, &__MODULE__.handle/4, %{})
    end

    :ok
  end

  @doc "Detaches the logger of problems when the application stops, and logs what it has counted."
  @spec detach_problems() :: :ok
  def detach_problems do
    :telemetry.detach(@problems_id)
    report()
  end

  defp count(name, limit, max) do
    counts = :persistent_term.get(__MODULE__)
    kind = Enum.find_index(@overloads, &(&1 == {name, limit})) + 1
    :atomics.put(counts, kind + @kinds, max)
    :atomics.add(counts, kind, 1)

    if :atomics.exchange(counts, @reporting, 1) == 0,
      do: Process.send_after(Py.Telemetry.Reporter, :overload, @report_ms)
  end

  @doc "Logs the overload since the last report."
  @spec report() :: :ok
  def report do
    counts = :persistent_term.get(__MODULE__)
    :atomics.put(counts, @reporting, 0)

    for {{name, limit}, kind} <- Enum.with_index(@overloads, 1),
        count = :atomics.exchange(counts, kind, 0),
        count > 0 do
      max = :atomics.get(counts, kind + @kinds)
      requests = if count == 1, do: "1 Python request", else: "#{count} Python requests"

      Py.Log.log(
        :warning,
        "#{requests} #{refusal(name, limit)} in the last second: #{cause(limit, max)}",
        %{erlang_python: %{limit: limit, count: count}}
      )
    end

    :ok
  end

  defp check!(%{level: level, families: families, slow: slow}) do
    if level not in Py.Log.levels(),
      do: invalid!(:level, level, Enum.map_join(Py.Log.levels(), ", ", &inspect/1))

    if not (is_list(families) and families -- @allowed == []),
      do: invalid!(:families, families, "a list of #{inspect(@allowed)}")

    if not (slow == nil or (is_integer(slow) and slow > 0)),
      do: invalid!(:slow, slow, "milliseconds")
  end

  defp invalid!(key, value, expected),
    do: raise(ArgumentError, "invalid #{inspect(key)}: #{inspect(value)}; expected #{expected}")

  defp wanted?([_app, :callback, name], config),
    do: name == :exception and :callback in config.families

  defp wanted?([_app, :call, :exception], config),
    do: :call in config.families or config.slow != nil

  defp wanted?([_app, :call, :stop], config), do: config.slow != nil
  defp wanted?([_app, :gc, _run], config), do: :gc in config.families or config.slow != nil

  defp wanted?([_app, family, _name], config),
    do: family in @families and family in config.families

  @doc false
  def handle([_app, :overload, name], %{max: max}, %{limit: limit}, _config),
    do: count(name, limit, max)

  def handle([_app, family, name], measurements, metadata, config) do
    case message(family, name, measurements, metadata, config) do
      nil ->
        :ok

      {level, text} ->
        Py.Log.log(level, text, %{erlang_python: Map.drop(metadata, [:reason, :stacktrace])})
    end
  end

  defp message(:context, :start, measurements, info, config),
    do: {config.level, "#{context(info)} started in #{ms(measurements.duration)} ms"}

  defp message(:context, :stop, _measurements, info, config),
    do: {config.level, "#{context(info)} stopped"}

  defp message(:context, :crash, _measurements, info, _config),
    do: {:error, "#{context(info)} crashed"}

  defp message(:context, :stuck, _measurements, info, _config) do
    {:error,
     "#{context(info)} is stuck: an interrupt has had no effect for half a second, because C code does not return" <>
       where(info.stack)}
  end

  defp message(:context, :recovered, measurements, info, _config),
    do:
      {:warning,
       "#{context(info)} runs again, after being stuck for #{ms(measurements.duration)} ms"}

  defp message(:context, :replaced, measurements, info, _config) do
    {:warning,
     "#{context(info)} was stuck for #{ms(measurements.duration)} ms and is replaced; its thread ends when its C code returns"}
  end

  defp message(:cast, :exception, _measurements, metadata, _config),
    do: {:warning, "Py.cast failed: #{metadata.type}"}

  defp message(:callback, :exception, _measurements, metadata, _config),
    do: {:warning, "Python called #{function(metadata.name)}, which failed"}

  defp message(:gc, :run, measurements, metadata, config) do
    text =
      "Python garbage collection of generation #{metadata.generation} in interpreter #{metadata.interpreter} " <>
        "took #{ms(measurements.duration)} ms"

    cond do
      slow?(measurements, config) -> {:warning, text}
      :gc in config.families -> {config.level, text}
      true -> nil
    end
  end

  defp message(:call, name, measurements, metadata, config) do
    cond do
      name == :exception and :call in config.families ->
        {:warning,
         "#{call(metadata)} failed (#{metadata.type}) after #{ms(measurements.duration)} ms"}

      slow?(measurements, config) ->
        {:warning,
         "#{call(metadata)} took #{ms(measurements.duration)} ms: " <>
           "#{ms(measurements.queue_time)} ms queued, #{ms(measurements.python_time)} ms in Python"}

      true ->
        nil
    end
  end

  defp slow?(_measurements, %{slow: nil}), do: false

  defp slow?(%{duration: duration}, %{slow: slow}),
    do: duration >= System.convert_time_unit(slow, :millisecond, :native)

  defp context(%{pool: nil} = info), do: "Python context #{info.id} (#{info.mode})"

  defp context(info),
    do: "Python context #{info.id} (#{info.mode}, pool #{inspect(info.pool)}, slot #{info.index})"

  # The innermost frames matter most.
  defp where([]), do: ""

  defp where(stack) do
    lines =
      for frame <- Enum.take(stack, -@stack_lines), do: ["\n  ", Py.Context.Stack.format(frame)]

    IO.iodata_to_binary([". It runs (innermost last)" | lines])
  end

  defp refusal(:rejected, _limit), do: "refused"
  defp refusal(:expired, :permits), do: "timed out waiting for a permit"
  defp refusal(:expired, :context), do: "timed out waiting for a busy context"

  defp cause(:permits, max), do: "no permit is free (max_concurrent: #{max})"
  defp cause(:queue, max), do: "the queue of the context is full (max_queue: #{max})"
  defp cause(:context, _max), do: "one request runs on the context and another one is next"

  defp function(nil), do: "a function"
  defp function(name), do: "the function #{inspect(name)}"

  defp call(%{module: nil, operation: operation}), do: "Python #{operation}"
  defp call(%{module: module, function: nil}), do: "Python call of #{module}"
  defp call(%{module: module, function: function}), do: "Python call of #{module}.#{function}"

  defp ms(native),
    do: Float.round(System.convert_time_unit(native, :native, :microsecond) / 1000, 1)
end
