defmodule Py.Telemetry.Log do
  @moduledoc false
  # The default logger, see `Py.Telemetry.attach_default_logger/1`.

  require Logger

  @id "erlang_python-default-logger"
  @families [:cast, :callback, :context, :overload]
  @allowed [:call, :gc | @families]
  @options [level: :info, families: @families, slow: nil]

  @spec attach(keyword()) :: :ok | {:error, :already_exists}
  def attach(options) do
    config = options |> Keyword.validate!(@options) |> Map.new()
    check!(config)
    events = Enum.filter(Py.Telemetry.events(), &wanted?(&1, config))
    :telemetry.attach_many(@id, events, &__MODULE__.handle/4, config)
  end

  @spec detach() :: :ok | {:error, :not_found}
  def detach, do: :telemetry.detach(@id)

  defp check!(%{level: level, families: families, slow: slow}) do
    if level not in Logger.levels(),
      do: invalid!(:level, level, Enum.map_join(Logger.levels(), ", ", &inspect/1))

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
  def handle([_app, family, name], measurements, metadata, config) do
    case message(family, name, measurements, metadata, config) do
      nil ->
        :ok

      {level, text} ->
        Logger.log(level, text, erlang_python: Map.drop(metadata, [:reason, :stacktrace]))
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
     "#{context(info)} is stuck: its Python code cannot be interrupted and has not returned"}
  end

  defp message(:context, :recovered, measurements, info, _config),
    do: {:warning, "#{context(info)} works again, after #{ms(measurements.duration)} ms"}

  defp message(:overload, :rejected, measurements, metadata, _config),
    do: {:warning, "Python work refused: #{limit(metadata.limit, measurements)}"}

  defp message(:overload, :expired, measurements, metadata, _config),
    do: {:warning, "Python work waited in vain: #{limit(metadata.limit, measurements)}"}

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

  defp limit(:permits, %{max: max}), do: "the limit of #{max} pieces of work at once is reached"
  defp limit(:queue, %{max: max}), do: "the queue of its context holds #{max} requests"

  defp function(nil), do: "a function"
  defp function(name), do: "the function #{inspect(name)}"

  defp call(%{module: nil, operation: operation}), do: "Python #{operation}"
  defp call(%{module: module, function: nil}), do: "Python call of #{module}"
  defp call(%{module: module, function: function}), do: "Python call of #{module}.#{function}"

  defp ms(native),
    do: Float.round(System.convert_time_unit(native, :native, :microsecond) / 1000, 1)
end
