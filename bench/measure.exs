defmodule Bench.Measure do
  @moduledoc false
  # Times operations next to their floors.
  #
  # An operation is a function that returns `number` samples, each the nanoseconds of one run. What an entry is compared
  # with is sampled right before it, in every round, so that whatever else the machine does meets both alike. A ratio is
  # the median of the ratios of the rounds' medians.

  @type sampler :: (number :: pos_integer() -> [number()])
  @type target :: %{at_most: number(), to: atom() | nil}
  @type entry :: %{
          id: String.t(),
          title: String.t(),
          sampler: sampler(),
          per: pos_integer(),
          floor: atom() | nil,
          targets: [target()]
        }

  @doc "How long to measure, by the options of the run."
  @spec effort(%{quick: boolean()}) :: %{rounds: pos_integer(), budget: pos_integer()}
  def effort(%{quick: true}), do: %{rounds: 3, budget: 30_000_000}
  def effort(_options), do: %{rounds: 40, budget: 1_500_000_000}

  @doc "An entry; `options` are `:floor`, `:targets`, and `:per`, what one run does so often."
  @spec entry(String.t(), String.t(), sampler() | (-> term()), keyword()) :: entry()
  def entry(id, title, run, options \\ []) do
    %{
      id: id,
      title: title,
      sampler: if(is_function(run, 0), do: timed(run), else: run),
      per: Keyword.get(options, :per, 1),
      floor: options[:floor],
      targets: Keyword.get(options, :targets, [])
    }
  end

  @doc """
  Measures `entries`; `bases` are the samplers that they name as floors or in targets.

  One result each, times in nanoseconds: `:median` and `:p99` of one run, divided by the entry's `:per`.
  """
  @spec run([entry()], %{atom() => sampler()}, map()) :: [map()]
  def run(entries, bases, options) do
    effort = effort(options)
    sized = Enum.map(entries, &{&1, sized(&1, bases, effort)})

    # All entries in each round: the machine has moods, and everything should be measured in each of them.
    rounds = for _ <- 1..effort.rounds, do: Map.new(sized, &sample/1)
    for entry <- entries, do: result(entry, Enum.map(rounds, & &1[entry.id]))
  end

  # What is sampled for one entry in each round, and how often: what it is compared with goes first.
  defp sized(entry, bases, effort) do
    names =
      Enum.uniq(for name <- [entry.floor | Enum.map(entry.targets, & &1.to)], name, do: name)

    compared = for name <- names, do: {name, Map.fetch!(bases, name)}

    for {name, sampler} <- compared ++ [{:entry, entry.sampler}],
        do: {name, sampler, size(sampler, effort)}
  end

  defp sample({entry, sized}) do
    samples =
      for {name, sampler, number} <- sized, into: %{} do
        # In a process of its own: the garbage of long binaries is collected often, and this one's heap is large.
        {name, fn -> sampler.(number) end |> Task.async() |> Task.await(:infinity)}
      end

    {entry.id, samples}
  end

  # As many samples as fit into a round. The first runs also warm up.
  defp size(sampler, %{rounds: rounds, budget: budget}) do
    sampler.(3)
    start = System.monotonic_time(:nanosecond)
    sampler.(5)
    each = (System.monotonic_time(:nanosecond) - start) / 5
    (budget / rounds / max(each, 100)) |> trunc() |> max(1) |> min(2_000)
  end

  defp result(entry, rounds) do
    samples = Enum.flat_map(rounds, & &1.entry)

    value(entry.id, entry.title, "ns", for(sample <- samples, do: sample / entry.per))
    |> Map.put(:p99, percentile(samples, 99) / entry.per)
    |> Map.merge(floor_of(entry, rounds))
    |> Map.put(:targets, Enum.map(entry.targets, &judge(&1, entry, rounds)))
  end

  defp floor_of(%{floor: nil}, _rounds), do: %{}

  defp floor_of(%{floor: floor} = entry, rounds) do
    floors = Enum.flat_map(rounds, & &1[floor])
    %{floor: floor, floor_median: median(floors), ratio: ratio(entry, rounds, floor)}
  end

  @doc "The result of values measured elsewhere, without floor and targets."
  @spec value(String.t(), String.t(), String.t(), [number()]) :: map()
  def value(id, title, unit, samples) do
    %{
      id: id,
      title: title,
      unit: unit,
      median: median(samples),
      # What it is when the machine is at its best.
      best: percentile(samples, if(unit in ["calls/s", "times as fast"], do: 90, else: 10)),
      p99: nil,
      samples: length(samples),
      floor: nil,
      floor_median: nil,
      ratio: nil,
      targets: []
    }
  end

  @doc "A target that a value must not exceed; `to` says of what it is."
  @spec at_most(number(), String.t() | atom(), number()) :: map()
  def at_most(limit, to, value), do: %{to: to, at_most: limit, value: value, met: value <= limit}

  @doc "A target that a value has to reach."
  @spec at_least(number(), String.t() | atom(), number()) :: map()
  def at_least(limit, to, value),
    do: %{to: to, at_least: limit, value: value, met: value >= limit}

  defp ratio(entry, rounds, base),
    do: median(for round <- rounds, do: median(round.entry) / entry.per / median(round[base]))

  defp judge(%{to: nil, at_most: limit}, entry, rounds),
    do: at_most(limit, nil, median(Enum.flat_map(rounds, & &1.entry)) / entry.per)

  defp judge(%{to: base, at_most: limit}, entry, rounds),
    do: at_most(limit, base, ratio(entry, rounds, base))

  @doc "A sampler that times each run of `run` by the clock of the VM."
  @spec timed((-> term())) :: sampler()
  def timed(run), do: fn number -> time_each(run, number, []) end

  defp time_each(_run, 0, samples), do: samples

  defp time_each(run, number, samples) do
    start = System.monotonic_time()
    run.()
    spent = System.monotonic_time() - start
    time_each(run, number - 1, [System.convert_time_unit(spent, :native, :nanosecond) | samples])
  end

  @doc "A sampler for what is too short to be timed alone: each sample is the mean of `size` runs in a row."
  @spec batched((-> term()), pos_integer()) :: sampler()
  def batched(run, size) do
    batch = timed(fn -> repeat(run, size) end)
    fn number -> for spent <- batch.(number), do: spent / size end
  end

  defp repeat(_run, 0), do: :ok

  defp repeat(run, times) do
    run.()
    repeat(run, times - 1)
  end

  @doc "What reading the clock twice costs, in nanoseconds: part of every sample of `timed/1`."
  @spec clock() :: number()
  def clock, do: median(batched(fn -> System.monotonic_time() end, 1_000).(200))

  @spec median([number()]) :: number()
  def median(samples), do: percentile(samples, 50)

  @spec percentile([number()], 1..99) :: number()
  def percentile(samples, percent) do
    sorted = Enum.sort(samples)
    Enum.at(sorted, min(length(sorted) - 1, div(length(sorted) * percent, 100)))
  end
end
