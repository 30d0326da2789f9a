# What the events of calls cost:
#
#     script/exec mix run bench/telemetry.exs
#
# Rounds of the ways to measure alternate, so that what else the machine does hits all of them; the median of the rounds is
# printed, and how much the rounds of one way differ (half of them lie in between): the noise.

defmodule Bench.Telemetry do
  @rounds 31
  @calls 5_000

  def run do
    {:ok, context} = Py.Context.start_link()
    ways = ["events off": &off/1, "no handler": &bare/1, "a handler": &heard/1]
    for {_name, way} <- ways, do: way.(context)

    times =
      for _ <- 1..@rounds, {name, way} <- Enum.shuffle(ways), reduce: %{} do
        times -> Map.update(times, name, [way.(context)], &[way.(context) | &1])
      end

    IO.puts(
      "Py.call(context, :math, :sqrt, [16]): microseconds, medians of #{@rounds} rounds of #{@calls} calls"
    )

    for {name, _way} <- ways do
      sorted = Enum.sort(times[name])
      at = fn share -> Enum.at(sorted, trunc(share * (length(sorted) - 1))) end

      [low, median, high] =
        for share <- [0.25, 0.5, 0.75], do: :erlang.float_to_binary(at.(share), decimals: 3)

      IO.puts("  #{String.pad_trailing(to_string(name), 12)} #{median}   (#{low} to #{high})")
    end
  end

  defp off(context) do
    config = :persistent_term.get(Py.Config)
    :persistent_term.put(Py.Config, %{config | telemetry: false})
    time = time(context)
    :persistent_term.put(Py.Config, config)
    time
  end

  defp bare(context), do: time(context)

  defp heard(context) do
    :telemetry.attach("bench", [:erlang_python, :call, :stop], &__MODULE__.handle/4, nil)
    time = time(context)
    :telemetry.detach("bench")
    time
  end

  def handle(_event, _measurements, _metadata, _config), do: :ok

  defp time(context) do
    # Garbage of the round before, and what changing a persistent term makes everybody collect.
    :erlang.garbage_collect()
    loop(context, 200)
    {time, :ok} = :timer.tc(fn -> loop(context, @calls) end)
    time / @calls
  end

  defp loop(_context, 0), do: :ok

  defp loop(context, n) do
    {:ok, 4.0} = Py.call(context, :math, :sqrt, [16])
    loop(context, n - 1)
  end
end

Bench.Telemetry.run()
