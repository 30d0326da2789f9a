defmodule Py.Callback.ProcessTest do
  use Py.Test.Case

  import Py.Test.Callback
  import Py.Test.Wait

  for mode <- modes() do
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

  defp look do
    {self(), Process.get(:mine), Keyword.take(Logger.metadata(), [:request_id]),
     Process.group_leader()}
  end
end
