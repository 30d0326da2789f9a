# The benchmarks: script/bench runs them.

for file <- ~w(measure system fresh floors calls data scale idle spin telemetry chart report),
    do: Code.require_file("#{file}.exs", __DIR__)

defmodule Bench do
  @moduledoc false

  # In this order. What later parts measure is one more line.
  @suites [
    {"floors", Bench.Floors},
    {"calls", Bench.Calls},
    {"data", Bench.Data},
    {"scale", Bench.Scale},
    {"idle", Bench.Idle},
    {"spin", Bench.Spin},
    {"telemetry", Bench.Telemetry}
  ]

  @doc "Runs what `arguments` ask for and writes the report, which it returns: see script/bench."
  @spec main([String.t()]) :: String.t()
  def main(arguments) do
    {options, []} =
      OptionParser.parse!(arguments,
        strict: [quick: :boolean, only: :string, out: :string, guide: :boolean]
      )

    options =
      Map.merge(%{quick: false, out: "_build/bench", guide: false, only: nil}, Map.new(options))

    header = Bench.System.header()

    results =
      for {name, module} <- wanted(options.only),
          result <- suite(name, module, options),
          do: result

    Bench.Report.write(header, results, options)
  end

  defp wanted(nil), do: @suites

  defp wanted(only) do
    names = String.split(only, ",", trim: true)
    known = Enum.map(@suites, &elem(&1, 0))

    with [_ | _] = unknown <- names -- known do
      Mix.raise("unknown suites #{Enum.join(unknown, ", ")}; there are #{Enum.join(known, ", ")}")
    end

    Enum.filter(@suites, fn {name, _module} -> name in names end)
  end

  defp suite(name, module, options) do
    {time, results} = :timer.tc(fn -> module.run(options) end, :millisecond)
    IO.puts(:stderr, "#{name}: #{length(results)} entries (#{Float.round(time / 1_000, 1)} s)")
    for result <- results, do: Map.put(result, :suite, name)
  end
end
