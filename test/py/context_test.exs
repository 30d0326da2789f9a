defmodule Py.ContextTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Test.Dialect

  @loop "while True: pass"

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      setup do
        {:ok, context: start_supervised!({Py.Context, mode: unquote(mode)})}
      end

      test "a timeout counts time in the queue, and no late reply shows up", %{context: context} do
        sleeper = Task.async(fn -> Py.call(context, :time, :sleep, [2]) end)
        until_running(context)
        {time, result} = :timer.tc(fn -> Py.call(context, :math, :sqrt, [4], timeout: 100) end)
        assert {:error, %Py.TimeoutError{timeout: 100}} = result
        # Well before the sleep is over.
        assert time in 100_000..1_000_000
        assert Task.await(sleeper) == {:ok, nil}
        # The cancelled request is behind the sleep: once this one is done, its turn has passed.
        assert Py.call(context, :math, :sqrt, [9]) == {:ok, 3.0}
        assert mailbox() == []
      end

      test "killing a caller interrupts its code and frees the context", %{context: context} do
        caller = spawn(fn -> Py.exec(context, @loop, timeout: :infinity) end)
        until_running(context)
        Process.exit(caller, :kill)
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
        assert {:ok, %{orphans: 1}} = Py.Context.info(context)
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
      end

      test "requests of dead callers in the queue do not run", %{context: context} do
        path = tmp_path("ran")
        pipe = pipe()
        busy = Task.async(fn -> Py.exec(context, "open(#{inspect(pipe)})") end)
        until_running(context)
        caller = spawn(fn -> Py.call(context, :os, :mkdir, [path]) end)
        eventually(fn -> match?({:ok, %{queued: 1}}, Py.Context.info(context)) end)
        Process.exit(caller, :kill)
        eventually(fn -> match?({:ok, %{queued: 0}}, Py.Context.info(context)) end)
        release(pipe)
        assert Task.await(busy) == :ok
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
        refute File.exists?(path)
      end

      test "requests that gave up do not stay in the queue of a busy context", %{context: context} do
        pipe = pipe()
        busy = Task.async(fn -> Py.exec(context, "open(#{inspect(pipe)})") end)
        until_running(context)

        for _ <- 1..100 do
          assert {:error, %Py.TimeoutError{timeout: 1}} =
                   Py.call(context, :math, :sqrt, [4], timeout: 1)
        end

        eventually(fn -> match?({:ok, %{queued: 0}}, Py.Context.info(context)) end)
        assert Task.yield(busy, 0) == nil
        release(pipe)
        Task.await(busy)
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
      end

      test "a thread that does not return keeps no permit once its context is stopped" do
        context =
          start_supervised!({Py.Context, mode: unquote(mode)}, id: :stuck, restart: :temporary)

        pipe = pipe()

        assert {:error, %Py.TimeoutError{}} =
                 Py.exec(context, "open(#{inspect(pipe)})", timeout: 20)

        assert permits().in_use >= 1
        log = ExUnit.CaptureLog.capture_log(fn -> Py.Context.stop(context) end)
        assert log =~ "did not end"
        eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
        release(pipe)
      end

      test "an interrupt hits the running request and no other", %{context: context} do
        assert Py.interrupt(context) == {:error, :not_running}

        for _ <- 1..200 do
          task = Task.async(fn -> Py.exec(context, "for _ in range(2000): pass") end)
          Py.interrupt(context)
          assert Task.await(task) in [:ok, {:error, %Py.InterruptedError{}}]
          assert Py.call(context, :builtins, :sum, [[1, 2]]) == {:ok, 3}
        end
      end

      test "a timeout says whether the code had begun", %{context: context} do
        {:ok, %{id: id}} = Py.Context.info(context)

        assert {:error, %Py.TimeoutError{timeout: 50, phase: :running, context: ^id} = error} =
                 Py.exec(context, @loop, timeout: 50)

        assert Exception.message(error) =~ "on Python context #{id} is interrupted"
        assert Py.eval(context, "1") == {:ok, 1}
        task = Task.async(fn -> Py.exec(context, @loop, timeout: :infinity) end)
        until_running(context)

        for run <- [
              fn -> Py.eval(context, "1", timeout: 50) end,
              fn -> Py.await(Py.async(:builtins, :int, [1], context: context, timeout: 50)) end
            ] do
          assert {:error, %Py.TimeoutError{timeout: 50, phase: :queued, context: ^id} = error} =
                   run.()

          assert Exception.message(error) =~
                   "queued behind other requests on Python context #{id}"
        end

        assert Dialect.eval(context, "1", timeout: 50, dialect: :erlang) == {:error, :timeout}
        assert Py.interrupt(context) == :ok
        assert {:error, %Py.InterruptedError{}} = Task.await(task)
      end

      test "async work of a callback is bounded by the queue" do
        context =
          start_supervised!({Py.Context, mode: unquote(mode), max_queue: 10}, id: :bounded)

        # The first keeps the others in the queue.
        pipe = pipe()
        wait = "import erlang; erlang.state_set(path, 'begun'); open(path).close()"
        on_exit(fn -> Py.State.delete(pipe) end)

        Py.register_function("flood", fn ->
          first = Task.async(fn -> Py.exec(context, wait, locals: %{path: pipe}) end)
          eventually(fn -> Py.State.get(pipe) == "begun" end)
          tasks = for _ <- 1..50, do: Py.async(:builtins, :int, [1], context: context)
          release(pipe)
          :ok = Task.await(first)
          tasks |> Py.await_many() |> Enum.frequencies_by(&elem(&1, 0))
        end)

        counts = Py.eval!(context, "erlang.call('flood')")
        assert %{"ok" => taken, "error" => refused} = counts
        assert taken + refused == 50 and taken in 1..20
        Py.unregister_function("flood")
      end

      test "code that swallows an interrupt is interrupted again", %{context: context} do
        # In a function: before 3.14 CPython may take an interrupt of a loop for one of the line before it.
        code = """
        def loop():
            while True: pass
        caught = 0
        while caught < 3:
            try:
                loop()
            except BaseException:
                caught += 1
        """

        assert {:error, %Py.TimeoutError{}} = Py.exec(context, code, timeout: 50)
        assert Py.eval(context, "caught") == {:ok, 3}
      end

      test "stopping fails running and waiting callers and stops the thread", %{context: context} do
        tasks =
          for _ <- 1..3, do: Task.async(fn -> Py.exec(context, @loop, timeout: :infinity) end)

        until_running(context)
        monitor = Process.monitor(context)
        assert Py.Context.stop(context) == :ok
        assert_receive {:DOWN, ^monitor, _, _, :normal}

        for task <- tasks do
          assert {:error, %Py.ContextError{reason: :stopped}} = Task.await(task)
        end

        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
        # The table of contexts hears of its end a little later.
        assert {:error, %Py.ContextError{reason: reason}} = Py.eval(context, "1")
        assert reason in [:stopped, :not_found]

        assert eventually(fn ->
                 match?({:error, %{reason: :not_found}}, Py.eval(context, "1"))
               end)
      end

      test "killing the owner fails its callers", %{context: context} do
        tasks =
          for _ <- 1..3, do: Task.async(fn -> Py.exec(context, @loop, timeout: :infinity) end)

        until_running(context)
        Process.exit(context, :kill)

        for task <- tasks do
          assert {:error, %Py.ContextError{reason: :stopped} = error} = Task.await(task)
          assert Exception.message(error) =~ "stopped"
        end

        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
      end

      test "a full queue is an overload error", _context do
        context = start_supervised!({Py.Context, mode: unquote(mode), max_queue: 2}, id: :small)
        tasks = for _ <- 1..2, do: Py.async(:time, :sleep, [0.3], context: context)
        assert {:error, %Py.OverloadedError{current: 2, max: 2}} = Py.eval(context, "1")
        assert [{:ok, nil}, {:ok, nil}] = Py.await_many(tasks)
        assert eventually(fn -> Py.eval(context, "1") == {:ok, 1} end)
      end

      test "paths and preload", _context do
        Py.Test.Leftovers.restore_sys_path()
        dir = tmp_path("modules")
        File.mkdir_p!(dir)
        File.write!(Path.join(dir, "own_#{unquote(mode)}.py"), "answer = 42")

        context =
          start_supervised!(
            {Py.Context,
             mode: unquote(mode),
             paths: [dir],
             preload: "import own_#{unquote(mode)} as own\nmore = 1"},
            id: :preloaded
          )

        assert Py.eval(context, "own.answer + more") == {:ok, 43}

        assert {:error, {%Py.ContextError{reason: {:failed, reason}}, _child}} =
                 start_supervised({Py.Context, mode: unquote(mode), preload: "1/0"}, id: :failing)

        assert reason =~ "ZeroDivisionError"
      end

      test "sys.exit, exception storms and endings disturb no other context", %{context: context} do
        other = start_supervised!({Py.Context, mode: unquote(mode)}, id: :other)
        Py.exec!(other, "kept = 7")

        assert {:error, %Py.Error{type: "SystemExit"}} =
                 Py.exec(context, "import sys; sys.exit(3)")

        for _ <- 1..500, do: {:error, %Py.Error{}} = Py.eval(context, "1/0")
        assert Py.eval(other, "kept") == {:ok, 7}
        Py.Context.stop(context)
        assert Py.eval(other, "kept + 1") == {:ok, 8}
      end
    end
  end

  describe "worker contexts" do
    test "wait for a module that another one imports" do
      [first, second] =
        for id <- [:first, :second], do: start_supervised!({Py.Context, mode: :worker}, id: id)

      dir = tmp_path("slow")
      File.mkdir_p!(dir)
      pipe = Path.join(dir, "pipe")
      {"", 0} = System.cmd("mkfifo", [pipe])
      slow = "open(#{inspect(pipe)}).close()\nvalue = 42\n"
      File.write!(Path.join(dir, "slow_import.py"), slow)
      Py.exec!(first, "import sys; sys.path.append(path)", locals: %{path: dir})

      importing = fn context ->
        {:ok, frames} = Py.Context.stack(context)
        Enum.any?(frames, &(&1.file =~ "importlib"))
      end

      tasks =
        for context <- [first, second] do
          task =
            Task.async(fn -> Py.call(context, "slow_import", "__getattribute__", ["value"]) end)

          assert eventually(fn -> importing.(context) or Task.yield(task, 0) end) == true
          task
        end

      File.write!(pipe, "")
      assert Task.await_many(tasks) == [{:ok, 42}, {:ok, 42}]

      undo = "sys.path.remove(path); del sys.modules['slow_import']"
      Py.exec!(first, "import sys; " <> undo, locals: %{path: dir})
    end
  end

  describe "own-GIL contexts" do
    test "run at the same time" do
      [one, two] = for id <- 1..2, do: start_supervised!({Py.Context, mode: :owngil}, id: id)

      # Each spins until it has seen a later time stamp than the other's start: only possible when both run at once.
      code = """
      import time, pathlib
      def meet(mine, theirs):
          pathlib.Path(mine).touch()
          spins = 0
          while not pathlib.Path(theirs).exists():
              spins += 1
          start = time.monotonic_ns()
          total = 0
          for n in range(3_000_000):
              total += n
          return start, time.monotonic_ns()
      """

      [a, b] = for name <- ["a", "b"], do: tmp_path(name)
      for context <- [one, two], do: Py.exec!(context, code)

      tasks = [
        Py.async("__main__", :meet, [a, b], context: one),
        Py.async("__main__", :meet, [b, a], context: two)
      ]

      assert [{:ok, {start1, end1}}, {:ok, {start2, end2}}] = Py.await_many(tasks)
      assert max(start1, start2) < min(end1, end2)
    end

    test "share no modules, state or namespaces" do
      [one, two] = for id <- 1..2, do: start_supervised!({Py.Context, mode: :owngil}, id: id)
      Py.exec!(one, "import json\njson.marker = 1\nx = 1")
      Py.exec!(two, "import json")
      assert Py.eval!(one, "json.marker") == 1
      assert {:error, %Py.Error{type: "AttributeError"}} = Py.eval(two, "json.marker")
      assert {:error, %Py.Error{type: "NameError"}} = Py.eval(two, "x")

      assert {:error, %Py.Error{type: "AttributeError"}} =
               Py.eval(Py.Router.contexts() |> hd(), "__import__('json').marker")
    end

    test "with Python threads still running are abandoned, not waited for" do
      context = start_supervised!({Py.Context, mode: :owngil}, restart: :temporary)

      Py.exec!(context, """
      import _thread, time
      def endless():
          while True: time.sleep(0.01)
      _thread.start_new_thread(endless, ())
      """)

      log = ExUnit.CaptureLog.capture_log(fn -> assert Py.Context.stop(context) == :ok end)
      assert log =~ "interpreter stays in memory"
      assert Py.call(:math, :sqrt, [4]) == {:ok, 2.0}
    end
  end

  describe "the pool" do
    test "replaces a stopped and a killed context at the same index" do
      for how <- [:stop, :kill], index <- 1..Py.Router.num_contexts()//1 do
        {:ok, pid} =
          eventually(fn ->
            {:ok, pid} = Py.Router.get_context(index)
            if Process.alive?(pid), do: {:ok, pid}
          end)

        Py.exec!(pid, "mark = 1")
        if how == :stop, do: Py.Context.stop(index), else: Process.exit(pid, :kill)

        new =
          eventually(fn ->
            case Py.Router.get_context(index) do
              {:ok, ^pid} -> nil
              {:ok, new} -> new
            end
          end)

        assert Py.eval(new, "1 + 1") == {:ok, 2}
        assert {:error, %Py.Error{type: "NameError"}} = Py.eval(index_context(index), "mark")
        assert Py.eval("2 + 2") == {:ok, 4}
      end
    end

    test "worker handles survive the context they were made in" do
      {:ok, pid} = Py.Router.get_context()
      list = Py.eval!(pid, "[1, 2]", return: :object)
      Py.Context.stop(pid)
      assert Py.call(list, :copy) == {:ok, [1, 2]}
    end

    test "is sticky for a process and spreads many processes evenly" do
      pids = for _ <- 1..5, do: Py.Router.get_context()
      assert length(Enum.uniq(pids)) == 1
      count = Py.Router.num_contexts()

      chosen =
        for _ <- 1..(count * 20)//1, do: Task.async(fn -> elem(Py.Router.get_context(), 1) end)

      assert chosen |> Task.await_many() |> Enum.frequencies() |> Map.values() ==
               List.duplicate(20, count)
    end
  end

  describe "the application" do
    @tag :capture_log
    test "survives the death of each of its processes" do
      for name <- [
            Py.Telemetry.Reporter,
            Py.Cast,
            Py.Router,
            Py.Pools,
            Py.Context.Directory,
            Py.Callback.Dispatcher,
            Py.Callback.Tasks
          ] do
        # Those after the one before may still be starting.
        pid = eventually(fn -> Process.whereis(name) end)
        Process.exit(pid, :kill)

        assert eventually(fn ->
                 new = Process.whereis(name)
                 new != nil and new != pid and Py.eval("40 + 2") == {:ok, 42}
               end)

        assert eventually(fn -> Py.Router.num_contexts() == Py.Config.get(:num_contexts) end)
      end
    end

    test "interrupts preload code of a context that does not start in time" do
      child = {Py.Context, preload: "while True: pass", start_timeout: 50}

      assert {:error, {%Py.ContextError{reason: {:failed, reason}}, _child}} =
               start_supervised(child)

      assert reason =~ "did not start within 50 ms"

      # Worker contexts share the GIL: a loop that still runs would slow each of these by a switch interval.
      {time, _results} =
        :timer.tc(fn -> for _ <- 1..200, do: {:ok, 2.0} = Py.call(:math, :sqrt, [4]) end)

      assert time < 1_000_000
    end

    test "stops with calls in flight in bounded time, and starts again" do
      parent = self()
      Py.register_function("before", fn -> 1 end)

      callers =
        for n <- 1..20 do
          spawn(fn ->
            send(
              parent,
              {n, Py.exec("import time\nwhile True: time.sleep(0.001)", timeout: :infinity)}
            )
          end)
        end

      eventually(fn -> Enum.sum_by(Py.stats().contexts, & &1.load) == length(callers) end)
      {time, :ok} = :timer.tc(fn -> Application.stop(:erlang_python) end)
      assert time < 10_000_000

      for n <- 1..length(callers) do
        assert_receive {^n, {:error, %Py.ContextError{}}}, 5_000
      end

      assert {:error, %Py.ContextError{}} = Py.eval("1")
      assert :ok = Application.start(:erlang_python)
      assert Py.eval("40 + 2") == {:ok, 42}
      assert permits() == %{in_use: 0, waiting: 0}
      # Functions are gone with the application, on both sides.
      assert {:error, %Py.Error{type: "AttributeError"}} = Py.eval("__import__('erlang').before")
    end
  end

  defp index_context(index), do: elem(Py.Router.get_context(index), 1)
end
