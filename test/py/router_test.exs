defmodule Py.RouterTest do
  use ExUnit.Case, async: false

  import Py.Test.Pool
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

  # The number, in `pids`, of the context that a call reaches.
  defp reached(pids, options) do
    ident = Py.call!(:threading, :get_ident, [], options)
    Enum.find_index(pids, &(elem(Py.Context.info(&1), 1).thread_ident == ident))
  end

  describe "calls of a callback" do
    for mode <- Py.Test.Case.modes() do
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

  # The default pool moves its cursor on with each choice.
  test "a call of a callback chooses no context, nor does one of a task of the callback" do
    context = start_supervised!(Py.Context)
    {_slots, _strategy, cursor} = Py.Pool.Table.published(:default)

    Py.register_function("chooses", fn ->
      before = :atomics.get(cursor, 1)
      Py.eval!("1")
      Task.await(Task.async(fn -> Py.eval!("2") end))
      :atomics.get(cursor, 1) - before
    end)

    on_exit(fn -> Py.unregister_function("chooses") end)
    assert Py.eval(context, "__import__('erlang').call('chooses')") == {:ok, 0}

    # Nobody waits for a cast: it is routed as one of any process.
    Py.register_function("casts", fn ->
      before = :atomics.get(cursor, 1)
      for _ <- 1..3, do: Py.cast(:math, :sqrt, [4])
      {:atomics.get(cursor, 1) - before, Enum.any?(Process.get_keys(), &routing?/1)}
    end)

    on_exit(fn -> Py.unregister_function("casts") end)
    assert Py.eval(context, "__import__('erlang').call('casts')") == {:ok, {3, false}}
    before = :atomics.get(cursor, 1)
    Py.eval!("1")
    assert :atomics.get(cursor, 1) - before == 1
  end

  defp routing?(key), do: key == :"$py_context"

  test "a call with a handle runs on its context, in the namespace of the calling process" do
    context = start_supervised!(Py.Context)
    Py.exec!(context, "def seen(handle): return 'context'")
    object = Py.eval!(context, "object()", return: :object)
    code = "def seen(handle): return 'process', __import__('threading').get_ident()"
    Py.exec!(code, context: context, namespace: :process)
    {:ok, info} = Py.Context.info(context)

    assert Py.call("__main__", :seen, [object]) == {:ok, {"process", info.thread_ident}}
    assert Py.call(context, "__main__", :seen, [object]) == {:ok, "context"}
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
        assert eventually(fn -> match?({:ok, %{state: :idle}}, Py.Context.info(one)) end)
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

    me = self()
    tell = "__import__('erlang').send(pid, __import__('threading').get_ident())"
    cast = fn -> for _ <- 1..4, do: Py.cast(:builtins, :eval, [tell, %{"pid" => me}]) end
    Py.register_function("cast", fn -> length(cast.()) end)
    4 = Py.eval!("__import__('erlang').call('cast')")
    ids = for _ <- 1..4, do: receive(do: (id -> id))
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
    assert eventually(fn -> match?({:ok, %{state: :stuck}}, Py.Context.info(context)) end)
    pipe
  end

  defp native_id({:ok, pid}), do: pid |> Py.Context.info() |> elem(1) |> Map.fetch!(:id)
end
