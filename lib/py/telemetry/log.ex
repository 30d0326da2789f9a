defmodule Py.Telemetry.Log do
  @moduledoc false
  # The default logger, see `Py.Telemetry.attach_default_logger/1`, and what is logged without it: problems of contexts, and
  # overload. Overload is counted and summed up once a second: a line for each refusal would add to the load.

  @id "erlang_python-default-logger"
  @problems_id "erlang_python-problems"
  @problems [context: :crash, context: :stuck, context: :recovered, context: :replaced] ++
              [overload: :rejected, overload: :expired]

  # Counts, then the latest limits, then whether a report is on its way.
  @overloads [rejected: :permits, rejected: :queue, rejected: :context] ++
               [expired: :permits, expired: :context]
  @kinds length(@overloads)
  @reporting 2 * @kinds + 1
  @report_ms 1_000

  @stack_lines 8

  @families [:cast, :callback, :context, :overload]
  @allowed [:call, :gc | @families]
  @options [level: :info, families: @families, slow: nil]

  @doc "Logs those of `events` that the options ask for."
  @spec attach(keyword(), [:telemetry.event_name()]) :: :ok | {:error, :already_exists}
  def attach(options, events) do
    config = options |> Keyword.validate!(@options) |> Map.new()
    check!(config)
    events = Enum.filter(events, &wanted?(&1, config))

    with :ok <- :telemetry.attach_many(@id, events, &__MODULE__.handle/4, config) do
      # It takes their place.
      :telemetry.detach(@problems_id)
      :ok
    end
  end

  @spec detach() :: :ok | {:error, :not_found}
  def detach do
    with :ok <- :telemetry.detach(@id) do
      if Py.Lifecycle.running?(), do: attach_problems()
      :ok
    end
  end

  @doc "Prepares the counts, before anything is emitted."
  @spec init() :: :ok
  def init do
    if :persistent_term.get(__MODULE__, nil) == nil,
      do: :persistent_term.put(__MODULE__, :atomics.new(@reporting, signed: false))

    :ok
  end

  @doc "Logs problems from now on, unless the default logger does or `config :erlang_python, log: false` says otherwise."
  @spec attach_problems() :: :ok
  def attach_problems do
    default? = Enum.any?(:telemetry.list_handlers([:erlang_python]), &(&1.id == @id))

    if Py.Config.get(:log) and not default? do
      events = for {family, name} <- @problems, do: [:erlang_python, family, name]
      :telemetry.attach_many(@problems_id, events, &__MODULE__.handle/4, %{})
    end

    :ok
  end

  @doc "The application stops."
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

  @doc "Logs what overload there was since the last report."
  @spec report() :: :ok
  def report do
    counts = :persistent_term.get(__MODULE__)
    :atomics.put(counts, @reporting, 0)

    for {{name, limit}, kind} <- Enum.with_index(@overloads, 1),
        count = :atomics.exchange(counts, kind, 0),
        count > 0 do
      max = :atomics.get(counts, kind + @kinds)
      what = if name == :rejected, do: "refused", else: "waited in vain"
      times = if count == 1, do: "once", else: "#{count} times"

      Py.Log.log(
        :warning,
        "Python work #{what}: #{limit(limit, max)} (#{times} within a second)",
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
     "#{context(info)} is stuck: its Python code cannot be interrupted and has not returned" <>
       where(info.stack)}
  end

  defp message(:context, :recovered, measurements, info, _config),
    do: {:warning, "#{context(info)} works again, after #{ms(measurements.duration)} ms"}

  defp message(:context, :replaced, measurements, info, _config) do
    {:warning,
     "#{context(info)} was stuck for #{ms(measurements.duration)} ms and is replaced: its thread is left to itself"}
  end

  defp message(:cast, :exception, _measurements, metadata, _config),
    do: {:warning, "a Py.cast failed: #{metadata.type}"}

  defp message(:callback, :exception, _measurements, metadata, _config),
    do: {:warning, "#{function(metadata.name)} that Python called failed"}

  defp message(:gc, :run, measurements, metadata, config) do
    text =
      "garbage collection of generation #{metadata.generation} in interpreter #{metadata.interpreter} " <>
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
         "#{call(metadata)} took #{ms(measurements.duration)} ms, " <>
           "#{ms(measurements.queue_time)} of them in the queue, #{ms(measurements.python_time)} in Python"}

      true ->
        nil
    end
  end

  defp slow?(_measurements, %{slow: nil}), do: false

  defp slow?(%{duration: duration}, %{slow: slow}),
    do: duration >= System.convert_time_unit(slow, :millisecond, :native)

  defp context(%{pool: nil} = info), do: "Python context #{info.id} (#{info.mode})"

  defp context(info),
    do: "Python context #{info.id} (#{info.mode}, number #{info.index} of #{inspect(info.pool)})"

  # The innermost frames say most.
  defp where([]), do: ""

  defp where(stack) do
    lines =
      for frame <- Enum.take(stack, -@stack_lines), do: ["\n  ", Py.Context.Stack.format(frame)]

    IO.iodata_to_binary([". It is at (innermost last)" | lines])
  end

  defp limit(:permits, max), do: "the limit of #{max} pieces of work at once is reached"
  defp limit(:queue, max), do: "the queue of its context holds #{max} requests"
  defp limit(:context, _max), do: "its context is busy and has a next request"

  defp function(nil), do: "a function"
  defp function(name), do: "the function #{inspect(name)}"

  defp call(%{module: nil, operation: operation}), do: "Python #{operation}"
  defp call(%{module: module, function: nil}), do: "Python call of #{module}"
  defp call(%{module: module, function: function}), do: "Python call of #{module}.#{function}"

  defp ms(native),
    do: Float.round(System.convert_time_unit(native, :native, :microsecond) / 1000, 1)
end
