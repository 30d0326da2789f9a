defmodule Py.RouterTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Router

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

  defp pool(size, options \\ []) do
    name = :"pool_#{System.unique_integer([:positive])}"
    {:ok, pids} = Router.start_pool(name, size, options)
    on_exit(fn -> Router.stop_pool(name) end)
    {name, pids}
  end

  # The number, in `pids`, of the context that a call reaches.
  defp reached(pids, options) do
    ident = Py.call!(:threading, :get_ident, [], options)
    Enum.find_index(pids, &(elem(Py.Context.info(&1), 1).thread_ident == ident))
  end

  describe "pools" do
    for mode <- [:worker, :owngil] do
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
      sleep = Py.async(:time, :sleep, [0.4], context: first)
      until_running(first)
      assert for(_ <- 1..5, do: reached(pids, context: name)) == [1, 1, 1, 1, 1]
      assert {:ok, nil} = Py.await(sleep)
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
      assert {:ok, pids} = Router.start(contexts: 3, mode: :owngil)
      assert length(pids) == 3
      assert Py.eval("1") == {:ok, 1}
      assert {:error, {:already_started, :default}} = Router.start()
      assert Router.stop() == :ok
      assert {:ok, _pids} = Router.start()
      assert Py.eval("1") == {:ok, 1}
    end
  end
end
