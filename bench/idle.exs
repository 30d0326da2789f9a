defmodule Bench.Idle do
  @moduledoc false
  # What contexts cost while nobody calls them. Measured in VMs of their own: here, what other suites left behind would
  # count, and memory that they gave back would not.

  import Bench.Measure

  alias Bench.{Fresh, System}

  @doc "Measures memory and processor time."
  @spec run(map()) :: [map()]
  def run(options), do: memory(options) ++ [idle(options)]

  ## Memory

  defp memory(options) do
    for mode <- [:worker, :owngil], mode == :worker or Py.info().own_gil do
      name = if mode == :worker, do: "worker", else: "own-GIL"
      size = size(mode, options)
      batches = if options.quick, do: 3, else: 7
      batches = Fresh.call([num_contexts: 2], __MODULE__, :memory_of, [mode, batches, size])
      beyond = median(for batch <- batches, do: batch.resident - batch.stacks)

      value(
        "idle.memory.#{mode}",
        "resident memory of an idle #{name} context, its stack included",
        "bytes",
        for(batch <- batches, do: batch.resident)
      )
      |> Map.put(:beyond_stack, beyond)
      |> Map.put(:targets, if(mode == :worker, do: [at_most(100_000, "bytes", beyond)], else: []))
    end
  end

  # So many that they stand out from what the VM takes and gives back meanwhile.
  defp size(:worker, _options), do: 64
  defp size(:owngil, %{quick: true}), do: 1
  defp size(:owngil, _options), do: 4

  @doc "What each context adds once it has run something, for some batches of `size` contexts."
  @spec memory_of(:worker | :owngil, pos_integer(), pos_integer()) :: [map()]
  def memory_of(mode, batches, size) do
    # The first of a kind loads what the others share.
    use_context(mode)
    for _ <- 1..batches, do: batch(mode, size)
  end

  defp batch(mode, size) do
    before = settled_memory()
    for _ <- 1..size, do: use_context(mode)
    Map.new(settled_memory(), fn {kind, bytes} -> {kind, (bytes - before[kind]) / size} end)
  end

  # Read until it stays as it is: the VM gives memory back with delay, and reading takes some too.
  defp settled_memory(before \\ nil, tries \\ 20) do
    Enum.each(Process.list(), &:erlang.garbage_collect/1)
    Process.sleep(20)
    memory = System.memory()
    if memory == before or tries == 0, do: memory, else: settled_memory(memory, tries - 1)
  end

  defp use_context(mode) do
    {:ok, context} = Py.Context.start_link(mode: mode)
    {:ok, 4.0} = Py.call(context, :math, :sqrt, [16])
  end

  ## Processor time

  defp idle(options) do
    seconds = if options.quick, do: 1, else: 30
    spent = Fresh.call([num_contexts: 16], __MODULE__, :idle_for, [seconds])

    value("idle.cpu", "processor time of a VM with 16 idle contexts, in each second", "ns/s", [
      spent.all / seconds
    ])
    |> Map.merge(%{seconds: seconds, threads: spent.threads, threads_ns: spent.ours})
    |> Map.put(:targets, [
      # No measurable CPU: a hundredth of a percent of a core.
      at_most(100_000, "ns/s of the contexts' threads", spent.ours / seconds)
    ])
  end

  @doc "Processor time, in nanoseconds, of all threads of the VM and of ours, in so many seconds without a call."
  @spec idle_for(pos_integer()) :: map()
  def idle_for(seconds) do
    for context <- Py.Router.contexts(), do: {:ok, 4.0} = Py.call(context, :math, :sqrt, [16])
    # Until all have stopped spinning.
    Process.sleep(500)
    before = System.threads()
    Process.sleep(seconds * 1_000)
    spent = for {id, {name, ran}} <- System.threads(), do: {name, ran - was(before, id)}
    ours = for {"py_" <> _name, ran} <- spent, do: ran

    %{
      all: spent |> Enum.map(&elem(&1, 1)) |> Enum.sum(),
      ours: Enum.sum(ours),
      threads: length(ours)
    }
  end

  defp was(threads, id) do
    {_name, ran} = Map.get(threads, id, {"", 0})
    ran
  end
end
