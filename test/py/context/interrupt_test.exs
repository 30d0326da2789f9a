defmodule Py.Context.InterruptTest do
  # Where interrupts are not delivered: see guides/learning/interrupts.md.
  use Py.Test.Case

  import Py.Test.Wait

  for mode <- modes() do
    describe "#{mode}" do
      @describetag mode: mode

      test "no timeout leaves a lock locked", %{ctx: ctx} do
        Py.exec!(ctx, "import threading, time\nlock = threading.Lock()\nkept = {}")

        code = """
        i = 0
        while True:
            i += 1
            with lock: kept[i % 100] = i
            sum(range(50))
        """

        assert Enum.find(1..120, &left_locked?(ctx, code, "lock", &1)) == nil
      end

      test "no timeout leaves a queue locked", %{ctx: ctx} do
        Py.exec!(ctx, "import queue\nqueue = queue.Queue()")
        code = "while True: queue.put(1); queue.get()"
        assert Enum.find(1..12, &left_locked?(ctx, code, "queue.mutex", &1)) == nil
      end

      @tag :once
      test "no timeout leaves a logging handler locked", %{ctx: ctx} do
        Py.exec!(ctx, """
        import io, logging
        logger = logging.getLogger('interrupted')
        logger.propagate = False
        handler = logging.StreamHandler(io.StringIO())
        logger.addHandler(handler)
        """)

        code = "while True: logger.error('x')"
        assert Enum.find(1..8, &left_locked?(ctx, code, "handler.lock", &1)) == nil
      end

      test "an import is not interrupted, its caller is on time", %{ctx: ctx} do
        folder = tmp_path("modules")
        File.mkdir_p!(folder)
        name = "slow_#{System.unique_integer([:positive])}"
        pipe = pipe()

        # Reaches its end only if no interrupt comes before the pipe is opened, or in the loop after it.
        File.write!(Path.join(folder, "#{name}.py"), """
        open(#{inspect(pipe)}).close()
        for _ in range(200_000): pass
        done = True
        """)

        Py.exec!(ctx, "import sys\nsys.path.insert(0, folder)", locals: %{folder: folder})
        assert {:error, %Py.TimeoutError{}} = Py.exec(ctx, "import #{name}", timeout: 50)
        release(pipe)
        assert eval(ctx, "sys.modules['#{name}'].done") == true
        Py.exec!(ctx, "sys.path.remove(folder)", locals: %{folder: folder})
      end

      test "a wait of threading is interrupted when it returns", %{ctx: ctx} do
        Py.exec!(ctx, "import threading\nevent = threading.Event()\nwaited = []")
        code = "while True: waited.append(event.wait(0.01))"
        assert {:error, %Py.TimeoutError{}} = Py.exec(ctx, code, timeout: 50)
        assert eval(ctx, "len(waited) > 0 and event._cond._lock.acquire(timeout=5)") == true
      end

      test "an event loop that waits is woken, and its tasks are cancelled", %{ctx: ctx} do
        Py.exec!(ctx, """
        import asyncio
        ends = []
        async def main():
            try:
                erlang.state_set('event_loop_waits', True)
                await asyncio.sleep(3600)
            finally:
                ends.append('finally')
        """)

        task = Task.async(fn -> Py.exec(ctx, "asyncio.run(main())", timeout: :infinity) end)
        eventually(fn -> Py.State.delete("event_loop_waits") end)
        assert Py.interrupt(ctx) == :ok
        assert {:error, %Py.InterruptedError{}} = Task.await(task)
        assert eval(ctx, "ends") == ["finally"]
      end

      # The next interrupt comes after a tenth of a second, which the machine may need for itself once in a while. The loop is not
      # the first line of the block: see the guide.
      test "code has time to clean up", %{ctx: ctx} do
        Py.exec!(ctx, """
        import time
        cleaned = []
        def work():
            try:
                n = 0
                while True: n += 1
            finally:
                time.sleep(0.05)
                cleaned.append(1)
        """)

        eventually(fn ->
          assert {:error, %Py.TimeoutError{}} = Py.exec(ctx, "work()", timeout: 5)
          eval(ctx, "len(cleaned)") > 0
        end)
      end

      @tag :once
      test "code that does nothing but enter and leave is interrupted in the end", %{ctx: ctx} do
        Py.exec!(ctx, """
        class Manager:
            def __enter__(self):
                while True: pass
            def __exit__(self, *args): pass
        """)

        assert {:error, %Py.TimeoutError{}} =
                 Py.exec(ctx, "with Manager(): pass", timeout: 50)

        # After ten seconds.
        assert Py.eval(ctx, "6 * 7", timeout: 60_000) == {:ok, 42}
      end
    end
  end

  # Asked on the same context, so after the interrupted request has ended.
  defp left_locked?(ctx, code, lock, n) do
    Py.exec(ctx, code, timeout: 3 + rem(n, 7))
    eval(ctx, "#{lock}.acquire(timeout=5) and (#{lock}.release() or True)") == false
  end
end
