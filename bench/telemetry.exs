defmodule Bench.Telemetry do
  @moduledoc false
  # What the events of calls cost, next to the same calls with events off.

  import Bench.Measure

  alias Bench.Floors

  # Attaching and detaching, or changing the configuration, is done once for so many calls.
  @batch 200

  @doc "Measures calls without events, with events that nobody hears, and with one handler."
  @spec run(map()) :: [map()]
  def run(options) do
    context = Floors.python()
    calls = batched(fn -> {:ok, 4.0} = Py.call(context, :math, :sqrt, [16]) end, @batch)

    entries = [
      # The same twice: what the machine's noise makes of no difference at all.
      entry("telemetry.off", "call, events off", off(calls), floor: :off),
      entry("telemetry.unheard", "call, no handler attached", calls, floor: :off),
      entry("telemetry.heard", "call, one handler attached", heard(calls), floor: :off)
    ]

    results = run(entries, %{off: off(calls)}, options)
    Py.Context.stop(context)
    results
  end

  defp off(calls) do
    fn number ->
      config = :persistent_term.get(Py.Config)
      :persistent_term.put(Py.Config, %{config | telemetry: false})
      samples = calls.(number)
      :persistent_term.put(Py.Config, config)
      samples
    end
  end

  defp heard(calls) do
    fn number ->
      :ok =
        :telemetry.attach(
          __MODULE__,
          [:erlang_python, :call, :stop],
          &__MODULE__.handle/4,
          nil
        )

      samples = calls.(number)
      :telemetry.detach(__MODULE__)
      samples
    end
  end

  @doc false
  def handle(_event, _measurements, _metadata, _config), do: :ok
end
