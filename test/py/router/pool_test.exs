defmodule Py.Router.PoolTest do
  use ExUnit.Case, async: false

  import Py.Test.Pool
  import Py.Test.Wait

  alias Py.Router

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

  describe "pools" do
    for mode <- Py.Test.Case.modes() do
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

      assert_raise ArgumentError, ~r/unknown option/, fn ->
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

  describe "the default pool" do
    test "stops and starts" do
      assert Router.stop() == :ok
      assert {:error, %Py.ContextError{reason: :not_found}} = Py.eval("1")
      assert {:ok, pids} = Router.start(contexts: 3, mode: List.last(Py.Test.Case.modes()))
      assert length(pids) == 3
      assert Py.eval("1") == {:ok, 1}
      assert {:error, {:already_started, :default}} = Router.start()
      assert Router.stop() == :ok
      assert {:ok, _pids} = Router.start()
      assert Py.eval("1") == {:ok, 1}
    end
  end
end
