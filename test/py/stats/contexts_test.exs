defmodule Py.Stats.ContextsTest do
  # Counts calls of the whole VM.
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Test.Peer

  defp context(pid), do: Enum.find(Py.stats().contexts, &(&1.pid == pid))

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      setup do
        {:ok, pid: start_supervised!({Py.Context, mode: unquote(mode), name: :stats_context})}
      end

      test "a context and what it has done", %{pid: pid} do
        assert %{state: :idle, calls: 0, running_ms: nil, busy_ms: 0, latency: latency} =
                 context(pid)

        assert latency == %{count: 0, p50_us: nil, p99_us: nil, max_us: nil}
        for _ <- 1..98, do: Py.eval!(pid, "1")
        for _ <- 1..2, do: Py.call!(pid, :time, :sleep, [0.05])
        {:error, _} = Py.eval(pid, "1/0")

        context = context(pid)
        {:ok, info} = Py.Context.info(pid)

        assert %{name: :stats_context, mode: unquote(mode), pool: nil, index: nil, restarts: 0} =
                 context

        assert context.id == info.id and context.max_queue == info.max_queue
        assert %{calls: 101, errors: 1, timeouts: 0, queued: 0, load: 0} = context
        assert context.busy_ms in 100..context.uptime_ms
        assert context.busy_share > 0.0 and context.busy_share <= 1.0
        assert %{count: 101, p50_us: p50, p99_us: p99, max_us: max} = context.latency
        assert p50 < 50_000 and p99 >= 50_000 and p99 <= max
      end

      test "states", %{pid: pid} do
        test = self()
        sleeper = Task.async(fn -> Py.exec(pid, "import time\nwhile True: time.sleep(0.001)") end)
        waiting = Task.async(fn -> until_running(pid) && Py.eval(pid, "1") end)

        %{running_ms: ms} =
          eventually(fn ->
            context = context(pid)
            match?(%{state: :running, load: 2, running: 1, queued: 1}, context) && context
          end)

        assert %{running_ms: later} =
                 eventually(fn -> context(pid).running_ms > ms && context(pid) end)

        assert later > ms
        assert context(pid).busy_ms > 0
        Py.interrupt(pid)
        assert {:error, %Py.InterruptedError{}} = Task.await(sleeper)
        assert Task.await(waiting) == {:ok, 1}
        assert %{state: :idle, interrupts: 1, running_ms: nil} = context(pid)

        back = fn ->
          send(test, {:called, self()})
          receive do: (:go -> 3)
        end

        caller = Task.async(fn -> Py.eval(pid, "f()", locals: %{f: back}) end)
        assert_receive {:called, callee}, 5_000
        assert %{state: :in_callback, running: 1} = context(pid)
        send(callee, :go)
        assert Task.await(caller) == {:ok, 3}
      end

      test "stuck code is seen, and seen to end", %{pid: pid} do
        before = Py.stats().totals.contexts_stuck
        pipe = pipe()
        # No bytecode runs until somebody writes.
        assert {:error, %Py.TimeoutError{}} =
                 Py.exec(pid, "open(#{inspect(pipe)})", timeout: 50)

        stuck = eventually(fn -> context(pid).state == :stuck && context(pid) end)
        assert %{state: :stuck, timeouts: 1, running_ms: ms, load: 1} = stuck
        assert ms > 50
        assert Py.stats().totals.contexts_stuck == before + 1
        release(pipe)
        eventually(fn -> context(pid).state == :idle end)
        assert Py.eval(pid, "6 * 7") == {:ok, 42}
      end

      test "code that holds the GIL keeps no snapshot waiting", %{pid: pid} do
        sum = Task.async(fn -> Py.call(pid, :builtins, :sum, [0..100_000_000]) end)
        until_running(pid)
        assert %{state: :running} = context(pid)
        assert Task.await(sum, 60_000) == {:ok, 5_000_000_050_000_000}
      end

      test "interpreters: collections, and samples with their age", %{pid: pid} do
        mine = fn ->
          id = context(pid).interpreter
          Enum.find(Py.stats().interpreters, &(&1.id == id))
        end

        assert context(pid).id in mine.().contexts
        assert mine.().id == 0 == (unquote(mode) == :worker)
        runs = mine.().gc_runs
        Py.exec!(pid, "import gc\nfor _ in range(3): gc.collect()")
        assert %{gc_runs: now, gc_time_us: time, gc_max_us: max} = mine.()
        assert now >= runs + 3 and time >= max and max > 0.0

        # Samples are taken at most once a second, when the context has had work.
        sample =
          eventually(fn ->
            Py.eval!(pid, "1")
            sample = mine.().sample
            sample && Enum.sum(Enum.map(sample.gc, & &1.collections)) >= 3 && sample
          end)

        assert %{gc: [_, _, _], gc_count: [_, _, _]} = sample
        assert eventually(fn -> mine.().sample.age_ms > sample.age_ms end)
      end

      test "collected objects are counted", %{pid: pid} do
        collected = fn ->
          snapshot = Py.stats()
          id = Enum.find(snapshot.contexts, &(&1.pid == pid)).interpreter
          Enum.find(snapshot.interpreters, &(&1.id == id)).gc_collected
        end

        before = collected.()

        Py.exec!(pid, """
        import gc
        for _ in range(1000):
            cycle = []
            cycle.append(cycle)
        gc.collect()
        """)

        assert collected.() >= before + 999
      end
    end
  end

  # In a VM of its own: interpreters that other tests have made Python abandon stay.
  test "blocks of objects are counted while there is one interpreter only" do
    peer = Peer.start([])
    {:ok, _} = Peer.start_python(peer, num_contexts: 1)

    blocks = fn wanted ->
      eventually(fn ->
        Peer.call(peer, Py, :eval!, ["1"])
        %{interpreters: [%{id: 0, sample: sample} | _]} = Peer.call(peer, Py, :stats, [])
        sample && wanted.(sample.allocated_blocks)
      end)
    end

    # In the context's namespace: that of the calling process ends with it.
    [context] = Peer.call(peer, Py.Router, :contexts, [])
    Peer.call(peer, Py, :exec!, [context, "kept = [[] for _ in range(100_000)]"])
    blocks.(&(is_integer(&1) and &1 > 100_000))

    if Py.info().own_gil do
      {:ok, _} = Peer.call(peer, Py.Router, :start_pool, [:own, 1, [mode: :owngil]])
      blocks.(&is_nil/1)
      :ok = Peer.call(peer, Py.Router, :stop_pool, [:own])
      blocks.(&is_integer/1)
    end
  end

  test "contexts of pools, and their replacements" do
    {:ok, [first, second]} = Py.Router.start_pool(:stats_pool, 2)
    on_exit(fn -> Py.Router.stop_pool(:stats_pool) end)

    places = fn ->
      for %{pool: :stats_pool} = c <- Py.stats().contexts, do: {c.index, c.restarts, c.state}
    end

    assert places.() == [{1, 0, :idle}, {2, 0, :idle}]
    Process.exit(first, :kill)
    eventually(fn -> places.() == [{1, 1, :idle}, {2, 0, :idle}] end)
    Py.Context.stop(second)
    eventually(fn -> places.() == [{1, 1, :idle}, {2, 1, :idle}] end)
    Py.Router.stop_pool(:stats_pool)
    eventually(fn -> places.() == [] end)
    {:ok, _} = Py.Router.start_pool(:stats_pool, 1)
    assert places.() == [{1, 0, :idle}]
  end

  test "a context that starts, and one whose replacement does" do
    path = tmp_path("gate")

    wait = "import os, time\nwhile not os.path.exists(#{inspect(path)}): time.sleep(0.005)"
    starting = Task.async(fn -> Py.Router.start_pool(:stats_slow, 1, preload: wait) end)
    on_exit(fn -> Py.Router.stop_pool(:stats_slow) end)
    state = fn -> for %{pool: :stats_slow} = c <- Py.stats().contexts, do: c.state end
    eventually(fn -> state.() == [:starting] end)
    File.touch!(path)
    assert {:ok, [pid]} = Task.await(starting)
    assert state.() == [:idle]
    File.rm!(path)
    Process.exit(pid, :kill)
    eventually(fn -> state.() == [:starting] end)
    File.touch!(path)
    eventually(fn -> state.() == [:idle] end)
  end
end
