defmodule Py.CallbacksTest do
  use Py.Case

  import Bitwise
  import Py.Test.Wait

  # What a test registers is gone after it.
  defp register(name, fun) do
    on_exit(fn -> Py.unregister_function(name) end)
    :ok = Py.register_function(name, fun)
  end

  # The text of an exception that `code` raises in Python, with its attributes: seen there, not here.
  defp caught(ctx, code, locals \\ %{}) do
    Py.exec!(
      ctx,
      """
      import erlang
      try:
          outcome = #{code}
      except erlang.CallbackError as error:
          outcome = (error.kind, error.reason, error.stacktrace, isinstance(error, RuntimeError), str(error))
      outcome
      """,
      locals: locals,
      return: :last
    )
  end

  defp works(ctx) do
    register("works", &(&1 + 1))
    assert eval(ctx, "__import__('erlang').call('works', 41)") == 42
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    assert mailbox() == []
  end

  def add(a, b), do: a + b

  # For functions that report to the test and return something else.
  defp tell(pid, message, result \\ nil) do
    send(pid, message)
    result
  end

  # `down(n)` in Python calls `name` in Elixir, which calls `down(n - 1)` on the context it is given, and so on: `n` levels.
  # Each level leaves a mark before and after its callback; the result tells threads and interpreters, deepest last.
  @down """
  import erlang, sys, threading
  marks = []
  def down(name, n):
      marks.append(("in", n))
      here = (threading.get_ident(), id(sys.modules))
      below = erlang.call(name, n) if n else []
      marks.append(("out", n))
      return [here] + below
  """

  defp register_down(name, contexts) do
    for ctx <- contexts, do: Py.exec!(ctx, @down)
    # Level by level over the contexts, round and round.
    register(name, fn n ->
      ctx = Enum.at(contexts, rem(n, length(contexts)))
      Py.call!(ctx, "__main__", :down, [name, n - 1], timeout: 60_000)
    end)
  end

  defp down(ctx, name, n, options \\ []) do
    Py.call(ctx, "__main__", :down, [name, n], [timeout: 60_000] ++ options)
  end

  defp in_permits(max, work) do
    {_used, before, _waiting} = Py.Native.permits()
    on_exit(fn -> Py.Native.set_max_permits(before) end)
    Py.Native.set_max_permits(max)
    work.()
    Py.Native.set_max_permits(before)
  end

  for mode <- modes() do
    describe "#{mode}: functions" do
      @describetag mode: mode

      test "are called by name, as attributes and after an import", %{ctx: ctx} do
        register("double", &(2 * &1))
        register(:sum3, fn a, b, c -> a + b + c end)
        register("none", fn -> nil end)
        register("pair", {__MODULE__, :add})
        Py.exec!(ctx, "import erlang\nfrom erlang import double as twice, sum3")
        assert eval(ctx, "erlang.call('double', 4)") == 8
        assert eval(ctx, "erlang.call(erlang.atom('double'), 4)") == 8
        assert eval(ctx, "erlang.double(5) + twice(6)") == 22
        assert eval(ctx, "sum3(1, 2, 3), erlang.call('sum3', *[4, 5, 6])") == {6, 15}
        assert eval(ctx, "erlang.none() is None") == true
        assert eval(ctx, "erlang.pair(20, 22)") == 42
        assert Py.call(ctx, :erlang, :call, ["double", 21]) == {:ok, 42}
        assert Py.call(ctx, :erlang, "double", [21]) == {:ok, 42}
      end

      test "are found as they are registered now", %{ctx: ctx} do
        Py.exec!(ctx, "import erlang")
        register("version", fn -> 1 end)
        Py.exec!(ctx, "from erlang import version")
        assert eval(ctx, "version(), erlang.version()") == {1, 1}
        register(:version, fn -> 2 end)
        assert eval(ctx, "version(), erlang.version()") == {2, 2}
        assert Py.unregister_function(:version) == :ok
        assert Py.unregister_function("version") == :ok
        assert %Py.Error{type: "AttributeError"} = error(ctx, "erlang.version")
        assert %Py.Error{type: "CallbackError"} = error(ctx, "version()")
      end

      test "that nobody registered", %{ctx: ctx} do
        assert {"error", reason, "", true, reason} = caught(ctx, "erlang.call('nobody', 1)")
        assert reason =~ ~s(no function is registered as "nobody"; register it with)

        assert %Py.Error{type: "AttributeError", message: message} = error(ctx, "erlang.nobody")
        assert message =~ "module 'erlang' has no attribute 'nobody'"

        assert {:error, %Py.Error{type: "ImportError", notes: [note]} = error} =
                 Py.exec(ctx, "from erlang import nobody")

        assert error.message =~ "cannot import name 'nobody' from 'erlang'"
        assert note =~ "no function is registered under that name; Py.register_function/2"
        assert {"error", reason, _, true, _} = caught(ctx, "erlang.call(5)")
        assert reason =~ "no function is registered as 5"
        assert {"error", _, _, true, _} = caught(ctx, "erlang.call('')")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.call()")
        works(ctx)
      end

      test "must be functions, and names names" do
        for wrong <- [1, "f", {String, "upcase"}, {1, :f}, nil] do
          assert_raise ArgumentError, ~r/expected a function or {module, function}/, fn ->
            Py.register_function("wrong", wrong)
          end
        end

        for wrong <- ["", nil, true, 1, ~c"name"] do
          assert_raise ArgumentError, ~r/expected a name as an atom or a string/, fn ->
            Py.register_function(wrong, fn -> 1 end)
          end
        end
      end

      test "passed as arguments are called like any other", %{ctx: ctx} do
        assert eval(ctx, "list(map(f, [1, 2, 3]))", %{f: &(&1 * &1)}) == [1, 4, 9]
        assert eval(ctx, "f(1, 2)", %{f: &__MODULE__.add/2}) == 3
        Py.exec!(ctx, "def apply_to(f, *args): return f(*args)")
        secret = make_ref()
        assert Py.call(ctx, "__main__", :apply_to, [fn -> secret end]) == {:ok, secret}

        assert Py.call(ctx, :builtins, :sorted, [[3, 1, 2]], kwargs: [key: &(-&1)]) ==
                 {:ok, [3, 2, 1]}

        # A function that Python returns is the same function, and one that Python kept still works.
        Py.exec!(ctx, "kept = f", locals: %{f: &(&1 + 1)})
        assert eval(ctx, "(kept := f)(1)", %{f: &(&1 + 1)}) == 2
        Py.exec!(ctx, "def keep(f):\n  global kept\n  kept = f")
        Py.call!(ctx, "__main__", :keep, [&(&1 + 2)])
        assert eval(ctx, "kept(40)") == 42
        assert eval(ctx, "kept").(40) == 42
        assert eval(ctx, "__import__('erlang').call(kept, 40)") == 42
      end

      test "values in both directions", %{ctx: ctx} do
        me = self()
        register("seen", fn value -> tell(me, {:seen, value}, value) end)

        values = [
          nil,
          true,
          0,
          -(2 ** 100),
          2 ** 70,
          1.5,
          "text, ünï",
          <<0, 255>>,
          [],
          [1, [2, "three"]],
          {1, {}, nil},
          %{"a" => %{1 => [2]}},
          MapSet.new([1, 2]),
          [:nan, :infinity, :neg_infinity],
          ~D[2026-01-31],
          ~U[2026-01-31 12:00:00Z],
          me,
          make_ref(),
          :crypto.strong_rand_bytes(100_000)
        ]

        for value <- values do
          assert eval(ctx, "__import__('erlang').call('seen', x)", %{x: value}) == value
          assert_received {:seen, ^value}
        end

        assert eval(ctx, "__import__('erlang').call('seen', __import__('erlang').atom('ok'))") ==
                 "ok"

        assert_received {:seen, :ok}
        assert %Py.Object{} = eval(ctx, "__import__('erlang').call('seen', object())")
        assert_received {:seen, %Py.Object{type: "object"}}
      end

      test "objects come back as themselves", %{ctx: ctx} do
        register("same", & &1)
        Py.exec!(ctx, "import erlang\nclass Thing: pass\nthing = Thing()")
        assert eval(ctx, "erlang.same(thing) is thing") == true
        assert eval(ctx, "erlang.same([thing, {'k': thing}])[1]['k'] is thing") == true
      end

      test "in the Erlang dialect", %{ctx: ctx} do
        me = self()
        register("seen", fn value -> tell(me, {:seen, value}, {:ok, [value, :none]}) end)
        options = [context: ctx, dialect: :erlang]

        assert Py.eval("__import__('erlang').call('seen', None)", options) ==
                 {:ok, {"ok", [:none, :none]}}

        assert_received {:seen, :none}

        assert {:error, {:CallbackError, text}} =
                 Py.eval("__import__('erlang').call('nobody')", options)

        assert to_string(text) =~ "no function is registered"
        works(ctx)
      end

      test "arguments without a counterpart are an error before anything runs", %{ctx: ctx} do
        register("seen", fn value -> value end)
        Py.exec!(ctx, "import erlang\nloop = []\nloop.append(loop)")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.seen(loop)")
        assert %Py.Error{type: "TypeError", message: text} = error(ctx, "erlang.seen('\\ud800')")
        assert text =~ "surrogates"
        works(ctx)
      end

      test "messages: send, self, whereis", %{ctx: ctx} do
        Py.exec!(ctx, "import erlang")
        assert eval(ctx, "erlang.self()") == self()
        assert eval(ctx, "erlang.self() == pid", %{pid: self()}) == true
        value = {"text", 2 ** 80, [nil, 1.5], %{"k" => make_ref()}}
        assert eval(ctx, "erlang.send(pid, value)", %{pid: self(), value: value}) == nil
        assert_received ^value
        Py.exec!(ctx, "for n in range(1000): erlang.send(erlang.self(), n)")
        for n <- 0..999, do: assert_received(^n)

        name = :"receiver_#{System.unique_integer([:positive])}"
        Process.register(self(), name)
        assert eval(ctx, "erlang.whereis(name)", %{name: name}) == self()
        assert eval(ctx, "erlang.whereis('no such name, no such atom')") == nil
        Process.unregister(name)
        assert eval(ctx, "erlang.whereis(name)", %{name: name}) == nil

        dead = spawn(fn -> :ok end)
        monitor = Process.monitor(dead)
        assert_receive {:DOWN, ^monitor, _, _, _}
        assert %Py.Error{type: "ProcessError"} = error(ctx, "erlang.send(pid, 1)", %{pid: dead})
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.send('pid', 1)")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.send(erlang.self())")
        assert mailbox() == []
      end

      test "self in a function is the process that waits for Python", %{ctx: ctx} do
        register("who", fn -> {self(), eval(ctx, "__import__('erlang').self()")} end)
        assert eval(ctx, "__import__('erlang').who()") == {self(), self()}

        task = Task.async(fn -> {self(), eval(ctx, "__import__('erlang').who()")} end)
        assert {pid, {pid, pid}} = Task.await(task)
      end
    end

    describe "#{mode}: the process" do
      @describetag mode: mode

      test "of call, eval and exec is the caller's", %{ctx: ctx} do
        Process.put(:mine, :value)
        Logger.metadata(request_id: "r1")
        {:ok, leader} = StringIO.open("")
        original = Process.group_leader()
        Process.group_leader(self(), leader)
        on_exit(fn -> Process.exit(leader, :normal) end)

        register("look", fn -> tell(self(), {:look, look()}) end)
        expected = {self(), :value, [request_id: "r1"], leader}
        Py.exec!(ctx, "import erlang")

        runs = [
          fn -> Py.call!(ctx, :erlang, :call, ["look"]) end,
          fn -> Py.eval!(ctx, "erlang.look()") end,
          fn -> Py.exec!(ctx, "erlang.look()") end,
          # Further down, too.
          fn -> eval(ctx, "f()", %{f: fn -> eval(ctx, "erlang.look()") end}) end
        ]

        for run <- runs do
          run.()
          assert_received {:look, ^expected}
        end

        Process.group_leader(self(), original)
      end

      test "of async is a supervised one that acts for the caller", %{ctx: ctx} do
        me = self()
        {:ok, leader} = StringIO.open("")
        original = Process.group_leader()

        register("look", fn ->
          tell(me, {:look, self(), Process.get(:"$callers"), Process.group_leader()}, 7)
        end)

        Process.group_leader(self(), leader)
        assert Py.await(Py.async(:erlang, :call, ["look"], context: ctx)) == {:ok, 7}
        Process.group_leader(self(), original)
        assert_received {:look, pid, [^me], ^leader}
        assert pid != me

        # Of a Task: on behalf of those it works for, too.
        task =
          Task.async(fn ->
            {self(), Py.await(Py.async(:erlang, :call, ["look"], context: ctx))}
          end)

        assert {task, {:ok, 7}} = Task.await(task)
        assert_received {:look, _pid, [^task, ^me], _leader}
        works(ctx)
      end

      test "of cast is a supervised one that acts for the caller", %{ctx: ctx} do
        me = self()
        register("look", fn -> tell(me, {:look, self(), Process.get(:"$callers")}) end)
        assert Py.cast(:erlang, :call, ["look"], context: ctx) == :ok
        assert_receive {:look, pid, [^me]}, 5_000
        assert pid != me
        Py.exec!(ctx, "import erlang\ndef tell(): erlang.send(erlang.self(), 'told')")
        assert Py.cast("__main__", :tell, [], context: ctx) == :ok
        assert_receive "told", 5_000
        works(ctx)
      end

      test "of Python threads and executors is a supervised one", %{ctx: ctx} do
        me = self()
        register("square", fn n -> tell(me, {:ran_in, self()}, n * n) end)

        code = """
        import erlang, threading
        from concurrent.futures import ThreadPoolExecutor
        results = {}
        def work(n): results[n] = erlang.square(n)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        with ThreadPoolExecutor(4) as pool:
            more = list(pool.map(erlang.square, range(40)))
        [[results[n] for n in range(8)], more]
        """

        squares = fn range -> for n <- range, do: n * n end

        assert Py.exec!(ctx, code, return: :last) == [squares.(0..7), squares.(0..39)]

        pids =
          for _ <- 1..48 do
            assert_receive {:ran_in, pid}
            pid
          end

        assert me not in pids
        assert length(Enum.uniq(pids)) == 48
        works(ctx)
      end

      test "errors in Python threads", %{ctx: ctx} do
        register("fails", fn -> raise "no" end)
        register("dies", fn -> Process.exit(self(), :kill) end)

        code = """
        import erlang
        from concurrent.futures import ThreadPoolExecutor
        def outcome(name):
            try:
                return erlang.call(name)
            except erlang.CallbackError as error:
                return error.kind + ": " + error.reason
        with ThreadPoolExecutor(3) as pool:
            outcomes = list(pool.map(outcome, ["fails", "dies", "nobody"]))
        outcomes
        """

        assert [
                 "error: RuntimeError: no",
                 "exit: the process of the function ended: :killed",
                 third
               ] =
                 Py.exec!(ctx, code, return: :last)

        assert third =~ "no function is registered"
        works(ctx)
      end

      test "of a Python thread has no caller, and may call Python", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register("elsewhere", fn n -> Py.eval!(other, "n + 1", locals: %{n: n}) end)
        register("here", fn n -> Py.eval!(ctx, "n + 1", locals: %{n: n}) end)

        code = """
        import erlang, threading
        results = {}
        def work(name): results[name] = erlang.call(name, 1)
        thread = threading.Thread(target=work, args=("elsewhere",))
        thread.start()
        thread.join()
        # This one runs on when the call is over: its function finds the context free.
        background = threading.Thread(target=work, args=("here",))
        background.start()
        """

        Py.exec!(ctx, code)
        assert eventually(fn -> eval(ctx, "results") == %{"elsewhere" => 2, "here" => 2} end)
        Py.exec!(ctx, "background.join()")

        Py.exec!(ctx, """
        def own_pid():
            try:
                results["self"] = erlang.self()
            except RuntimeError as error:
                results["self"] = str(error)
        thread = threading.Thread(target=own_pid)
        thread.start()
        thread.join()
        """)

        assert eval(ctx, "results['self']") == "no BEAM process waits for this thread"
      end

      test "that ends leaves CallbackError to async and cast", %{ctx: ctx} do
        register("dies", fn -> Process.exit(self(), :kill) end)

        assert {:error, %Py.Error{type: "CallbackError", message: text}} =
                 Py.await(Py.async(:erlang, :call, ["dies"], context: ctx))

        assert text == "the process of the function ended: :killed"
        register("exits", fn -> exit(:shutdown) end)

        assert {:error, %Py.Error{type: "CallbackError", message: ":shutdown"}} =
                 Py.await(Py.async(:erlang, :call, ["exits"], context: ctx))

        log =
          ExUnit.CaptureLog.capture_log(fn ->
            {:ok, %{errors: before}} = Py.Context.info(ctx)
            Py.cast(:erlang, :call, ["dies"], context: ctx)
            eventually(fn -> match?({:ok, %{errors: ^before}}, Py.Context.info(ctx)) == false end)
            :sys.get_state(Py.Cast)
          end)

        assert log =~ "Py.cast failed"
        assert log =~ "the process of the function ended: :killed"
        works(ctx)
      end

      test "of async and cast may call the same context", %{ctx: ctx} do
        me = self()

        Py.exec!(
          ctx,
          "import erlang\ndef down(n): return 0 if n == 0 else 1 + erlang.down(n - 1)"
        )

        register("down", fn n -> Py.call!(ctx, "__main__", :down, [n]) end)
        assert Py.await(Py.async("__main__", :down, [20], context: ctx)) == {:ok, 20}

        tasks = for n <- 1..20, do: Py.async("__main__", :down, [n], context: ctx)
        assert Py.await_many(tasks) == for(n <- 1..20, do: {:ok, n})

        register("told", fn n -> tell(me, {:told, n}) end)
        Py.exec!(ctx, "def tell(n): erlang.told(down(n))")
        assert Py.cast("__main__", :tell, [20], context: ctx) == :ok
        assert_receive {:told, 20}, 10_000
        works(ctx)
      end

      test "a cast from a function is on its own, however often", %{ctx: ctx} do
        me = self()

        register("again", fn
          0 -> tell(me, :done)
          n -> Py.cast(:erlang, :call, ["again", n - 1], context: ctx)
        end)

        assert Py.cast(:erlang, :call, ["again", 1_000], context: ctx) == :ok
        assert_receive :done, 30_000
        works(ctx)
      end

      test "async inside a function, awaited there", %{ctx: ctx} do
        register("later", fn n ->
          tasks = for i <- 1..n, do: Py.async(:operator, :mul, [i, i], context: ctx)
          tasks |> Py.await_many() |> Enum.map(&elem(&1, 1))
        end)

        assert eval(ctx, "__import__('erlang').later(4)") == [1, 4, 9, 16]
        works(ctx)
      end
    end
  end

  for mode <- modes() do
    describe "#{mode}: chains" do
      @describetag mode: mode

      for levels <- [10, 50, 200, 256] do
        test "of #{levels} levels on one context", %{ctx: ctx} do
          levels = unquote(levels)
          register_down("down", [ctx])
          assert {:ok, seen} = down(ctx, "down", levels)
          # One thread and one interpreter, those of the context.
          assert length(seen) == levels + 1
          assert Enum.uniq(seen) == [eval(ctx, "threading.get_ident(), id(sys.modules)")]
          # Each level went in once and out once, in order.
          ins = for n <- levels..0//-1, do: {"in", n}
          assert eval(ctx, "marks") == ins ++ for(n <- 0..levels, do: {"out", n})
          works(ctx)
        end
      end

      test "past the bound are a clear error", %{ctx: ctx} do
        register_down("down", [ctx])

        for levels <- [257, 400] do
          assert {:error, %Py.Error{type: "CallbackError", message: message}} =
                   down(ctx, "down", levels)

          assert message == "callbacks nested deeper than 256 levels"
        end

        # Without an end of its own.
        register("forever", fn -> Py.call!(ctx, :erlang, :call, ["forever"]) end)

        assert {:error, %Py.Error{message: "callbacks nested deeper than 256 levels"}} =
                 Py.call(ctx, :erlang, :call, ["forever"])

        assert {:ok, seen} = down(ctx, "down", 256)
        assert length(seen) == 257
        works(ctx)
      end

      test "a thousand at once on two contexts", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)

        for {name, ctx} <- [{"down1", ctx}, {"down2", other}] do
          Py.exec!(
            ctx,
            "import erlang\ndef down(name, n, x): return x if n == 0 else 1 + erlang.call(name, n, x)"
          )

          register(name, fn n, x ->
            Py.call!(ctx, "__main__", :down, [name, n - 1, x], timeout: 60_000)
          end)
        end

        tasks =
          for x <- 1..1_000 do
            {ctx, name} = if rem(x, 2) == 0, do: {ctx, "down1"}, else: {other, "down2"}

            Task.async(fn ->
              {Py.call(ctx, "__main__", :down, [name, 5, x], timeout: 60_000), mailbox()}
            end)
          end

        assert Task.await_many(tasks, 60_000) == for(x <- 1..1_000, do: {{:ok, x + 5}, []})
        works(ctx)
        works(other)
      end

      test "with a limit of one", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register_down("one", [ctx])
        register_down("two", [ctx, other])

        in_permits(1, fn ->
          tasks =
            for n <- 1..40 do
              name = if rem(n, 2) == 0, do: "one", else: "two"
              Task.async(fn -> down(ctx, name, 5) end)
            end

          for result <- Task.await_many(tasks, 60_000) do
            assert {:ok, seen} = result
            assert length(seen) == 6
          end
        end)

        works(ctx)
      end

      test "across two contexts", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register_down("both", [ctx, other])
        # Level 20 starts on `other`; odd ones are there, even ones on `ctx`.
        assert {:ok, seen} = down(ctx, "both", 20)

        [here, there] =
          for c <- [ctx, other], do: eval(c, "threading.get_ident(), id(sys.modules)")

        assert here != there
        assert Enum.frequencies(seen) == %{here => 11, there => 10}
        works(ctx)
        works(other)
      end

      test "across two contexts, in opposite directions at once", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register_down("there", [ctx, other])
        register_down("back", [other, ctx])

        tasks =
          for n <- 1..200 do
            {ctx, name} = if rem(n, 2) == 0, do: {ctx, "there"}, else: {other, "back"}
            Task.async(fn -> down(ctx, name, 1 + rem(n, 7)) end)
          end

        for {n, result} <- Enum.zip(1..200, Task.await_many(tasks, 60_000)) do
          assert {:ok, seen} = result
          assert length(seen) == 2 + rem(n, 7)
        end

        works(ctx)
        works(other)
      end

      test "of two contexts that wait for each other go on", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        me = self()

        # Each chain holds its context until the other one does, too.
        register("meet", fn context ->
          send(me, {:holds, self()})
          assert_receive :go, 10_000
          Py.eval!(context, "6 * 7", timeout: 10_000)
        end)

        for c <- [ctx, other], do: Py.exec!(c, "import erlang")

        tasks =
          for {c, wanted} <- [{ctx, other}, {other, ctx}] do
            Task.async(fn -> Py.call(c, :erlang, :call, ["meet", wanted]) end)
          end

        for _ <- 1..2, do: assert_receive({:holds, _pid}, 10_000)
        for task <- tasks, do: send(task.pid, :go)
        assert Task.await_many(tasks, 30_000) == [{:ok, 42}, {:ok, 42}]
        works(ctx)
      end

      test "of Tasks that a function starts", %{ctx: ctx} do
        register("fan", fn n ->
          1..n
          |> Enum.map(&Task.async(fn -> eval(ctx, "n * n", %{n: &1}) end))
          |> Task.await_many()
        end)

        register("stream", fn n ->
          1..n
          |> Task.async_stream(&eval(ctx, "n * n", %{n: &1}), max_concurrency: 4)
          |> Enum.map(fn {:ok, value} -> value end)
        end)

        # Tasks of Tasks, and callbacks of theirs.
        register("deep", fn n ->
          fn -> Task.async(fn -> eval(ctx, "erlang.fan(n)", %{n: n}) end) |> Task.await() end
          |> Task.async()
          |> Task.await()
        end)

        Py.exec!(ctx, "import erlang")
        squares = for n <- 1..20, do: n * n

        for name <- ["fan", "stream", "deep"] do
          assert eval(ctx, "erlang.call(name, 20)", %{name: name}) == squares
          assert Py.await(Py.async(:erlang, :call, [name, 20], context: ctx)) == {:ok, squares}
        end

        in_permits(1, fn -> assert eval(ctx, "erlang.deep(20)") == squares end)
        works(ctx)
      end

      test "of Tasks of the default pool" do
        register("fan", fn n ->
          1..n
          |> Task.async_stream(&Py.eval!("n * n", locals: %{n: &1}), timeout: 60_000)
          |> Enum.map(fn {:ok, value} -> value end)
        end)

        squares = for n <- 1..8, do: n * n

        tasks =
          for _ <- 1..40 do
            Task.async(fn ->
              Py.exec!("import erlang\ndef fan(n): return erlang.fan(n)")
              Py.eval!("fan(8)", timeout: 60_000)
            end)
          end

        assert Task.await_many(tasks, 60_000) == List.duplicate(squares, 40)
        assert permits() == %{in_use: 0, waiting: 0}
      end

      test "let strangers wait their turn", %{ctx: ctx} do
        me = self()
        Py.exec!(ctx, "order = []")

        register("slow", fn ->
          send(me, {:in_function, self()})
          assert_receive :go, 10_000
          Py.exec!(ctx, "order.append('nested')")
        end)

        chain =
          Task.async(fn ->
            Py.exec!(ctx, "import erlang; erlang.slow(); order.append('chain')")
          end)

        assert_receive {:in_function, pid}, 10_000
        stranger = Task.async(fn -> Py.exec!(ctx, "order.append('stranger')") end)
        assert eventually(fn -> match?({:ok, %{queued: 1}}, Py.Context.info(ctx)) end)
        send(pid, :go)
        assert Task.await_many([chain, stranger]) == [:ok, :ok]
        assert eval(ctx, "order") == ["nested", "chain", "stranger"]
      end
    end
  end

  for mode <- modes() do
    describe "#{mode}: failures" do
      @describetag mode: mode

      test "a function that raises", %{ctx: ctx} do
        register("raises", fn text -> raise ArgumentError, text end)

        assert {"error", reason, stacktrace, true, reason} =
                 caught(ctx, "erlang.raises('not so')")

        assert reason == "ArgumentError: not so"
        assert stacktrace =~ "test/py/callbacks_test.exs:"

        # Not caught in Python it is an error here, with the stacktrace as a note.
        assert {:error, %Py.Error{} = error} = Py.call(ctx, :erlang, :call, ["raises", "not so"])
        assert {error.type, error.module} == {"CallbackError", "erlang"}
        assert error.message == "ArgumentError: not so"
        assert [note] = error.notes
        assert note =~ "Elixir stacktrace:"
        assert Py.Error.is_a?(error, "RuntimeError")

        register("badarith", fn -> :erlang.error(:badarith) end)
        assert {"error", "ArithmeticError: " <> _, _, true, _} = caught(ctx, "erlang.badarith()")
        works(ctx)
      end

      test "a function that throws or exits", %{ctx: ctx} do
        register("throws", fn value -> throw({:ball, value}) end)
        register("exits", fn reason -> exit({:reason, reason}) end)
        assert {"throw", "{:ball, 1}", _, true, _} = caught(ctx, "erlang.throws(1)")
        assert {"exit", "{:reason, 1}", _, true, _} = caught(ctx, "erlang.exits(1)")

        dead = spawn(fn -> :ok end)
        register("no_server", fn -> GenServer.call(dead, :anything) end)
        assert {"exit", reason, _, true, _} = caught(ctx, "erlang.no_server()")
        assert reason =~ ":noproc" or reason =~ ":normal"
        works(ctx)
      end

      test "a function with other arguments", %{ctx: ctx} do
        register("two", fn _a, _b -> :ok end)
        register("gone", {NoSuchModule, :f})
        assert {"error", "BadArityError: " <> _, _, true, _} = caught(ctx, "erlang.two(1)")

        assert {"error", "UndefinedFunctionError: " <> _, _, true, _} =
                 caught(ctx, "erlang.gone(1)")

        assert {"error", "BadArityError: " <> _, _, true, _} =
                 caught(ctx, "f(1)", %{f: fn -> 1 end})

        works(ctx)
      end

      test "a function that returns what Python has no counterpart for", %{ctx: ctx} do
        values = [
          {%Py.Test.Plain{name: "x"}, "Py.Test.Plain has no Python counterpart"},
          {[%{a: {1, %Py.Test.Plain{}}}], "Py.Test.Plain has no Python counterpart"},
          {[1 | 2], "improper list"},
          {<<1::3>>, "bitstring"},
          {%{[1] => 2}, "unhashable"},
          {%Py.Float{value: :what}, "Py.float/1 takes"}
        ]

        for {value, text} <- values do
          register("returns", fn -> value end)
          assert {"error", reason, _, true, _} = caught(ctx, "erlang.returns()")
          assert reason =~ text
        end

        # With an encoder there is one.
        register("returns", fn -> [%Py.Test.Only{name: "n"}, %Py.Test.Celsius{degrees: 3}] end)
        assert eval(ctx, "erlang.returns()") == [%{"name" => "n", "age" => 1}, 3.0]
        works(ctx)
      end

      test "Python may catch, clean up and go on", %{ctx: ctx} do
        register("fails", fn -> raise "no" end)
        register("cleans", fn n -> n + 1 end)

        code = """
        import erlang
        steps = []
        for n in range(3):
            try:
                steps.append("before")
                erlang.fails()
                steps.append("never")
            except RuntimeError as error:
                steps.append(str(error))
            finally:
                steps.append(erlang.cleans(n))
        steps
        """

        assert Py.exec!(ctx, code, return: :last) ==
                 Enum.flat_map(1..3, &["before", "RuntimeError: no", &1])

        works(ctx)
      end

      test "deep down", %{ctx: ctx} do
        Py.exec!(ctx, """
        import erlang
        def fall(n):
            if n == 0: raise ValueError("at the bottom")
            return erlang.fall(n - 1)
        """)

        register("fall", fn n -> Py.call!(ctx, "__main__", :fall, [n]) end)

        assert {:error, %Py.Error{type: "CallbackError", message: message}} =
                 Py.call(ctx, "__main__", :fall, [50])

        assert message == "Py.Error: ValueError: at the bottom"
        works(ctx)
      end

      test "a function that takes longer than the call may", %{ctx: ctx} do
        me = self()

        register("slow", fn ->
          send(me, {:started, System.monotonic_time(:millisecond)})
          # Until the watchdog has ended the request: nobody waits for this function any more.
          eventually(fn -> match?({:ok, %{running: false}}, Py.Context.info(ctx)) end)
          send(me, {:returned, System.monotonic_time(:millisecond)})
          :late
        end)

        Py.exec!(ctx, "import erlang\nafter = []\ndef run():\n  erlang.slow()\n  after.append(1)")

        for {run, n} <- [
              {fn options -> Py.call(ctx, "__main__", :run, [], options) end, 1},
              {fn options -> Py.eval(ctx, "run()", options) end, 2},
              {fn options -> Py.exec(ctx, "run()", options) end, 3}
            ] do
          {:ok, %{timeouts: before}} = Py.Context.info(ctx)
          assert {:error, %Py.TimeoutError{timeout: 50}} = run.(timeout: 50)
          now = System.monotonic_time(:millisecond)
          assert_received {:started, started}
          assert_received {:returned, returned}
          assert returned - started >= 40
          assert now - returned < 1_000
          assert mailbox() == []
          assert {:ok, %{timeouts: timeouts}} = Py.Context.info(ctx)
          assert timeouts == before + 1, "run #{n}"
        end

        # The context was free while the functions still ran, and Python did not go on after them.
        assert eval(ctx, "after") == []
        works(ctx)
      end

      test "a function of async that takes longer than the task may", %{ctx: ctx} do
        me = self()

        register("slow", fn ->
          send(me, {:function, self()})
          assert_receive :go, 10_000
        end)

        task = Py.async(:erlang, :call, ["slow"], context: ctx, timeout: 50)
        assert_receive {:function, pid}, 5_000
        assert {:error, %Py.TimeoutError{}} = Py.await(task)
        # The context is free although the function still runs.
        assert eval(ctx, "1 + 1") == 2
        assert Process.alive?(pid)
        monitor = Process.monitor(pid)
        send(pid, :go)
        assert_receive {:DOWN, ^monitor, _, _, :normal}, 5_000

        cancelled = Py.async(:erlang, :call, ["slow"], context: ctx)
        assert_receive {:function, pid}, 5_000
        assert Py.cancel(cancelled) == :ok
        assert eval(ctx, "1 + 1") == 2
        send(pid, :go)
        works(ctx)
      end

      test "a loop of callbacks that call Python ends at the timeout", %{ctx: ctx} do
        register("nested", fn -> eval(ctx, "1") end)
        Py.exec!(ctx, "import erlang")

        {time, result} =
          :timer.tc(fn -> Py.exec(ctx, "while True: erlang.nested()", timeout: 100) end)

        assert {:error, %Py.TimeoutError{timeout: 100}} = result
        assert time < 5_000_000
        works(ctx)
      end

      test "a function that makes many calls outlives the timeout of the call it serves", %{
        mode: mode
      } do
        ctx = start_supervised!({Py.Context, mode: mode}, id: :fresh)

        # The request below it ends on time although others come and go on top.

        register("busy", fn ->
          eventually(fn ->
            eval(ctx, "1") == 1 and match?({:ok, %{timeouts: 1}}, Py.Context.info(ctx))
          end)
        end)

        assert {:error, %Py.TimeoutError{}} = Py.call(ctx, :erlang, :call, ["busy"], timeout: 50)
        works(ctx)
      end

      test "a caller killed while its function runs", %{ctx: ctx} do
        me = self()

        register("hang", fn ->
          send(me, :hangs)
          assert_receive :never, 60_000
        end)

        {:ok, %{orphans: before}} = Py.Context.info(ctx)
        caller = spawn(fn -> Py.call(ctx, :erlang, :call, ["hang"], timeout: :infinity) end)
        assert_receive :hangs, 5_000
        Process.exit(caller, :kill)
        assert eval(ctx, "6 * 7") == 42
        assert {:ok, %{orphans: orphans}} = Py.Context.info(ctx)
        assert orphans == before + 1

        # With more levels below, and while Python runs above the function.
        Py.exec!(ctx, "import erlang\ndef level(n):\n  return erlang.level(n - 1)")

        register("level", fn
          0 -> tell(me, :deepest) && Py.exec!(ctx, "while True: pass", timeout: :infinity)
          n -> Py.call!(ctx, "__main__", :level, [n], timeout: :infinity)
        end)

        caller = spawn(fn -> Py.call(ctx, "__main__", :level, [10], timeout: :infinity) end)
        assert_receive :deepest, 5_000
        Process.exit(caller, :kill)
        assert eval(ctx, "6 * 7") == 42
        works(ctx)
      end

      test "an interrupt while a function runs", %{ctx: ctx} do
        me = self()

        register("wait", fn ->
          send(me, {:function, self()})
          assert_receive :go, 10_000
          1
        end)

        interrupts = fn -> Py.Context.info(ctx) |> elem(1) |> Map.fetch!(:interrupts) end
        register("answer", fn -> 42 end)

        run = fn code ->
          before = interrupts.()
          task = Task.async(fn -> {Py.exec(ctx, code, return: :last), mailbox()} end)
          assert_receive {:function, pid}, 5_000
          assert Py.interrupt(ctx) == :ok
          assert eventually(fn -> interrupts.() == before + 1 end)
          {task, pid}
        end

        Py.exec!(ctx, "import erlang")
        {task, pid} = run.("erlang.wait()")
        # Python has gone on; the caller learns of it when its function is done.
        assert eval(ctx, "6 * 7") == 42
        send(pid, :go)
        assert {{:error, %Py.InterruptedError{}}, []} = Task.await(task)

        # Code that catches it may call functions again.
        {task, pid} =
          run.("""
          try:
              erlang.wait()
          except KeyboardInterrupt:
              caught = erlang.call("answer")
          caught
          """)

        send(pid, :go)
        assert {{:ok, 42}, []} = Task.await(task)
        assert Py.interrupt(ctx) == {:error, :not_running}
        works(ctx)
      end

      test "an interrupt hits the innermost request of a chain", %{ctx: ctx} do
        me = self()

        register("outcome", fn ->
          Py.exec(ctx, "erlang.send(me, 'inside')\nwhile True: pass", locals: %{me: me})
          |> elem(1)
          |> inspect()
        end)

        Py.exec!(ctx, "import erlang")
        task = Task.async(fn -> {eval(ctx, "erlang.outcome()"), mailbox()} end)
        assert_receive "inside", 5_000
        assert Py.interrupt(ctx) == :ok
        assert Task.await(task) == {inspect(%Py.InterruptedError{}), []}
        works(ctx)
      end

      test "a context stopped while a function runs", %{mode: mode} do
        ctx = start_supervised!({Py.Context, mode: mode}, id: :stopped, restart: :temporary)
        me = self()

        register("stop", fn -> tell(me, Py.Context.stop(ctx), 1) end)
        register("call", fn -> Py.eval!(ctx, "1") end)
        Py.exec!(ctx, "import erlang")

        assert {:error, %Py.ContextError{reason: :stopped}} = Py.eval(ctx, "erlang.stop() + 1")
        assert_received :ok
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
        assert mailbox() == []
      end
    end

    describe "#{mode}: nothing leaks in" do
      @describetag mode: mode

      test "10,000 callbacks of each kind", %{ctx: ctx} do
        register("echo", & &1)
        register("fails", fn -> raise "no" end)
        register("nested", fn n -> Py.eval!(ctx, "n", locals: %{n: n}) end)

        Py.exec!(ctx, """
        import erlang, gc, sys
        def blocks():
            gc.collect()
            return sys.getallocatedblocks()
        def run(times, f, value):
            for n in range(times):
                assert erlang.echo(value) == value
                assert f(n) == n
                if n % 5 == 0:
                    try:
                        erlang.fails()
                    except erlang.CallbackError:
                        pass
        def tell(times):
            for n in range(times): erlang.send(erlang.self(), n)
        def nested(times):
            for n in range(times): assert erlang.nested(n) == n
        """)

        value = %{"list" => [1, 2.5, "text", nil], "tuple" => {true, <<255>>}}

        work = fn ->
          Py.call!(ctx, "__main__", :run, [10_000, & &1, value], timeout: 120_000)
          Py.call!(ctx, "__main__", :tell, [10_000])
          for n <- 0..9_999, do: assert_received(^n)
          Py.call!(ctx, "__main__", :nested, [10_000], timeout: 120_000)

          for n <- 1..1_000,
              do: {:ok, ^n} = Py.await(Py.async(:erlang, :call, ["echo", n], context: ctx))
        end

        blocks = fn -> Py.call!(ctx, "__main__", :blocks) end
        work.()
        {before, processes} = {blocks.(), length(Process.list())}
        work.()
        assert mailbox() == []
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
        assert eventually(fn -> blocks.() < before + 500 end)
        assert eventually(fn -> length(Process.list()) <= processes + 5 end)
        assert eventually(fn -> :sys.get_state(Py.Callback.Dispatcher) == %{} end)
      end

      test "answers of one call, of any size and kind, do not mix", %{ctx: ctx} do
        answers = [
          1,
          "text",
          String.duplicate("long", 100),
          :binary.copy(<<255>>, 1_000_000),
          nil,
          2.5,
          Enum.to_list(1..1_000),
          1 <<< 200,
          %{"a" => [1, {2}]},
          {:fail, "no"},
          "",
          %{}
        ]

        register("pick", fn index ->
          case Enum.at(answers, index) do
            {:fail, text} -> raise ArgumentError, text
            value -> value
          end
        end)

        Py.exec!(ctx, """
        import erlang
        def pick(index):
            try: return erlang.pick(index)
            except erlang.CallbackError as error: return error.reason
        def pick_all(order): return [pick(index) for index in order]
        """)

        for _ <- 1..50 do
          order = for _ <- 1..20, do: :rand.uniform(length(answers)) - 1

          expected =
            for index <- order do
              case Enum.at(answers, index) do
                {:fail, text} -> "ArgumentError: #{text}"
                value -> value
              end
            end

          assert Py.call!(ctx, "__main__", :pick_all, [order]) == expected
        end
      end

      test "a destructor may call while an answer is being converted", %{ctx: ctx} do
        # Its conversion runs Python code, where the garbage collector comes in.
        times = for n <- 0..199, do: DateTime.from_unix!(n)
        register("times", fn -> times end)
        register("word", fn -> "word" end)

        assert {^times, words} =
                 Py.exec!(
                   ctx,
                   """
                   import erlang, gc, sys
                   words = []
                   class Cycle:
                       def __init__(self): self.me = self
                       def __del__(self): words.append((erlang.word(), sys._getframe(1).f_code.co_name))
                   times = erlang.times
                   gc.collect()
                   gc.disable()
                   for n in range(50): Cycle()
                   before = gc.get_threshold()
                   gc.set_threshold(1)
                   gc.enable()
                   times = times()
                   gc.set_threshold(*before)
                   gc.collect()
                   (times, words)
                   """,
                   return: :last
                 )

        assert length(words) == 50

        # The function of the package that makes datetimes. Before 3.12 the collector runs at the first allocation.
        if Version.match?(python_version(), ">= 3.12.0"), do: assert({"word", "make"} in words)
        assert Enum.all?(words, &match?({"word", _}, &1))
      end
    end
  end

  defp look do
    {self(), Process.get(:mine), Keyword.take(Logger.metadata(), [:request_id]),
     Process.group_leader()}
  end
end

defmodule Py.CallbacksDispatcherTest do
  # The process that sees to the functions of threads, tasks and casts: its end takes nothing away.
  use ExUnit.Case, async: false

  import Py.Test.Wait

  test "functions stay registered when the dispatcher ends" do
    Py.register_function("stays", fn n -> n + 1 end)
    on_exit(fn -> Py.unregister_function("stays") end)
    pid = Process.whereis(Py.Callback.Dispatcher)
    Process.exit(pid, :kill)

    assert eventually(fn -> Process.whereis(Py.Callback.Dispatcher) not in [nil, pid] end)

    assert eventually(fn ->
             Py.Router.contexts() != [] and Enum.all?(Py.Router.contexts(), &Process.alive?/1)
           end)

    assert eventually(fn -> Py.eval("__import__('erlang').stays(1)") == {:ok, 2} end)
    assert Py.await(Py.async(:erlang, :call, ["stays", 2])) == {:ok, 3}
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    assert mailbox() == []
  end

  # Found by script/soak: the thread of the context leaves the callback later than the caller hears of the end.
  test "a call after one whose context ended during its callback is not part of that" do
    {:ok, context} = Py.Context.start_link()
    {:ok, other} = Py.Context.start_link()
    Process.unlink(context)

    Py.register_function("end_context", fn ->
      # C code that keeps the GIL, so that the thread of the context cannot leave.
      busy = Py.async(:builtins, :sum, [0..29_999_999], context: other)
      Py.Test.Wait.until_running(other)
      Process.exit(context, :kill)
      Py.Test.Wait.eventually(fn -> not Process.alive?(context) end)
      send(self(), {:busy, busy})
    end)

    assert {:error, %Py.ContextError{reason: :stopped}} =
             Py.eval(context, "__import__('erlang').call('end_context')")

    assert Py.call(:math, :sqrt, [16]) == {:ok, 4.0}
    assert_received {:busy, busy}
    assert Py.await(busy) == {:ok, 449_999_985_000_000}
    Py.unregister_function("end_context")
    Py.Context.stop(other)
  end
end
