defmodule Py.Callback.FailuresTest do
  use Py.Test.Case

  import Py.Test.Callback
  import Py.Test.Wait

  for mode <- modes() do
    describe "#{mode}: failures" do
      @describetag mode: mode

      test "a function that raises", %{ctx: ctx} do
        register("raises", fn text -> raise ArgumentError, text end)

        assert {"error", reason, stacktrace, true, reason} =
                 caught(ctx, "erlang.raises('not so')")

        assert reason == "ArgumentError: not so"
        assert stacktrace =~ "test/py/callback/failures_test.exs:"

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
          eventually(fn -> match?({:ok, %{running: 0}}, Py.Context.info(ctx)) end)
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
  end
end
