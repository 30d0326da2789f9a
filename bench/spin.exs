defmodule Bench.Spin do
  @moduledoc false
  # What `spin_us` buys and what it costs, for calls that come one after the other and for calls that come now and then.

  import Bench.Measure

  alias Bench.{Fresh, System}

  @paces [{"one after the other", 0}, {"every millisecond", 1}, {"every 10 milliseconds", 10}]

  @doc "Measures calls in VMs that spin for different times."
  @spec run(map()) :: [map()]
  def run(options) do
    {seconds, spins, paces} =
      if options.quick, do: {0.2, [0, 50], Enum.take(@paces, 2)}, else: {2, [0, 50, 500], @paces}

    for spin <- spins, {name, pace} <- paces do
      measured = Fresh.call([num_contexts: 1, spin_us: spin], __MODULE__, :paced, [pace, seconds])

      value("spin.#{spin}.#{pace}", "`spin_us: #{spin}`, calls #{name}", "ns", measured.samples)
      |> Map.merge(%{p99: percentile(measured.samples, 99), cpu_per_call: measured.cpu_per_call})
    end
  end

  @doc "Calls for so many seconds, with `pace` milliseconds between two calls."
  @spec paced(non_neg_integer(), number()) :: map()
  def paced(pace, seconds) do
    call = timed(fn -> {:ok, 4.0} = Py.call(:math, :sqrt, [16]) end)
    call.(100)
    {start, cpu} = System.clocks()
    samples = collect(call, pace, start + round(seconds * 1.0e9), [])
    {_stop, cpu_stopped} = System.clocks()
    %{samples: samples, cpu_per_call: (cpu_stopped - cpu) / length(samples)}
  end

  defp collect(call, pace, stop, samples) do
    if pace > 0, do: Process.sleep(pace)
    samples = call.(1) ++ samples

    if Elixir.System.monotonic_time(:nanosecond) < stop,
      do: collect(call, pace, stop, samples),
      else: samples
  end
end
