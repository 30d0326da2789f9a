# What the events of calls cost:
#
#     MIX_ENV=prod script/exec mix run bench/telemetry.exs
#
# Each round measures every way once, in random order, so that what else the machine does hits all of them. Printed are
# medians over the rounds: of a call, and of what it took longer than with events off in the same round. The second
# measurement with events off shows what the machine's noise makes of no difference at all.

defmodule Bench.Telemetry do
  @rounds 201
  @calls 1_000

  def run do
    {:ok, context} = Py.Context.start_link()

    ways = [
      "events off": &off/1,
      "events off, again": &off/1,
      "no handler": &bare/1,
      "one handler": &heard/1
    ]

    rounds =
      for _ <- 1..@rounds,
          do: ways |> Enum.shuffle() |> Map.new(fn {name, way} -> {name, way.(context)} end)

    IO.puts("""
    Py.call(context, :math, :sqrt, [16]), #{@rounds} rounds of #{@calls} calls, microseconds for one

                          median   longer than events off: median   (half of the rounds)
    """)

    for {name, _way} <- ways do
      extra = Enum.map(rounds, &(&1[name] - &1[:"events off"]))

      IO.puts(
        "  #{String.pad_trailing(to_string(name), 18)} #{show(at(Enum.map(rounds, & &1[name]), 0.5))}" <>
          "   #{show(at(extra, 0.5))}   (#{show(at(extra, 0.25))} to #{show(at(extra, 0.75))})"
      )
    end
  end

  defp at(numbers, share),
    do: numbers |> Enum.sort() |> Enum.at(trunc(share * (length(numbers) - 1)))

  defp show(number), do: number |> :erlang.float_to_binary(decimals: 3) |> String.pad_leading(8)

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
    loop(context, 100)
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
