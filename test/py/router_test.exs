defmodule Py.RouterTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Router

  defmodule First do
    @behaviour Py.Router.Strategy
    @impl true
    def pick(_pool, _size, _load), do: 0
  end

  defmodule Second do
    @behaviour Py.Router.Strategy
    @impl true
    def pick(_pool, size, load) do
      send(self(), {:asked, size, load.(0)})
      1
    end
  end

  defmodule Wrong do
    @behaviour Py.Router.Strategy
    @impl true
    def pick(_pool, size, _load), do: size
  end

  defp name, do: :"pool_#{System.unique_integer([:positive])}"

  # A pool that starts until the function is called that is the second result.
  defp slowly(name, size) do
    go = "go_#{name}"
    preload = "import erlang, time\nwhile erlang.state_get('#{go}') is None: time.sleep(0.001)"
    start = Task.async(fn -> Router.start_pool(name, size, preload: preload) end)
    eventually(fn -> Router.pool_started?(name) end)
    on_exit(fn -> Py.State.delete(go) end)
    {start, fn -> Py.State.put(go, true) end}
  end

  defp contexts_of(pool) do
    for pid <- Py.Context.list(), {:ok, %{pool: ^pool}} <- [Py.Context.info(pid)], do: pid
  end

  defp supervises?(pid, context) when is_pid(pid) do
    {:dictionary, dictionary} = Process.info(context, :dictionary)
    hd(dictionary[:"$ancestors"]) == pid
  end

  defp supervises?(_port, _context), do: false

  defp pool(size, options \\ []) do
    name = name()
    {:ok, pids} = Router.start_pool(name, size, options)
    on_exit(fn -> Router.stop_pool(name) end)
    {name, pids}
  end

  # The number, in `pids`, of the context that a call reaches.
  defp reached(pids, options) do
    ident = Py.call!(:threading, :get_ident, [], options)
    Enum.find_index(pids, &(elem(Py.Context.info(&1), 1).thread_ident == ident))
  end

  describe "calls of a callback" do
    for mode <- Py.Case.modes() do
      test "run where its Python code runs, and bind the process to no other context (#{mode})" do
        context = start_supervised!({Py.Context, mode: unquote(mode)})

        Py.register_function("routed", fn ->
          inside = Py.call!(:threading, :get_ident)
          task = Task.async(fn -> {Py.call!(:threading, :get_ident), Process.get_keys()} end)
          {deeper, keys} = Task.await(task)
          [inside, deeper, Enum.count(keys, &routing?/1)]
        end)

        on_exit(fn -> Py.unregister_function("routed") end)
        ident = elem(Py.Context.info(context), 1).thread_ident
        assert Py.eval(context, "erlang.call('routed')") == {:ok, [ident, ident, 0]}
        refute Enum.any?(Process.get_keys(), &routing?/1)
        # Outside of it the process has a context of its own, and keeps it.
        assert Py.call!(:threading, :get_ident) == Py.call!(:threading, :get_ident)
        assert Enum.count(Process.get_keys(), &routing?/1) == 1
      end
    end
  end

  defp routing?(key), do: key == :"$py_context"

  describe "pools" do
    for mode <- Py.Case.modes() do
      test "start, serve and stop (#{mode})" do
        {name, pids} = pool(2, mode: unquote(mode), preload: "import json\nanswer = 42")
        assert length(Enum.uniq(pids)) == 2
        assert Router.contexts(name) == pids
        assert Router.num_contexts(name) == 2
        assert Router.pool_started?(name)
        assert name in Router.pools()
        assert {:ok, %{mode: unquote(mode)}} = Py.Context.info(hd(pids))
        assert Py.eval("answer", context: name) == {:ok, 42}
        assert {:ok, pid} = Router.get_context(name)
        assert pid in pids

        assert Router.start_pool(name, 1) == {:error, {:already_started, name}}
        assert Router.stop_pool(name) == :ok
        assert Router.stop_pool(name) == {:error, :not_started}
        refute Router.pool_started?(name)
        refute Enum.any?(pids, &Process.alive?/1)

        assert {:error, %Py.ContextError{reason: :not_found, context: ^name}} =
                 Py.eval("1", context: name)

        assert {:ok, [_]} = Router.start_pool(name, 1)
        assert Py.eval("1", context: name) == {:ok, 1}
      end
    end

    test "that cannot start leave nothing behind" do
      assert {:error, %Py.ContextError{reason: {:failed, reason}}} =
               Router.start_pool(:broken, 2, preload: "1/0")

      assert reason =~ "ZeroDivisionError"
      refute Router.pool_started?(:broken)
      assert Router.contexts(:broken) == []
    end

    test "refuse wrong arguments" do
      assert_raise ArgumentError, ~r/pool name/, fn -> apply(Router, :start_pool, ["ml", 2]) end
      assert_raise ArgumentError, ~r/positive number/, fn -> Router.start_pool(:ml, 0) end

      assert_raise ArgumentError, ~r/:strategy.*:least_busy/, fn ->
        Router.start_pool(:ml, 1, strategy: :best)
      end

      assert_raise ArgumentError, ~r/:strategy/, fn ->
        Router.start_pool(:ml, 1, strategy: String)
      end

      assert_raise ArgumentError, ~r/:mode/, fn -> Router.start_pool(:ml, 1, mode: :fast) end

      assert_raise ArgumentError, ~r/unknown options/, fn ->
        Router.start_pool(:ml, 1, sise: 1)
      end

      assert_raise ArgumentError, ~r/:pg/, fn -> Router.start_pool(:ml, 1, pg: :yes) end
      refute Router.pool_started?(:ml)
    end

    test "replace a killed context, and calls find the new one" do
      {name, [first, second]} = pool(2)
      Process.exit(first, :kill)

      [new, ^second] =
        eventually(fn ->
          case Router.contexts(name) do
            [^first, _second] -> nil
            pids -> pids
          end
        end)

      assert Py.eval(new, "1") == {:ok, 1}

      for _ <- 1..10,
          do: assert(Task.await(Task.async(fn -> Py.eval("2", context: name) end)) == {:ok, 2})
    end

    test "stopped while it starts, leaves no context" do
      name = name()
      {start, go} = slowly(name, 2)
      stop = Task.async(fn -> Router.stop_pool(name) end)
      eventually(fn -> not Router.pool_started?(name) end)
      go.()
      assert Task.await(stop) == :ok
      assert {:error, %Py.ContextError{reason: :stopped, context: ^name}} = Task.await(start)
      assert Router.contexts(name) == []
      assert contexts_of(name) == []
      assert {:ok, [_one]} = Router.start_pool(name, 1)
      assert Router.stop_pool(name) == :ok
    end

    test "whose starter is killed while it starts, is whole" do
      name = name()
      {start, go} = slowly(name, 2)
      Task.shutdown(start, :brutal_kill)
      go.()
      eventually(fn -> Router.num_contexts(name) == 2 end)
      assert Router.start_pool(name, 2) == {:error, {:already_started, name}}
      assert Router.stop_pool(name) == :ok
      assert contexts_of(name) == []
    end

    test "whose supervisor is killed, comes back" do
      {name, [old]} = pool(1)
      supervisor = old |> Process.info(:links) |> elem(1) |> Enum.find(&supervises?(&1, old))
      Process.exit(supervisor, :kill)
      eventually(fn -> match?([new] when new != old, Router.contexts(name)) end)
      assert Py.eval("1", context: name) == {:ok, 1}
      assert Router.stop_pool(name) == :ok
      eventually(fn -> contexts_of(name) == [] end)
    end

    test "is not kept by an owner that has died, and takes no contexts of others" do
      name = name()
      dead = spawn(fn -> :ok end)
      eventually(fn -> not Process.alive?(dead) end)
      assert Py.Pool.Table.register(name, :affinity, {:own, dead}) == :ok
      eventually(fn -> not Router.pool_started?(name) end)

      assert Py.Pool.Table.register(name, :affinity, {:own, self()}) == :ok
      assert Py.Pool.Table.put(name, 1, :not_a_context) == :ok
      assert Router.contexts(name) == []
      assert Py.Pool.Table.unregister({:own, self()}) == :ok
      refute Router.pool_started?(name)
    end

    test "whose contexts are killed at random answer every call, and end whole" do
      {name, _pids} = pool(3, mode: :worker)
      parent = self()

      killer =
        spawn_link(fn ->
          Enum.each(Stream.cycle([0, 1, 2]), fn n ->
            with pid when is_pid(pid) <- Enum.at(Router.contexts(name), n),
                 do: Process.exit(pid, :kill)

            receive do
              :stop -> exit(:normal)
            after
              5 -> :ok
            end
          end)
        end)

      callers =
        for _ <- 1..50 do
          Task.async(fn ->
            for n <- 1..40,
                do: {n, Py.call(:operator, :add, [n, 1], context: name, timeout: 20_000)}
          end)
        end

      results = callers |> Task.await_many(120_000) |> List.flatten()
      Process.unlink(killer)
      send(killer, :stop)
      assert length(results) == 2_000

      for {n, result} <- results do
        assert match?({:ok, sum} when sum == n + 1, result) or
                 match?({:error, %Py.ContextError{}}, result)
      end

      # How many, depends on how long the machine takes to start a context.
      assert Enum.any?(results, &match?({_n, {:ok, _sum}}, &1))

      assert eventually(fn ->
               pids = Router.contexts(name)
               length(pids) == 3 and Enum.all?(pids, &(Py.eval(&1, "1") == {:ok, 1}))
             end)

      assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
      assert mailbox() == []
      assert parent == self()
    end
  end

  describe "strategies" do
    test ":affinity gives a process one context and spreads processes of one parent evenly" do
      {name, pids} = pool(4)
      assert length(Enum.uniq(for _ <- 1..8, do: reached(pids, context: name))) == 1

      chosen = for _ <- 1..40, do: Task.async(fn -> reached(pids, context: name) end)

      assert chosen |> Task.await_many() |> Enum.frequencies() == %{
               0 => 10,
               1 => 10,
               2 => 10,
               3 => 10
             }
    end

    test ":round_robin takes each context in turn" do
      {name, pids} = pool(3, strategy: :round_robin)
      chosen = for _ <- 1..9, do: reached(pids, context: name)
      assert Enum.frequencies(chosen) == %{0 => 3, 1 => 3, 2 => 3}
      assert Enum.slice(chosen, 0, 3) == Enum.slice(chosen, 3, 3)
    end

    test ":least_busy avoids busy contexts" do
      {name, [first | _] = pids} = pool(2, strategy: :least_busy)
      pipe = pipe()
      waits = Py.async(:builtins, :open, [pipe], context: first, return: :object)
      until_running(first)
      assert for(_ <- 1..5, do: reached(pids, context: name)) == [1, 1, 1, 1, 1]
      release(pipe)
      assert {:ok, %Py.Object{}} = Py.await(waits)
    end

    test "are modules" do
      {name, pids} = pool(2, strategy: Second)
      assert reached(pids, context: name) == 1
      assert_received {:asked, 2, 0}

      {name, _pids} = pool(1, strategy: Wrong)

      assert_raise ArgumentError, ~r/Wrong.pick\/3 returned 1, expected 0 to 0/, fn ->
        Py.eval("1", context: name)
      end
    end
  end

  describe "ensure_pool" do
    test "takes a pool as it is asked for, and says what differs" do
      name = :"ensured_#{System.unique_integer([:positive])}"
      assert {:ok, [_, _] = pids} = Router.ensure_pool(name, 2, mode: :worker)
      assert Router.ensure_pool(name, 2, mode: :worker) == {:ok, pids}
      assert Router.ensure_pool(name, nil) == {:ok, pids}
      has = %{contexts: 2, mode: :worker}
      assert Router.ensure_pool(name, 3) == {:error, {:already_started, has}}
      assert Router.ensure_pool(name, 2, mode: :owngil) == {:error, {:already_started, has}}
      assert Router.mode(name) == :worker
      assert Router.stop_pool(name) == :ok
      assert Router.mode(name) == nil
    end
  end

  describe "binding" do
    test "sends a process's calls to one context, in its own namespace" do
      pids = Router.contexts()
      last = length(pids)
      assert Router.bind_context(last) == :ok
      assert reached(pids, []) == last - 1
      assert Router.get_context() == {:ok, List.last(pids)}
      Py.exec!("bound = 1")
      assert {:error, %Py.Error{type: "NameError"}} = Py.eval(List.last(pids), "bound")

      assert Router.bind_context(hd(pids)) == :ok
      assert reached(pids, []) == 0
      assert Router.unbind_context() == :ok
      assert {:error, %Py.ContextError{reason: :not_found, context: 0}} = Router.bind_context(0)
      assert {:error, %Py.ContextError{}} = Router.bind_context(last + 1)
      assert {:error, %Py.ContextError{}} = Router.bind_context(self())
    end

    test "to a pid outside of the pool, and within a named pool" do
      own = start_supervised!(Py.Context)
      assert Router.bind_context(own) == :ok
      assert reached([own], []) == 0
      assert Router.get_context() == {:ok, own}
      assert Router.unbind_context() == :ok
      assert Router.get_context() != {:ok, own}

      {name, pids} = pool(2, strategy: :round_robin)
      assert Router.bind_context(name, 2) == :ok
      assert for(_ <- 1..4, do: reached(pids, context: name)) == [1, 1, 1, 1]
      assert Router.unbind_context(name) == :ok
    end

    test "to a context of one's own that ends is forgotten" do
      {:ok, own} = Py.Context.start_link()
      assert Router.bind_context(own) == :ok
      assert Py.Context.stop(own) == :ok
      assert Py.eval("1") == {:ok, 1}
      assert {:ok, context} = Router.get_context()
      assert context in Router.contexts()
    end

    test "to a number survives the replacement of its context" do
      {name, [first | _]} = pool(1)
      assert Router.bind_context(name, 1) == :ok
      Py.Context.stop(first)
      assert eventually(fn -> match?([pid] when pid != first, Router.contexts(name)) end)
      assert Py.eval("1", context: name) == {:ok, 1}
    end
  end

  describe "registration" do
    test "sends calls of a module or function to a pool" do
      {ml, ml_pids} = pool(1)
      {text, text_pids} = pool(1)

      on_exit(fn ->
        for what <- [:threading, {:threading, :get_ident}], do: Router.unregister_pool(what)
      end)

      assert Router.register_pool(ml, :threading) == :ok
      assert reached(ml_pids, []) == 0
      assert Router.lookup_pool("threading", "get_ident") == ml
      assert Router.register_pool(text, {"threading", "get_ident"}) == :ok
      assert reached(text_pids, []) == 0
      assert Router.lookup_pool(:threading, :active_count) == ml
      assert Router.registrations() == %{"threading" => ml, {"threading", "get_ident"} => text}
      # An explicit context goes first.
      assert reached(ml_pids, context: ml) == 0

      assert Router.unregister_pool({:threading, :get_ident}) == :ok
      assert reached(ml_pids, []) == 0
      assert Router.unregister_pool(:threading) == :ok
      assert Router.lookup_pool(:threading, :get_ident) == nil
      assert Py.call(:math, :sqrt, [4]) == {:ok, 2.0}

      Router.register_pool(:nobody, :threading)
      assert {:error, %Py.ContextError{context: :nobody}} = Py.call(:threading, :get_ident)
    end
  end

  describe "Py.context/1" do
    test "is the pid of a number" do
      assert Py.context(1) == hd(Router.contexts())
      assert_raise Py.ContextError, fn -> Py.context(0) end
      assert_raise Py.ContextError, fn -> Py.context(Router.num_contexts() + 1) end
    end
  end

  describe "the default pool" do
    test "stops and starts" do
      assert Router.stop() == :ok
      assert {:error, %Py.ContextError{reason: :not_found}} = Py.eval("1")
      assert {:ok, pids} = Router.start(contexts: 3, mode: List.last(Py.Case.modes()))
      assert length(pids) == 3
      assert Py.eval("1") == {:ok, 1}
      assert {:error, {:already_started, :default}} = Router.start()
      assert Router.stop() == :ok
      assert {:ok, _pids} = Router.start()
      assert Py.eval("1") == {:ok, 1}
    end
  end

  describe "a stuck context" do
    for strategy <- [:affinity, :round_robin, :least_busy, __MODULE__.First] do
      test "is passed over (#{inspect(strategy)})" do
        name = :"stuck_#{System.unique_integer([:positive])}"
        {:ok, [one, two]} = Router.start_pool(name, 2, strategy: unquote(strategy))
        pipe = stuck(one)
        {:ok, %{id: id}} = Py.Context.info(two)

        for _ <- 1..6 do
          assert Task.await(Task.async(fn -> native_id(Router.get_context(name)) end)) == id
        end

        release(pipe)
        assert eventually(fn -> match?({:ok, %{stuck: false}}, Py.Context.info(one)) end)
        Router.stop_pool(name)
      end
    end

    test "is left by the process that made it stuck, also of the default pool" do
      code = """
      [one, two] = Py.Router.contexts()
      Py.exec!("mine = 1")
      {:error, %Py.TimeoutError{}} = Py.exec("import time; time.sleep(6)", timeout: 50)
      wait = fn wait -> Enum.any?(Py.stats().contexts, & &1.state == :stuck) or wait.(wait) end
      wait.(wait)
      for _ <- 1..4, do: {:ok, 42} = Py.eval("6 * 7", timeout: 2_000)
      for _ <- 1..4, do: {:ok, 42} = Task.await(Task.async(fn -> Py.eval("6 * 7", timeout: 2_000) end))
      {:ok, 42} = Py.await(Py.async(:builtins, :int, ["42"]), 2_000)
      {:error, %Py.Error{type: "NameError"}} = Py.eval("mine")
      IO.puts("moved")
      System.halt(0)
      """

      assert {output, 0} = Py.Test.VM.run(code, config: [num_contexts: 2])
      assert output =~ "moved"
    end
  end

  describe "a context that stays stuck" do
    setup do
      test = self()

      :telemetry.attach_many(
        "router_test",
        for(name <- [:replaced, :stop, :recovered], do: [:erlang_python, :context, name]),
        &__MODULE__.tell/4,
        test
      )

      on_exit(fn -> :telemetry.detach("router_test") end)
    end

    for mode <- Py.Case.modes() do
      test "is replaced (#{mode})" do
        {name, [one, two]} = pool(2, mode: unquote(mode), replace_stuck: 100)
        {:ok, %{id: id}} = Py.Context.info(one)
        abandoned = Py.stats().totals.contexts_abandoned
        pipe = pipe()

        log =
          ExUnit.CaptureLog.capture_log(fn ->
            hang(one, pipe)
            queued = Task.async(fn -> Py.eval(one, "1", timeout: :infinity) end)
            assert_receive {:replaced, %{duration: duration}, %{id: ^id, pool: ^name}}, 30_000
            assert duration >= System.convert_time_unit(100, :millisecond, :native)
            assert {:error, %Py.ContextError{reason: :stopped}} = Task.await(queued)
          end)

        assert log =~ "number 1 of #{inspect(name)}) was stuck for"
        assert_receive {:stop, _, %{id: ^id, reason: {:shutdown, :stuck}}}
        new = eventually(fn -> Enum.find(Router.contexts(name), &(&1 not in [one, two])) end)
        assert Router.contexts(name) == [new, two]
        assert Py.eval(new, "6 * 7") == {:ok, 42}
        :ok = Router.bind_context(name, 1)
        assert Py.eval("6 * 7", context: name) == {:ok, 42}
        Router.unbind_context(name)
        stats = Py.stats()
        assert stats.totals.contexts_abandoned == abandoned + 1
        # While its thread is still stuck.
        eventually(fn -> Py.stats().permits.current == 0 end)
        assert %{restarts: 1} = Enum.find(stats.contexts, &(&1.pid == new))

        # The old thread ends, and the new context is not disturbed.
        release(pipe)
        assert Py.eval(new, "6 * 7") == {:ok, 42}
        assert {:error, %Py.ContextError{}} = Py.eval(one, "1")
      end

      test "is not replaced where it works again in time, or never shall be (#{mode})" do
        for option <- [60_000, :never] do
          {name, [one]} = pool(1, mode: unquote(mode), replace_stuck: option)
          pipe = pipe()
          hang(one, pipe)
          assert eventually(fn -> match?({:ok, %{stuck: true}}, Py.Context.info(one)) end)
          assert eventually(fn -> :sys.get_state(one).stuck_since end)
          assert is_reference(:sys.get_state(one).timer) == is_integer(option)
          release(pipe)
          assert_receive {:recovered, _, %{pool: ^name}}, 10_000
          assert :sys.get_state(one).timer == nil
          assert Py.eval(one, "1") == {:ok, 1}
          assert Router.contexts(name) == [one]
          refute_received {:replaced, _, _}
        end
      end
    end

    test "is not replaced while C code holds the GIL that its replacement needs" do
      code = """
      [one] = Py.Router.contexts()
      Py.exec!("import ctypes")
      hold = "ctypes.PyDLL(None).sleep(4)"
      {:error, %Py.TimeoutError{}} = Py.exec(hold, timeout: 50)
      {:ok, 42} = Py.eval("6 * 7", timeout: 30_000)
      [^one] = Py.Router.contexts()
      0 = Py.stats().totals.contexts_abandoned
      IO.puts("kept")
      System.halt(0)
      """

      config = [num_contexts: 1, context_mode: :worker, replace_stuck: 1]
      assert {output, 0} = Py.Test.VM.run(code, config: config)
      assert output =~ "stuck and cannot be replaced: C code holds the GIL"
      assert output =~ "kept"
    end

    test "is replaced in the default pool after the configured time" do
      code = """
      [one] = Py.Router.contexts()
      {:error, %Py.TimeoutError{}} = Py.exec("import time; time.sleep(600)", timeout: 50)
      wait = fn wait -> if Py.Router.contexts() == [one], do: wait.(wait) end
      wait.(wait)
      {:ok, 42} = Py.eval("6 * 7", timeout: 30_000)
      1 = Py.stats().totals.contexts_abandoned
      IO.puts("replaced")
      System.halt(0)
      """

      for mode <- Py.Case.modes() do
        config = [num_contexts: 1, context_mode: mode, replace_stuck: 100]
        assert {output, 0} = Py.Test.VM.run(code, config: config)
        assert output =~ "replaced"
      end
    end

    test "refuses another time" do
      for wrong <- [0, -1, 1.5, :infinity, nil] do
        assert_raise ArgumentError, ~r/:replace_stuck.*milliseconds or :never/, fn ->
          Router.start_pool(:ml, 1, replace_stuck: wrong)
        end
      end

      # Of a context of one's own its supervisor takes care.
      assert_raise ArgumentError, ~r/unknown options/, fn ->
        Py.Context.start_link(replace_stuck: 100)
      end
    end
  end

  def tell([:erlang_python, :context, name], measurements, metadata, test),
    do: send(test, {name, measurements, metadata})

  # Until the pipe is released.
  defp hang(context, pipe) do
    assert {:error, %Py.TimeoutError{}} =
             Py.exec(context, "open(path).close()", locals: %{path: pipe}, timeout: 50)
  end

  test "new processes do not wait behind a long request while other contexts are idle" do
    {:ok, contexts} = Router.start_pool(:spread, 3)
    pipe = pipe()

    task =
      Task.async(fn -> Py.exec(hd(contexts), "open(path).close()", locals: %{path: pipe}) end)

    until_running(hd(contexts))
    assert eventually(fn -> Enum.any?(Py.stats().contexts, &((&1.running_ms || 0) > 5)) end)

    for _ <- 1..9 do
      assert Task.await(Task.async(fn -> Py.eval("1", context: :spread) end)) == {:ok, 1}
    end

    release(pipe)
    assert Task.await(task) == :ok
    Router.stop_pool(:spread)
  end

  test "the strategy of the default pool is configured" do
    code = """
    ids = for _ <- 1..4, do: Py.eval!("__import__('threading').get_ident()")
    2 = length(Enum.uniq(ids))
    IO.puts("in turn")
    """

    config = [num_contexts: 2, strategy: :round_robin]
    assert {output, 0} = Py.Test.VM.run(code, config: config)
    assert output =~ "in turn"
  end

  # Until `release/1` of the result.
  defp stuck(context) do
    pipe = pipe()
    hang(context, pipe)
    assert eventually(fn -> match?({:ok, %{stuck: true}}, Py.Context.info(context)) end)
    pipe
  end

  defp native_id({:ok, pid}), do: pid |> Py.Context.info() |> elem(1) |> Map.fetch!(:id)
end
