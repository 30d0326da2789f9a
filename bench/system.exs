defmodule Bench.System do
  @moduledoc false
  # What the operating system knows of this program, from /proc.

  @doc "The clock and the processor time of this program, threads that have ended included; both in nanoseconds."
  @spec clocks() :: {integer(), integer()}
  def clocks do
    {milliseconds, _since} = :erlang.statistics(:runtime)
    {Elixir.System.monotonic_time(:nanosecond), milliseconds * 1_000_000}
  end

  @doc "Threads: name and processor time in nanoseconds, by id."
  @spec threads() :: %{String.t() => {String.t(), non_neg_integer()}}
  def threads do
    for id <- File.ls!("/proc/self/task"),
        {:ok, name} <- [File.read("/proc/self/task/#{id}/comm")],
        {:ok, times} <- [File.read("/proc/self/task/#{id}/schedstat")],
        into: %{} do
      {id, {String.trim(name), times |> String.split() |> hd() |> String.to_integer()}}
    end
  end

  @doc "Resident bytes of this program, and those of them that are stacks of threads."
  @spec memory() :: %{resident: non_neg_integer(), stacks: non_neg_integer()}
  def memory do
    mappings = mappings()

    # A stack follows the page that guards it.
    stacks =
      for [
            %{permissions: "---p", stop: stop},
            %{start: stop, permissions: "rw-p", path: "", resident: resident}
          ] <-
            Enum.chunk_every(mappings, 2, 1, :discard),
          do: resident

    %{resident: Enum.sum(Enum.map(mappings, & &1.resident)), stacks: Enum.sum(stacks)}
  end

  defp mappings do
    "/proc/self/smaps"
    |> File.read!()
    |> String.split("\n", trim: true)
    |> Enum.reduce([], &mapping/2)
    |> Enum.reverse()
  end

  defp mapping("Rss:" <> size, [mapping | mappings]) do
    {kilobytes, " kB"} = size |> String.trim() |> Integer.parse()
    [%{mapping | resident: kilobytes * 1024} | mappings]
  end

  defp mapping(line, mappings) do
    case Regex.run(~r/^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/, line) do
      [_, start, stop, permissions, path] ->
        [
          %{start: start, stop: stop, permissions: permissions, path: path, resident: 0}
          | mappings
        ]

      nil ->
        mappings
    end
  end

  @doc "What the numbers depend on."
  @spec header() :: %{atom() => term()}
  def header do
    %{
      date: Date.to_string(Date.utc_today()),
      commit: Elixir.System.get_env("BENCH_COMMIT", "unknown"),
      build: if(Elixir.System.get_env("ERLANG_PYTHON_PERF") == "1", do: "perf", else: "release"),
      python: Py.info().version,
      elixir: Elixir.System.version(),
      otp: List.to_string(:erlang.system_info(:otp_release)),
      cpu: cpu(),
      schedulers: Elixir.System.schedulers_online(),
      spin_us: Py.Config.get(:spin_us),
      max_concurrent: Py.Semaphore.max_concurrent(),
      clock_ns: Bench.Measure.clock()
    }
  end

  defp cpu do
    with {:ok, text} <- File.read("/proc/cpuinfo"),
         [_, model] <- Regex.run(~r/^model name\s*: (.*)$/m, text) do
      model
    else
      _unknown -> List.to_string(:erlang.system_info(:system_architecture))
    end
  end
end
