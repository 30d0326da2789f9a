defmodule PyTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      @describetag mode: mode

      setup do
        {:ok, context: start_supervised!({Py.Context, mode: unquote(mode)})}
      end

      test "positional and keyword arguments", %{context: context} do
        Py.exec!(context, "def f(a, b=2, *rest, c, **more): return [a, b, rest, c, more]")

        assert Py.call(context, "__main__", :f, [1], kwargs: [c: 3]) == {:ok, [1, 2, {}, 3, %{}]}

        assert Py.call(context, :builtins, :dict, [], kwargs: [nan: :nan]) ==
                 {:ok, %{"nan" => :nan}}

        assert Py.call(context, "__main__", "f", [1, 5, 6], kwargs: %{"c" => 3, d: 4}) ==
                 {:ok, [1, 5, {6}, 3, %{"d" => 4}]}
      end

      test "dotted modules, functions and classes", %{context: context} do
        assert Py.call(context, "os.path", "join", ["a", "b"]) == {:ok, "a/b"}

        assert Py.call(context, :datetime, "date.fromisoformat", ["2026-01-31"]) ==
                 {:ok, ~D[2026-01-31]}

        assert Py.call(context, "collections.OrderedDict", :fromkeys, ["ab"]) ==
                 {:ok, %{"a" => nil, "b" => nil}}
      end

      test "a module imported by the call", %{context: context} do
        # No C extension is behind it: some of the standard library's, pyexpat for one, refuse own-GIL contexts of CPython 3.12.
        assert Py.call!(context, "wsgiref.headers", "Headers", [], return: :object)
               |> Py.Object.type() == "wsgiref.headers.Headers"
      end

      test "each caller gets its own outcome, found or sent", %{context: context} do
        Py.exec!(context, """
        import time
        def same(x, delay=0):
            time.sleep(delay)
            return x
        def fail(x): raise ValueError(x)
        """)

        # Small outcomes are found where the caller looks, large, late and failed ones are sent.
        check = fn caller, n ->
          value = {caller, n, Enum.to_list(1..rem(n * 7, 500)//1)}

          case rem(n, 50) do
            0 ->
              assert {:error, %Py.Error{message: message}} =
                       Py.call(context, :__main__, :fail, ["#{caller}/#{n}"])

              assert message == "#{caller}/#{n}"

            1 ->
              assert Py.call(context, :__main__, :same, [value, 0.0001]) == {:ok, value}

            _most ->
              assert Py.call(context, :__main__, :same, [value]) == {:ok, value}
          end
        end

        1..16
        |> Enum.map(fn caller ->
          Task.async(fn ->
            Enum.each(1..200, &check.(caller, &1))
            mailbox()
          end)
        end)
        |> Task.await_many(60_000)
        |> Enum.each(&assert(&1 == []))

        eventually(fn -> Py.Semaphore.in_use() == 0 end)
      end

      test "callers that are killed leave nothing behind", %{context: context} do
        for _ <- 1..300 do
          {pid, monitor} = spawn_monitor(fn -> call_for_ever(context) end)
          if :rand.uniform(2) == 1, do: :erlang.yield()
          Process.exit(pid, :kill)
          assert_receive {:DOWN, ^monitor, :process, ^pid, :killed}
        end

        eventually(fn -> Py.Semaphore.in_use() == 0 end)

        eventually(fn ->
          match?({:ok, %{queued: 0, running: 0}}, Py.Context.info(context))
        end)

        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
      end

      test "exec and eval share the context's namespace across processes", %{context: context} do
        Py.exec!(context, "x = [1]")
        Task.await(Task.async(fn -> Py.exec!(context, "x.append(2)") end))
        assert Py.eval!(context, "x") == [1, 2]
      end

      test "locals of eval are seen by functions made there and do not leak", %{context: context} do
        adder = Py.eval!(context, "lambda y: x + y", locals: %{x: 40})
        assert Py.call!(adder, [2]) == 42
        assert {:error, %Py.Error{type: "NameError"}} = Py.eval(context, "x")
      end

      test "locals of exec shadow names while the code runs", %{context: context} do
        Py.exec!(context, "x = 1")
        Py.exec!(context, "y = x + z", locals: [x: 10, z: 5])
        assert Py.eval!(context, "(x, y)") == {1, 15}
        assert {:error, %Py.Error{type: "NameError"}} = Py.eval(context, "z")

        assert {:error, %Py.Error{type: "ZeroDivisionError"}} =
                 Py.exec(context, "x / 0", locals: [x: 10])

        assert Py.eval!(context, "x") == 1
      end

      test "exec returns the last expression on request", %{context: context} do
        assert Py.exec(context, "a = 1\na + 1", return: :last) == {:ok, 2}
        assert Py.exec(context, "a = 1", return: :last) == {:ok, nil}
        assert Py.exec(context, "", return: :last) == {:ok, nil}
        assert {:ok, %Py.Object{} = list} = Py.exec(context, "[1, 2]", return: :object)
        assert Py.Object.to_term(list) == {:ok, [1, 2]}
      end

      test "handles are inspected in one short line, whatever repr() does", %{context: context} do
        Py.exec!(context, """
        class Shown:
            def __init__(self, show): self.show = show
            def __repr__(self): return self.show()
        def forever():
            while True: pass
        """)

        shown = fn show ->
          context |> Py.eval!("Shown(#{show})", return: :object) |> inspect()
        end

        assert shown.(~S|lambda: "a\n  b"|) == "#Py.Object<__main__.Shown a b>"
        assert shown.("lambda: 'ä' * 1000") =~ ~r/^#Py.Object<__main__.Shown ä+\.\.\.ä+>$/u

        assert String.length(shown.("lambda: 'ä' * 1000")) <=
                 80 + String.length("#Py.Object<__main__.Shown >")

        assert shown.("lambda: 1 / 0") =~ ~r/^#Py.Object<__main__.Shown (<|#Ref)/
        assert shown.("forever") =~ "#Py.Object<__main__.Shown #Ref<"
        assert inspect(Py.eval!(context, "list(range(10**6))", return: :object)) =~ "5, ...]>"
        assert Py.eval(context, "1 + 1") == {:ok, 2}
      end

      test "handles", %{context: context} do
        list = Py.eval!(context, "[3, 1, 2]", return: :object)
        assert Py.Object.type(list) == "list"
        assert inspect(list) == "#Py.Object<list [3, 1, 2]>"
        busy = Task.async(fn -> Py.exec(context, "while True: pass", timeout: :infinity) end)
        until_running(context)
        assert inspect(list) =~ ~r/^#Py.Object<list #Ref<[0-9.]+>>$/
        Py.interrupt(context)
        assert {:error, %Py.InterruptedError{}} = Task.await(busy)
        assert Py.call(list, :sort) == {:ok, nil}
        assert Py.Object.to_term(list) == {:ok, [1, 2, 3]}
        assert to_string(list) == "[1, 2, 3]"
        assert Py.call(:builtins, :len, [list]) == {:ok, 3}
        assert {:error, %Py.Error{type: "AttributeError"}} = Py.Object.getattr(list, :nope)
        same = Py.call!(:builtins, :id, [list])
        assert Py.call!(:builtins, :id, [%{a: list}["a"] || list]) == same
      end

      test "environments are separate namespaces of one context", %{context: context} do
        {:ok, one} = Py.Context.new_env(context)
        {:ok, two} = Py.Context.new_env(context)
        Py.exec!("x = 1", env: one)
        Py.exec!("x = 2", env: two)
        assert {Py.eval!("x", env: one), Py.eval!("x", env: two)} == {1, 2}
        Py.exec!("def f(): return x", env: one)
        assert Py.call("__main__", :f, [], env: one) == {:ok, 1}
        assert {:error, %Py.Error{type: "NameError"}} = Py.eval(context, "x")
      end

      test "the thread of a context never changes", %{context: context} do
        ident = Py.call!(context, :threading, :get_ident)

        callers =
          for _ <- 1..50, do: Task.async(fn -> Py.call!(context, :threading, :get_ident) end)

        assert Enum.uniq(Task.await_many(callers)) == [ident]

        assert {:error, %Py.TimeoutError{}} = Py.exec(context, "while True: pass", timeout: 20)
        task = Task.async(fn -> Py.exec(context, "while True: pass") end)
        assert eventually(fn -> Py.interrupt(context) == :ok end)
        assert {:error, %Py.InterruptedError{}} = Task.await(task)
        assert Py.call!(context, :threading, :get_ident) == ident
        assert {:ok, %{thread_ident: ^ident}} = Py.Context.info(context)
      end

      test "async, await, yield and cancel", %{context: context} do
        options = [context: context]
        tasks = for n <- 1..20, do: Py.async(:operator, :mul, [n, n], options)
        assert Py.await_many(tasks) == for(n <- 1..20, do: {:ok, n * n})

        slow = Py.async(:time, :sleep, [0.2], options)
        assert Py.yield(slow, 0) == nil
        assert Py.yield(slow, 10_000) == {:ok, nil}

        Py.exec!(context, "def loop():\n  while True: pass")
        endless = Py.async("__main__", :loop, [], options)
        until_running(context)
        assert Py.cancel(endless) == :ok
        assert Py.cancel(endless) == :ok
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}

        assert {:error, %Py.Error{type: "ValueError"}} =
                 Py.await(Py.async(:math, :sqrt, [-1], options))

        assert mailbox() == []
      end

      test "a task that is not awaited is interrupted at its timeout", %{context: context} do
        Py.exec!(context, "def loop():\n  while True: pass")
        task = Py.async("__main__", :loop, [], context: context, timeout: 30)
        until_running(context)
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
        assert {:error, %Py.TimeoutError{}} = Py.await(task)
        assert mailbox() == []
      end

      test "a cast runs, and a failing one is logged", %{context: context} do
        path = tmp_path("cast")
        assert Py.cast(:pathlib, :Path, [path], context: context) == :ok

        assert Py.cast("pathlib", "Path.touch", [
                 Py.call!(context, :pathlib, :Path, [path], return: :object)
               ]) == :ok

        assert eventually(fn -> File.exists?(path) end)

        log =
          ExUnit.CaptureLog.capture_log(fn ->
            Py.cast(:math, :sqrt, [-1], context: context)
            eventually(fn -> match?({:ok, %{errors: 1}}, Py.Context.info(context)) end)
            :sys.get_state(Py.Cast)
          end)

        assert log =~ "Py.cast failed: ValueError"
        assert mailbox() == []
      end
    end
  end

  describe "namespaces of processes" do
    test "are those of calls with a handle among their arguments, too" do
      Py.exec!("def kind(value): return type(value).__name__")
      handle = Py.eval!("object()")
      assert Py.call("__main__", :kind, [handle]) == {:ok, "object"}
    end

    test "are separate, and those of one process last" do
      Py.exec!("mine = 1")
      assert Py.eval!("mine") == 1

      other = Task.async(fn -> for _ <- 1..20, do: Py.eval("mine") end)
      assert Enum.all?(Task.await(other), &match?({:error, %Py.Error{type: "NameError"}}, &1))
    end

    test "are dropped after their process has ended" do
      [pid | _] = Py.Router.contexts()
      marker = "Marker#{System.unique_integer([:positive])}"
      Py.exec!(pid, "import weakref, gc\nalive = weakref.WeakSet()\nclass #{marker}: pass")
      marker_class = Py.eval!(pid, marker)

      tasks =
        for _ <- 1..2 do
          Task.async(fn ->
            Py.exec!("value = make()", locals: %{make: marker_class}, context: nil)
          end)
        end

      Task.await_many(tasks)

      alive = fn ->
        Py.exec!(pid, "gc.collect()\nsum(type(o) is #{marker} for o in gc.get_objects())",
          return: :last
        )
      end

      assert eventually(fn -> alive.() == 0 end)
    end
  end

  defp call_for_ever(context) do
    Py.call(context, :math, :sqrt, [4])
    call_for_ever(context)
  end
end
