# A seeded mix of everything for some minutes: script/soak runs it.

for file <- ~w(operations measure), do: Code.require_file("#{file}.exs", __DIR__)

defmodule Soak do
  @moduledoc false

  alias Soak.Measure
  alias Soak.Operations

  @clients 10
  # Operations of a client process; then another takes its place, and its namespaces go with it.
  @life 300
  # Seconds with own-GIL contexts, then as many without, in which forks work.
  @phase 6

  @doc "Runs for `:minutes` with `:seed`; returns the rows of the table and the reasons of failed checks."
  @spec run(keyword()) :: {[{String.t(), term()}], [String.t()]}
  def run(options) do
    seed = Keyword.fetch!(options, :seed)
    run = start(seed)
    before = Measure.quiet()
    until = now() + round(Keyword.fetch!(options, :minutes) * 60_000)
    sampler = Measure.start(until)

    clients =
      for index <- 1..@clients, do: Task.async(fn -> client(run, {seed, index, 0}, until) end)

    churn = Task.async(fn -> churn(run, seed, until) end)
    Task.await_many([churn | clients], :infinity)
    end_own_gil(run)
    at_end = Measure.quiet()
    stop(run)
    check(run, before, at_end, Measure.stop(sampler))
  end

  defp start(seed) do
    Operations.register()
    counts = :ets.new(:soak, [:public, write_concurrency: true])
    {:ok, supervisor} = Supervisor.start_link([], strategy: :one_for_one, max_restarts: 1_000_000)
    run = %{seed: seed, counts: counts, supervisor: supervisor, own_gil: :atomics.new(1, [])}
    for name <- Operations.killed(), do: start_context(run, name)
    # Each path has been taken once before the first measurement.
    for name <- Operations.names(), do: apart(fn -> Operations.run(name, :pool) end)
    # As that of a context which is stuck: it keeps a pipe.
    {:ok, _frames} = Py.Context.stack(Py.context(1))
    end_own_gil(run)
    run
  end

  defp stop(run) do
    Supervisor.stop(run.supervisor)
    Py.State.clear()
  end

  ## Clients

  defp client(run, {seed, index, life}, until) do
    apart(fn ->
      :rand.seed(:exsss, {seed, index, life})
      lived(run, until, @life)
    end)

    if now() < until, do: client(run, {seed, index, life + 1}, until), else: :ok
  end

  defp lived(_run, _until, 0), do: :ok

  defp lived(run, until, left) do
    if now() < until do
      operation = Operations.choose()
      target = Enum.random([:pool, :pool, :soak_worker, :soak_own_gil, :soak_small])
      counted(run, operation, fn -> Operations.run(operation, target) end)
      lived(run, until, left - 1)
    end
  end

  # An operation ends once, and nothing of it is left in the mailbox then or later.
  defp counted(run, operation, fun) do
    count(run, {:begun, operation})
    answer = fun.()
    count(run, {:ended, operation})
    count(run, {:answer, answer})
    {:messages, messages} = Process.info(self(), :messages)
    if messages != [], do: raise("left in the mailbox after #{operation}: #{inspect(messages)}")
  end

  # In a process of its own; its failure counts, and the run goes on.
  defp apart(fun) do
    {pid, monitor} = spawn_monitor(fun)

    receive do
      {:DOWN, ^monitor, :process, ^pid, :normal} -> :ok
      {:DOWN, ^monitor, :process, ^pid, reason} -> :persistent_term.put(:soak_failure, reason)
    end
  end

  defp count(run, key), do: :ets.update_counter(run.counts, key, 1, {key, 0})

  defp counts(run, kind), do: for({{^kind, key}, n} <- :ets.tab2list(run.counts), do: {key, n})

  ## Contexts that come and go

  defp churn(run, seed, until) do
    :rand.seed(:exsss, {seed, 0, 0})
    churn_phases(run, now(), until)
  end

  defp churn_phases(run, begun, until) do
    if now() < until do
      own_gil? = rem(div(now() - begun, @phase * 1_000), 2) == 0
      own_gil(run, own_gil? and Py.info().own_gil)
      replace(run, Enum.random([:kill, :stop]), Enum.random(Operations.killed()))
      if own_gil?, do: short_lived(run)
      pause(50 + :rand.uniform(200))
      churn_phases(run, begun, until)
    end
  end

  defp own_gil(run, true) do
    if :atomics.get(run.own_gil, 1) == 0, do: start_context(run, :soak_own_gil)
  end

  defp own_gil(run, false), do: end_own_gil(run)

  defp end_own_gil(run) do
    if :atomics.get(run.own_gil, 1) == 1 do
      :atomics.put(run.own_gil, 1, 0)
      :ok = Supervisor.terminate_child(run.supervisor, :soak_own_gil)
      :ok = Supervisor.delete_child(run.supervisor, :soak_own_gil)
    end
  end

  defp start_context(run, :soak_own_gil) do
    if Py.info().own_gil do
      :atomics.put(run.own_gil, 1, 1)
      start_child(run, name: :soak_own_gil, mode: :owngil)
      count(run, {:context, :own_gil_started})
    end
  end

  defp start_context(run, :soak_worker), do: start_child(run, name: :soak_worker)
  defp start_context(run, :soak_small), do: start_child(run, name: :soak_small, max_queue: 2)

  defp start_child(run, options) do
    child = %{id: options[:name], start: {Py.Context, :start_link, [options]}}
    {:ok, _pid} = Supervisor.start_child(run.supervisor, child)
  end

  # The supervisor starts it anew.
  defp replace(run, how, name) do
    with pid when is_pid(pid) <- Process.whereis(name) do
      if how == :kill, do: Process.exit(pid, :kill), else: Py.Context.stop(pid)
      count(run, {:context, :replaced})
      if name == :soak_own_gil, do: count(run, {:context, :own_gil_started})
    end
  end

  defp short_lived(run) do
    if :atomics.get(run.own_gil, 1) == 1 do
      {:ok, context} = Py.Context.start_link(mode: :owngil)
      {:ok, 42} = Py.eval(context, "6 * 7")
      :ok = Py.Context.stop(context)
      count(run, {:context, :own_gil_started})
    end
  end

  ## The end

  defp check(run, before, at_end, samples) do
    begun = counts(run, :begun)
    contexts = Map.new(counts(run, :context))
    own_gil = Map.get(contexts, :own_gil_started, 0)
    answers = Enum.sort(counts(run, :answer))
    memory = Measure.memory(samples, own_gil)

    failures =
      [
        failure(:persistent_term.get(:soak_failure, nil), &"a client failed: #{inspect(&1)}"),
        differ("operations begun and ended", Enum.sort(begun), Enum.sort(counts(run, :ended))),
        differ("permits", %{in_use: 0, waiting: 0}, at_end.permits),
        differ("handles", 0, at_end.handles),
        differ("requests in queues or running", 0, at_end.load),
        differ("mailboxes with messages", [], at_end.mailboxes),
        differ("abandoned threads", 0, at_end.abandoned),
        more(before.descriptors, at_end.descriptors),
        differ("threads of the process", before.threads, at_end.threads),
        differ("schedulers held for long", [], samples.long_schedule),
        failure(memory.failure, & &1),
        failure(missing(answers, own_gil), &"never seen: #{inspect(&1)}; run it for longer")
      ]
      |> Enum.filter(& &1)

    {[
       {"seed", run.seed},
       {"Python", Py.info().version},
       {"operations", Enum.sum(Keyword.values(begun))},
       {"answers", Enum.map_join(answers, ", ", fn {kind, n} -> "#{kind} #{n}" end)},
       {"contexts killed or stopped", Map.get(contexts, :replaced, 0)},
       {"own-GIL interpreters started", own_gil},
       {"descriptors, threads", "#{length(at_end.descriptors)}, #{at_end.threads}"}
       | memory.rows
     ], failures}
  end

  # The directory itself is among them, read with a descriptor that has another number each time.
  defp more(before, at_end) do
    if length(before) != length(at_end),
      do:
        "file descriptors: #{inspect(Enum.sort(at_end -- before))} instead of #{inspect(Enum.sort(before -- at_end))}"
  end

  defp differ(_what, same, same), do: nil
  defp differ(what, expected, got), do: "#{what}: #{inspect(got)} instead of #{inspect(expected)}"

  defp failure(nil, _text), do: nil
  defp failure(what, text), do: text.(what)

  # A run that does not reach a kind of answer proves nothing for it.
  defp missing(answers, own_gil) do
    kinds =
      ~w(ok python_error conversion_error timeout context_ended overloaded caller_killed forked)a ++
        if(own_gil > 0, do: [:fork_refused], else: [])

    with [] <- kinds -- Keyword.keys(answers), do: nil
  end

  defp pause(milliseconds), do: receive(do: ({:never, _} -> :ok), after: (milliseconds -> :ok))
  defp now, do: System.monotonic_time(:millisecond)
end
