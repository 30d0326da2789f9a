defmodule Bench.Scale do
  @moduledoc false
  # Many processes, many contexts, and what starting a context costs.

  import Bench.Measure

  alias Bench.{Floors, System}

  @doc "Measures starting, throughput and parallel work."
  @spec run(map()) :: [map()]
  def run(options), do: start_stop(options) ++ throughput(options) ++ parallel(options)

  defp modes, do: if(Py.info().own_gil, do: [:worker, :owngil], else: [:worker])

  defp label(:worker), do: "worker"
  defp label(:owngil), do: "own-GIL"

  ## Throughput

  # Every combination once in each round, and the floors with them.
  defp throughput(options) do
    cases = for processes <- processes(options), {name, run} <- ways(), do: {processes, name, run}
    rounds = for _ <- 1..rounds(options), do: Map.new(cases, &throughput_once(&1, options))

    results =
      for {processes, name, _run} <- cases, do: throughput_result({processes, name}, rounds)

    Enum.each(ways(), fn {_name, %{contexts: contexts}} ->
      Enum.each(contexts, &Py.Context.stop/1)
    end)

    Process.delete(:ways)
    results
  end

  defp processes(%{quick: true}), do: [1, 64]
  defp processes(_options), do: [1, 2, 4, 16, 64, 1_000]

  defp rounds(%{quick: true}), do: 2

  # Many short ones: the machine itself has fast and slow moments, of seconds, and what is compared must share them.
  defp rounds(_options), do: 15

  defp spell(%{quick: true}), do: 60
  defp spell(_options), do: 100

  # {name, %{contexts: […], run: what process number n repeats}}
  defp ways do
    with nil <- Process.get(:ways) do
      ways =
        [
          {:echo,
           %{
             contexts: [],
             run: fn ->
               once = Floors.echo_once()
               fn _n -> once end
             end
           }}
        ] ++
          for mode <- modes(), number <- contexts(), do: {{mode, number}, way(mode, number)}

      Process.put(:ways, ways)
      ways
    end
  end

  # Powers of two up to the size of the default pool.
  defp contexts do
    most = Elixir.System.schedulers_online()
    Enum.uniq(for(n <- 0..10, 2 ** n < most, do: 2 ** n) ++ [most])
  end

  defp way(mode, number) do
    contexts = for _ <- 1..number, do: Floors.python(mode)
    tuple = List.to_tuple(contexts)

    run = fn ->
      fn n ->
        context = elem(tuple, rem(n, number))
        fn -> {:ok, 4.0} = Py.call(context, :math, :sqrt, [16]) end
      end
    end

    %{contexts: contexts, run: run}
  end

  # Calls per second and processor time per call while `processes` call as fast as they can.
  defp throughput_once({processes, name, %{run: run}}, options) do
    run = run.()
    stop = :atomics.new(1, [])

    workers =
      for n <- 1..processes do
        Task.async(fn ->
          once = run.(n)
          once.()

          receive do
            :go -> repeat(once, stop, 0)
          end
        end)
      end

    {start, cpu} = System.clocks()
    for worker <- workers, do: send(worker.pid, :go)
    Process.sleep(spell(options))
    :atomics.put(stop, 1, 1)
    {stopped, cpu_stopped} = System.clocks()
    calls = workers |> Task.await_many(:infinity) |> Enum.sum()

    {{processes, name},
     %{rate: calls * 1.0e9 / (stopped - start), cpu: (cpu_stopped - cpu) / max(calls, 1)}}
  end

  defp repeat(once, stop, count) do
    if :atomics.get(stop, 1) == 1 do
      count
    else
      once.()
      repeat(once, stop, count + 1)
    end
  end

  defp throughput_result({processes, name} = key, rounds) do
    rates = for round <- rounds, do: round[key].rate
    against = fn other -> median(for round <- rounds, do: round[key].rate / round[other].rate) end

    result = %{
      cpu_per_call: median(for round <- rounds, do: round[key].cpu),
      series: title(name),
      processes: processes
    }

    value(
      "scale.throughput.#{id(name)}.#{processes}",
      "#{processes} #{if processes == 1, do: "process", else: "processes"}, #{title(name)}",
      "calls/s",
      rates
    )
    |> Map.merge(result)
    |> Map.merge(throughput_floor(key, against, rounds))
    |> Map.put(:targets, throughput_targets(key, against, result.cpu_per_call))
  end

  defp throughput_floor({_processes, :echo}, _against, _rounds), do: %{}

  # As for times: how often the floor's cost.
  defp throughput_floor({processes, _name}, against, rounds) do
    floor = {processes, :echo}

    %{
      floor: :echo,
      floor_median: median(for round <- rounds, do: round[floor].rate),
      ratio: 1 / against.(floor)
    }
  end

  defp throughput_targets({64, {:worker, 1}}, against, cpu) do
    [
      at_least(2.0, "one process", against.({1, {:worker, 1}})),
      at_most(3_000, "ns of CPU per call", cpu)
    ]
  end

  # "Never slower", give or take the noise of such measurements. One process uses one context only.
  defp throughput_targets({processes, {:worker, number}}, against, _cpu)
       when number > 1 and processes > 1,
       do: [at_least(0.97, "one worker context", against.({processes, {:worker, 1}}))]

  defp throughput_targets(_key, _against, _cpu), do: []

  defp id(:echo), do: "echo"
  defp id({mode, number}), do: "#{mode}_#{number}"

  defp title(:echo), do: "echo thread"
  defp title({mode, 1}), do: "1 #{label(mode)} context"
  defp title({mode, number}), do: "#{number} #{label(mode)} contexts"

  ## Work that keeps cores busy

  # Jobs for each worker, and turns of the loop of each job. Short ones depend on how soon the operating system finds a core
  # for the scheduler that hands out the next, where contexts keep them all busy.
  @jobs [long: {5, 800_000}, short: {24, 100_000}]

  # How much sooner the same work is done by as many contexts as there are schedulers. The floor is Python without us, in
  # that many processes of the operating system: it tells what the cores have for Python.
  defp parallel(options) do
    number = Elixir.System.schedulers_online()
    ways = for way <- [:processes | modes()], do: {way, for(_ <- 1..number, do: worker(way))}

    results =
      for {length, {jobs, turns}} <- @jobs do
        rounds =
          for _ <- 1..rounds(options) do
            Map.new(ways, fn {way, workers} -> {way, speed_up(workers, jobs, turns)} end)
          end

        for {way, _workers} <- ways, do: parallel_result(way, length, number, rounds)
      end

    for {_way, workers} <- ways, worker <- workers, do: worker.stop.()
    Enum.concat(results)
  end

  defp worker(:processes) do
    {:ok, agent} = Agent.start_link(&python_process/0)

    %{
      run: &Agent.get(agent, Bench.Scale, :spin, [&1], :infinity),
      stop: fn -> Agent.stop(agent) end
    }
  end

  defp worker(mode) do
    context = Floors.python(mode)
    stop = fn -> Py.Context.stop(context) end
    %{run: &Py.call!(context, :workload, :spin, [&1], timeout: :infinity), stop: stop}
  end

  # Works off the turns that it is told.
  defp python_process do
    code =
      "import sys, workload\nfor line in sys.stdin: print(workload.spin(int(line)), flush=True)"

    Port.open({:spawn_executable, Py.info().executable}, [
      :binary,
      args: ["-c", code],
      env: [{~c"PYTHONPATH", to_charlist(__DIR__)}],
      line: 100
    ])
  end

  @doc false
  def spin(port, turns) do
    Port.command(port, "#{turns}\n")

    receive do
      {^port, {:data, {:eol, _total}}} -> :ok
    end
  end

  defp speed_up(workers, jobs, turns) do
    spent([hd(workers)], jobs * length(workers), turns) / spent(workers, jobs, turns)
  end

  defp spent(workers, jobs, turns) do
    {time, _} =
      :timer.tc(fn ->
        workers
        |> Enum.map(&Task.async(fn -> for _ <- 1..jobs, do: &1.run.(turns) end))
        |> Task.await_many(:infinity)
      end)

    time
  end

  defp parallel_result(:processes, length, number, rounds) do
    title = "#{number} processes of Python alone against one, #{length} jobs"
    speed_ups = for round <- rounds, do: round.processes
    value("scale.parallel.processes.#{length}", title, "times as fast", speed_ups)
  end

  defp parallel_result(mode, length, number, rounds) do
    title = "#{number} #{label(mode)} contexts against one, #{length} jobs of pure Python"
    of_cores = median(for round <- rounds, do: round[mode] / round.processes)
    speed_ups = for round <- rounds, do: round[mode]

    value("scale.parallel.#{mode}.#{length}", title, "times as fast", speed_ups)
    |> Map.merge(%{
      floor: :processes,
      floor_median: median(for round <- rounds, do: round.processes)
    })
    |> Map.merge(%{ratio: 1 / of_cores, targets: parallel_targets(mode, length, of_cores)})
  end

  defp parallel_targets(:owngil, :long, of_cores),
    do: [at_least(0.9, "the speed-up of processes", of_cores)]

  defp parallel_targets(_mode, _length, _of_cores), do: []

  ## Starting

  defp start_stop(options) do
    context = Floors.python()

    bases = %{
      thread: timed(&thread/0),
      new_interpreter: Floors.inside(context, "new_interpreter")
    }

    entries =
      for mode <- modes() do
        floor = if mode == :owngil and interpreters?(context), do: :new_interpreter, else: :thread

        entry(
          "scale.start_stop.#{mode}",
          "#{label(mode)} context started and stopped",
          fn -> start_stop_once(mode) end,
          floor: floor
        )
      end

    results = run(entries, bases, options)
    Py.Context.stop(context)
    results
  end

  # CPython's own way to make and end one: from 3.13 on.
  defp interpreters?(context) do
    Py.eval!(context, "__import__('importlib.util').util.find_spec('_interpreters') is not None")
  end

  defp thread do
    {:ok, _thread} = Py.Native.echo_start(0)
  end

  defp start_stop_once(mode) do
    {:ok, context} = Py.Context.start_link(mode: mode)
    :ok = Py.Context.stop(context)
  end
end
