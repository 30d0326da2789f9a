defmodule Py.Memory do
  @moduledoc false
  # Requests about the memory of an interpreter, for `Py` and for the Erlang API.

  alias Py.{Operation, Options, Request}

  @doc "Returns the statistics of Python's garbage collector, as `Py.memory_stats/1` documents it."
  @spec stats(Options.t()) :: Operation.result()
  def stats(options) do
    with {:ok, {stats, count, threshold, traced}} <-
           Request.run({:call, "erlang._setup", :memory_stats, [], nil}, options) do
      stats = %{gc_stats: stats, gc_count: count, gc_threshold: threshold}
      {:ok, Map.merge(stats, traced(traced))}
    end
  end

  defp traced({}), do: %{}

  defp traced({current, peak}),
    do: %{traced_memory_current: current, traced_memory_peak: peak}

  @doc "Runs Python's garbage collector, as `Py.gc/2` documents it."
  @spec collect(term(), Options.t()) :: Operation.result()
  def collect(generation, options) when generation in 0..2,
    do: Request.run({:call, :gc, :collect, [generation], nil}, options)

  def collect(generation, _options),
    do: raise(ArgumentError, "expected a generation from 0 to 2, got: #{inspect(generation)}")
end
