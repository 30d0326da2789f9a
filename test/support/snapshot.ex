defmodule Py.Test.Snapshot do
  @moduledoc false
  # Snapshots as Py.Stats makes them, with chosen values, for tests of what reads them.

  @doc "A snapshot of an idle VM; `changes` replace values, those of maps one by one."
  def new(changes \\ %{}) do
    deep_merge(
      %{
        node: node(),
        at: 1_800_000_000_000,
        uptime_ms: 60_000,
        mode: :worker,
        python: %{
          version: "3.14.3",
          executable: "/usr/bin/python3.14",
          library: "/usr/lib/libpython3.14.so.1.0",
          own_gil: true,
          free_threaded: false
        },
        permits: %{in_use: 0, max_concurrent: 5, waiting: 0},
        totals:
          Map.new(
            ~w(calls errors timeouts interrupts orphans rejected expired callbacks callback_errors cast_failures
               contexts_started contexts_crashed contexts_stuck contexts_abandoned)a,
            &{&1, 0}
          ),
        contexts: [context(%{id: 1, index: 1}), context(%{id: 2, index: 2})],
        interpreters: [interpreter(%{contexts: [1, 2]})],
        callbacks: [callback(%{name: nil})],
        failures: [],
        state: %{entries: 0, bytes: 0, max_entries: nil},
        handles: 0,
        os: %{memory_bytes: 100 * 1024 * 1024, cpu_time_ms: 1_000, cpu_share: 0.0, cpus: 2}
      },
      changes
    )
  end

  def context(changes \\ %{}) do
    deep_merge(
      %{
        id: 1,
        pid: self(),
        pool: :default,
        index: nil,
        name: nil,
        mode: :worker,
        state: :idle,
        uptime_ms: 60_000,
        running: 0,
        running_ms: nil,
        queued: 0,
        load: 0,
        max_queue: 10_000,
        calls: 0,
        errors: 0,
        timeouts: 0,
        interrupts: 0,
        orphans: 0,
        rejected: 0,
        expired: 0,
        callbacks: 0,
        callback_errors: 0,
        stuck_count: 0,
        busy_ms: 0,
        busy_share: 0.0,
        latency: %{count: 0, p50_us: nil, p99_us: nil, max_us: nil},
        restarts: 0,
        interpreter: 0,
        thread_ident: 0
      },
      changes
    )
  end

  def interpreter(changes \\ %{}) do
    deep_merge(
      %{
        id: 0,
        mode: :worker,
        contexts: [],
        gc_runs: 0,
        gc_collected: 0,
        gc_time_us: 0.0,
        gc_max_us: 0.0,
        sample: nil
      },
      changes
    )
  end

  def sample(changes \\ %{}) do
    generation = %{collections: 0, collected: 0, uncollectable: 0}

    deep_merge(
      %{
        age_ms: 0,
        gc: List.duplicate(generation, 3),
        gc_count: [0, 0, 0],
        allocated_blocks: 100_000
      },
      changes
    )
  end

  def callback(changes \\ %{}),
    do: deep_merge(%{name: "f", calls: 0, errors: 0, time_us: 0}, changes)

  def failure(changes \\ %{}) do
    deep_merge(
      %{
        at: 1_800_000_000_000,
        kind: :python,
        type: "ValueError",
        operation: :call,
        function: "math.sqrt",
        file: "/app/model.py",
        line: 12,
        context: 1,
        context_name: "default 1",
        message: "no such value"
      },
      changes
    )
  end

  defp deep_merge(map, changes) do
    Map.merge(map, Map.new(changes), fn
      _key, %{} = old, %{} = new when not is_struct(old) -> deep_merge(old, new)
      _key, _old, new -> new
    end)
  end
end
