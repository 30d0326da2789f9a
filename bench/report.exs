defmodule Bench.Report do
  @moduledoc false
  # Results as JSON, Markdown and charts.

  alias Bench.Chart

  @titles %{
    "floors" => "Floors",
    "calls" => "Calls",
    "data" => "Data",
    "scale" => "Scale",
    "idle" => "Idle contexts",
    "spin" => "Spinning",
    "telemetry" => "Telemetry"
  }

  @doc "Writes everything into the folder of the run, with `guide: true` into the guide as well, and returns the Markdown."
  @spec write(map(), [map()], map()) :: String.t()
  def write(header, results, options) do
    File.mkdir_p!(options.out)
    markdown = markdown(header, results)
    File.write!(Path.join(options.out, "bench.json"), json(%{header: header, results: results}))
    File.write!(Path.join(options.out, "bench.md"), markdown)
    charts(results, options.out)
    if options.guide, do: guide(markdown, results)
    markdown
  end

  # Python is at hand.
  defp json(value), do: Py.call!(:json, :dumps, [value], kwargs: [indent: 1]) <> "\n"

  ## Markdown

  defp markdown(header, results) do
    suites = results |> Enum.map(& &1.suite) |> Enum.uniq()

    parts = [
      about(header)
      | Enum.map(suites, &table(&1, Enum.filter(results, fn r -> r.suite == &1 end)))
    ]

    Enum.join(parts ++ [targets(results)], "\n")
  end

  defp about(header) do
    """
    Python #{header.python}, Elixir #{header.elixir}, OTP #{header.otp}, #{header.cpu},
    #{header.schedulers} schedulers, `spin_us` #{header.spin_us}, `max_concurrent` #{header.max_concurrent},
    build #{header.build}, commit #{header.commit}, #{header.date}.
    Every sample that is not a mean of many includes #{number(header.clock_ns)} ns for reading the clock.
    """
  end

  defp table(suite, results) do
    rows =
      for result <- results do
        row([
          result.title,
          value(result.median, result.unit),
          result.p99 && value(result.p99, result.unit),
          result.floor_median && value(result.floor_median, result.unit),
          result.ratio && "#{number(result.ratio)} ×",
          result[:cpu_per_call] && value(result.cpu_per_call, "ns")
        ])
      end

    cpu = if Enum.any?(results, & &1[:cpu_per_call]), do: "CPU per call"

    Enum.join(
      [
        "### #{@titles[suite]}\n",
        row(["", "median", "p99", "floor", "ratio", cpu]),
        "|---|--:|--:|--:|--:|--:|" | rows
      ],
      "\n"
    ) <> "\n"
  end

  defp targets(results) do
    rows =
      for result <- results, target <- result.targets do
        bound =
          if target[:at_most],
            do: "≤ #{limit(target.at_most, target.to)}",
            else: "≥ #{limit(target.at_least, target.to)}"

        row([
          result.title,
          bound,
          limit(target.value, target.to),
          if(target.met, do: "yes", else: "**no**")
        ])
      end

    if rows == [],
      do: "",
      else:
        Enum.join(
          ["### Targets\n", row(["", "target", "measured", "met"]), "|---|--:|--:|---|" | rows],
          "\n"
        ) <> "\n"
  end

  defp limit(value, nil), do: value(value, "ns")
  defp limit(value, "bytes"), do: "#{value(value, "bytes")} beyond its stack"
  defp limit(value, "ns" <> rest), do: value(value, "ns") <> rest
  defp limit(value, to), do: "#{number(value)} × #{base(to)}"

  defp base(:worker), do: "worker call"
  defp base(to) when is_binary(to), do: to

  defp base(to) do
    case Atom.to_string(to) do
      "memcpy" <> _size -> "memcpy"
      "ints" <> _number -> "Python alone"
      other -> other
    end
  end

  defp row(cells), do: "| #{Enum.map_join(cells, " | ", &(&1 || ""))} |"

  @doc "A number with its unit, as people read it."
  @spec value(number(), String.t()) :: String.t()
  def value(value, "ns") when value < 1_000, do: "#{number(value)} ns"
  def value(value, "ns") when value < 1_000_000, do: "#{number(value / 1_000)} µs"
  def value(value, "ns"), do: "#{number(value / 1_000_000)} ms"
  def value(value, "ns/s"), do: "#{number(value / 1_000)} µs/s"
  def value(value, "bytes") when abs(value) < 1_000_000, do: "#{number(value / 1_000)} kB"
  def value(value, "bytes"), do: "#{number(value / 1_000_000)} MB"
  def value(value, "calls/s"), do: "#{value |> round() |> thousands()} /s"
  def value(value, _unit), do: "#{number(value)}"

  defp number(value) when abs(value) >= 100, do: value |> round() |> thousands()
  defp number(value) when abs(value) >= 10, do: :erlang.float_to_binary(value / 1, decimals: 1)
  defp number(value), do: :erlang.float_to_binary(value / 1, decimals: 2)

  defp thousands(integer) do
    integer |> Integer.to_string() |> String.replace(~r/(?<=\d)(?=(\d{3})+$)/, ",")
  end

  ## Charts

  # One chart for each suite that was measured and has one.
  defp charts(results, folder) do
    for {name, draw} <- [calls: &calls/1, data: &data/1, throughput: &throughput/1],
        svg = draw.(results),
        do: File.write!(Path.join(folder, "#{name}.svg"), svg)
  end

  defp calls(results) do
    bars =
      for %{suite: "calls"} = r <- results,
          do: {r.title, r.median / 1_000, r.floor_median / 1_000}

    if bars != [],
      do: Chart.bars("Calls", "microseconds, median; the line is the echo floor", bars)
  end

  defp data(results) do
    bars = for %{suite: "data"} = r <- results, do: {r.title, r.ratio, 1.0}

    if bars != [],
      do: Chart.bars("Values", "times the floor: the same in Python alone, or memcpy", bars)
  end

  defp throughput(results) do
    measured = Enum.filter(results, & &1[:processes])

    if measured != [],
      do:
        Chart.lines(
          "Throughput of math.sqrt",
          "processes that call",
          "calls per second",
          series(measured)
        )
  end

  defp series(results) do
    for name <- results |> Enum.map(& &1.series) |> Enum.uniq() do
      {name, for(%{series: ^name} = r <- results, do: {r.processes, r.median})}
    end
  end

  ## The guide

  @guide "guides/internals/benchmarks.md"
  @start "<!-- numbers: written by script/bench --guide -->"
  @stop "<!-- end of numbers -->"

  defp guide(markdown, results) do
    File.mkdir_p!("guides/internals/images")
    charts(results, "guides/internals/images")
    [before, rest] = String.split(File.read!(@guide), @start)
    [_old, behind] = String.split(rest, @stop)
    File.write!(@guide, before <> @start <> "\n\n" <> markdown <> "\n" <> @stop <> behind)
  end
end
