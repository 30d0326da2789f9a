defmodule Py.SemaphoreTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Semaphore
  alias Py.Test.Dialect

  doctest Py.Semaphore

  setup do
    max = Semaphore.max_concurrent()
    on_exit(fn -> Semaphore.set_max_concurrent(max) end)
    assert eventually(fn -> Semaphore.in_use() == 0 end)
    {:ok, max: max}
  end

  # A process that holds a permit until it is told otherwise.
  defp holder(timeout \\ :infinity) do
    parent = self()

    pid =
      spawn(fn ->
        send(parent, {self(), Semaphore.acquire(timeout)})

        receive do
          :release -> send(parent, {self(), Semaphore.release()})
        end
      end)

    on_exit(fn -> Process.exit(pid, :kill) end)
    pid
  end

  test "the default limit is twice the schedulers and one", %{max: max} do
    assert max == System.schedulers_online() * 2 + 1
  end

  test "acquire and release" do
    assert Semaphore.acquire() == :ok
    assert Semaphore.acquire(0) == :ok
    assert Semaphore.in_use() == 2
    assert Semaphore.release() == :ok
    assert Semaphore.release() == :ok
    assert Semaphore.in_use() == 0
    assert_raise ArgumentError, ~r/holds no permit/, fn -> Semaphore.release() end
    assert_raise ArgumentError, ~r/invalid :timeout/, fn -> Semaphore.acquire(-1) end

    assert_raise ArgumentError, "invalid limit: 0; expected a positive integer", fn ->
      Semaphore.set_max_concurrent(0)
    end

    assert mailbox() == []
  end

  test "those who wait get their turn in order" do
    Semaphore.set_max_concurrent(1)
    assert Semaphore.acquire() == :ok

    waiting =
      for n <- 1..5 do
        pid = holder()
        assert eventually(fn -> Semaphore.waiting() == n end)
        pid
      end

    assert {:error, %Py.OverloadedError{current: 1, max: 1}} = Semaphore.acquire(0)
    assert {:error, %Py.OverloadedError{}} = Semaphore.acquire(20)
    Semaphore.release()

    for pid <- waiting do
      assert_receive {^pid, :ok}
      assert Semaphore.in_use() == 1
      send(pid, :release)
      assert_receive {^pid, :ok}
    end

    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
  end

  test "what a killed process holds, or waits for, comes back" do
    Semaphore.set_max_concurrent(2)
    [one, two] = for _ <- 1..2, do: holder()
    for pid <- [one, two], do: assert_receive({^pid, :ok})
    [three, four] = for _ <- 1..2, do: holder()
    assert eventually(fn -> Semaphore.waiting() == 2 end)
    Process.exit(three, :kill)
    Process.exit(one, :kill)
    assert_receive {^four, :ok}
    Process.exit(two, :kill)
    Process.exit(four, :kill)
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
  end

  test "the limit changes while it is in use" do
    Semaphore.set_max_concurrent(1)
    assert Semaphore.acquire() == :ok
    [one, two] = for _ <- 1..2, do: holder()
    assert eventually(fn -> Semaphore.waiting() == 2 end)
    Semaphore.set_max_concurrent(3)
    for pid <- [one, two], do: assert_receive({^pid, :ok})
    Semaphore.set_max_concurrent(1)
    assert Semaphore.in_use() == 3
    for pid <- [one, two], do: send(pid, :release)
    assert eventually(fn -> Semaphore.in_use() == 1 end)
    assert {:error, %Py.OverloadedError{current: 1, max: 1}} = Py.eval("1", wait: 0)
    Semaphore.release()
    assert Py.eval("1", wait: 0) == {:ok, 1}
  end

  test "every kind of Python work counts" do
    env = Py.Env.new(context: 1)
    Semaphore.set_max_concurrent(1)
    assert Semaphore.acquire() == :ok
    overloaded = {:error, %Py.OverloadedError{current: 1, max: 1, limit: :permits}}
    assert Py.call(:math, :sqrt, [4], wait: 0) == overloaded
    assert Py.eval("1", wait: 0) == overloaded
    assert Py.exec("1", wait: 0) == overloaded
    assert Py.await(Py.async(:math, :sqrt, [4], wait: 0)) == overloaded
    assert Py.parallel([{:math, :sqrt, [4]}], wait: 0) == {:ok, [overloaded]}

    assert ExUnit.CaptureLog.capture_log(fn -> Py.cast(:math, :sqrt, [4], wait: 0) end) =~
             "too many Python requests"

    assert_raise Py.OverloadedError, fn -> Py.eval!("1", env: env, wait: 0) end
    Semaphore.release()
    assert mailbox() == []
  end

  test "work that no process waits for is refused at once, or waits up to its timeout" do
    for start <- [
          fn options -> Py.async(:math, :sqrt, [4], options) end,
          fn options -> Py.cast(:math, :sqrt, [4], options) end,
          fn options -> Py.parallel([{:math, :sqrt, [4]}], options) end
        ] do
      message = "invalid :wait: 20; expected 0 or :infinity"
      assert_raise ArgumentError, message, fn -> start.(wait: 20) end
    end

    assert Py.await(Py.async(:math, :sqrt, [4], wait: :infinity)) == {:ok, 2.0}
    assert Py.parallel([{:math, :sqrt, [4]}], wait: :infinity) == {:ok, [ok: 2.0]}
    assert Py.cast(:math, :sqrt, [4], wait: :infinity) == :ok
  end

  test "a call waits its turn up to its timeout, then says that it was overloaded" do
    Semaphore.set_max_concurrent(1)
    assert Semaphore.acquire() == :ok
    {time, result} = :timer.tc(fn -> Py.call(:math, :sqrt, [4], timeout: 100) end)
    assert {:error, %Py.OverloadedError{current: 1, max: 1}} = result
    assert time in 100_000..2_000_000
    waiting = Task.async(fn -> Py.call(:math, :sqrt, [4]) end)
    assert eventually(fn -> Semaphore.waiting() == 1 end)
    Semaphore.release()
    assert Task.await(waiting) == {:ok, 2.0}
    assert mailbox() == []
  end

  test "overload: never more than the limit, the rest wait or are told, counts end at zero" do
    Semaphore.set_max_concurrent(5)
    contexts = for id <- 1..4, do: start_supervised!(Py.Context, id: id)
    Py.State.delete("over_now")
    Py.State.put("over_worst", 0)
    on_exit(fn -> for key <- ["over_now", "over_worst"], do: Py.State.delete(key) end)

    for context <- contexts do
      Py.exec!(context, """
      import erlang, time
      def work(n):
          now = erlang.state_incr("over_now")
          if now > erlang.state_get("over_worst"):
              erlang.state_set("over_worst", now)
          time.sleep(0.001)
          erlang.state_decr("over_now")
          return n
      """)
    end

    parent = self()
    # None of these start before all of them are there.
    callers =
      for n <- 1..1_000 do
        {pid, monitor} =
          spawn_monitor(fn ->
            receive do
              :go -> :ok
            end

            wait = Enum.at([0, 50, :infinity], rem(n, 3))
            context = Enum.at(contexts, rem(n, 4))

            send(
              parent,
              {n, Py.call(context, "__main__", :work, [n], wait: wait, timeout: 60_000)}
            )
          end)

        {n, pid, monitor}
      end

    for {_n, pid, _monitor} <- callers, do: send(pid, :go)
    for {n, pid, _monitor} <- callers, rem(n, 10) == 0, do: Process.exit(pid, :kill)

    for {_n, _pid, monitor} <- callers,
        do: assert_receive({:DOWN, ^monitor, :process, _, _}, 60_000)

    results = for {n, result} <- mailbox(), is_integer(n), into: %{}, do: {n, result}
    patient = for n <- 1..1_000, rem(n, 3) == 2 and rem(n, 10) != 0, do: n
    for n <- patient, do: assert(results[n] == {:ok, n})

    for {n, result} <- results do
      assert result == {:ok, n} or match?({:error, %Py.OverloadedError{}}, result)
    end

    assert Enum.any?(results, &match?({_n, {:error, %Py.OverloadedError{}}}, &1))
    assert Py.State.get("over_worst") in 1..5
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    assert Py.State.get("over_now") == 0
  end

  for mode <- [:worker, :owngil] do
    describe "a busy #{mode} context" do
      @describetag own_gil: mode == :owngil

      setup do
        Semaphore.set_max_concurrent(3)

        context =
          start_supervised!({Py.Context, mode: unquote(mode)}, id: :busy, restart: :temporary)

        pipe = pipe()

        code = """
        import erlang
        order = []
        def work(n):
            order.append(n)
            return n
        erlang.state_set(path, "begun")
        open(path).close()
        """

        running = Task.async(fn -> Py.exec(context, code, locals: %{path: pipe}) end)
        eventually(fn -> Py.State.get(pipe) == "begun" end)
        on_exit(fn -> Py.State.delete(pipe) end)

        finish = fn ->
          release(pipe)
          assert Task.await(running) == :ok
          Py.eval!(context, "order")
        end

        {:ok, context: context, finish: finish, release: fn -> release(pipe) end}
      end

      test "takes no permits from others, and serves its line in order",
           %{context: context} = busy do
        tasks = for n <- 1..40, do: Py.async("__main__", "work", [n], context: context)
        assert permits() == %{in_use: 2, waiting: 0}
        assert %{queued: 40, load: 41} = stats(context)
        assert {:ok, %{queued: 40}} = Py.Context.info(context)
        assert Py.eval("6 * 7", wait: 0) == {:ok, 42}
        busy.finish.()
        assert Py.await_many(tasks) == for(n <- 1..40, do: {:ok, n})
        assert Py.eval!(context, "order") == Enum.to_list(1..40)
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
      end

      test "runs casts in order", %{context: context} = busy do
        for n <- 1..200, do: Py.cast("__main__", "work", [n], context: context)
        busy.finish.()
        assert Py.eval!(context, "order") == Enum.to_list(1..200)
      end

      test "refuses those that will not wait, and says what stood in the way", busy do
        %{context: context} = busy
        next = Py.async("__main__", "work", [1], context: context)

        assert {:error, %Py.OverloadedError{current: 2, max: 2, limit: :context} = error} =
                 Py.eval(context, "1", wait: 0)

        assert Exception.message(error) =~ "the Python context is busy and has 2 requests"

        assert {:error, %Py.OverloadedError{limit: :context}} =
                 Py.eval(context, "1", wait: 20, timeout: 5_000)

        assert {:error, %Py.TimeoutError{phase: :queued}} = Py.eval(context, "1", timeout: 20)

        assert {:error, %Py.TimeoutError{phase: :queued}} =
                 Py.await(Py.async("__main__", "work", [0], context: context, timeout: 20))

        assert Dialect.eval(context, "1", wait: 0, dialect: :erlang) ==
                 {:error, {:overloaded, 2, 2}}

        assert eventually(fn -> stats(context).load == 2 end)

        assert Map.take(stats(context), [:rejected, :timeouts]) ==
                 %{rejected: 2, timeouts: 2}

        assert busy.finish.() in [[], [1]]
        assert Py.await(next) == {:ok, 1}
      end

      test "forgets callers in line that have died", %{context: context} = busy do
        callers =
          for n <- 1..10 do
            spawn(fn -> Py.call(context, "__main__", "work", [n], timeout: :infinity) end)
          end

        assert eventually(fn -> stats(context).load == 11 end)
        Enum.each(callers, &Process.exit(&1, :kill))
        assert eventually(fn -> stats(context).load == 1 end)
        assert busy.finish.() == []
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
      end

      test "fails its line when it is stopped", %{context: context} = busy do
        tasks = for n <- 1..10, do: Py.async("__main__", "work", [n], context: context)
        stopping = Task.async(fn -> Py.Context.stop(context) end)

        for result <- Py.await_many(tasks),
            do: assert({:error, %Py.ContextError{reason: :stopped}} = result)

        busy.release.()
        assert Task.await(stopping) == :ok
        assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
      end
    end
  end

  defp stats(context) do
    {:ok, %{id: id}} = Py.Context.info(context)
    Enum.find(Py.stats().contexts, &(&1.id == id))
  end
end
