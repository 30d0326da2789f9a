defmodule Py.Native.LeaksTest do
  # Nothing may stay behind: no message, no permit, no Python object, no memory.
  use ExUnit.Case, async: false

  import Py.Test.Wait

  @moduletag timeout: 300_000

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      setup do
        context = start_supervised!({Py.Context, mode: unquote(mode)})

        Py.exec!(context, """
        import sys, gc
        def echo(*args, **kwargs): return args
        def fail(): raise ValueError("no")
        class Thing: pass
        def blocks():
            gc.collect()
            return sys.getallocatedblocks()
        """)

        {:ok, context: context}
      end

      test "100,000 calls of each kind", %{context: context} do
        {:ok, env} = Py.Context.new_env(context)
        handle = Py.eval!(context, "echo", return: :object)
        value = %{"list" => [1, 2.5, "text", nil], "tuple" => {true, <<255>>}}

        kinds = [
          call: fn -> {:ok, 4.0} = Py.call(context, :math, :sqrt, [16]) end,
          kwargs: fn -> {:ok, {}} = Py.call(context, "__main__", :echo, [], kwargs: [a: 1]) end,
          values: fn -> {:ok, {^value}} = Py.call(context, "__main__", :echo, [value]) end,
          handle: fn -> {:ok, {1}} = Py.call(handle, [1]) end,
          eval: fn -> {:ok, 3} = Py.eval(context, "1 + 2") end,
          exec: fn -> :ok = Py.exec(context, "x = 1") end,
          env: fn -> {:ok, 2} = Py.eval("1 + 1", env: env) end,
          async: fn -> {:ok, 4.0} = Py.await(Py.async(:math, :sqrt, [16], context: context)) end
        ]

        assert_settles(context, fn ->
          for {_kind, run} <- kinds, _ <- 1..100_000, do: run.()
        end)
      end

      test "10,000 errors", %{context: context} do
        assert_settles(context, fn ->
          for _ <- 1..10_000 do
            {:error, %Py.Error{type: "ValueError"}} = Py.call(context, "__main__", :fail)
          end

          # The handles of the exceptions go with the terms.
          :erlang.garbage_collect()
        end)
      end

      test "1,000 timeouts", %{context: context} do
        assert_settles(context, fn ->
          for _ <- 1..1_000 do
            {:error, %Py.TimeoutError{}} = Py.exec(context, "while True: pass", timeout: 1)
          end
        end)
      end

      test "1,000 killed callers", %{context: context} do
        assert_settles(context, fn ->
          for n <- 1..1_000 do
            caller = spawn(fn -> Py.exec(context, "while True: pass", timeout: :infinity) end)
            # Some while they run, some in the queue, some before they start.
            if rem(n, 50) == 0, do: until_running(context)
            Process.exit(caller, :kill)
          end
        end)
      end

      test "100,000 handles dropped", %{context: context} do
        assert_settles(context, fn ->
          spawn_monitor(fn ->
            for _ <- 1..1_000 do
              {:ok, things} = Py.eval(context, "[Thing() for _ in range(100)]")
              100 = length(things)
            end
          end)

          assert_receive {:DOWN, _, _, _, :normal}, 120_000
        end)

        count = "sum(type(o) is Thing for o in gc.get_objects())"
        assert eventually(fn -> Py.eval(context, count) == {:ok, 0} end)
      end

      test "long results are freed when their callers forget them, though the context idles", %{
        context: context
      } do
        # Callers look for results up to some length, and are sent longer ones.
        for size <- [100_000, 1_000_000, 10_000_000, 40_000_000],
            kind <- ["b'x'", "'x'", "'é'"] do
          before = :erlang.memory(:binary)

          fn ->
            for _ <- 1..3 do
              long = Py.eval!(context, "#{kind} * #{size}")
              assert byte_size(long) in [size, 2 * size]
              assert binary_part(long, size - 2, 2) in ["xx", "é"]
            end
          end
          |> Task.async()
          |> Task.await(60_000)

          assert eventually(fn -> :erlang.memory(:binary) < before + 90_000 end)
        end
      end

      test "namespaces of 2,000 processes", %{context: _context} do
        [worker | _] = Py.Router.contexts()
        Py.exec!(worker, "import gc")
        run = fn n -> Task.async(fn -> Py.exec!("x = #{rem(n, 7)}") end) |> Task.await() end
        Enum.each(1..50, run)
        count = fn -> Py.eval!(worker, "len(gc.get_objects())") end
        before = count.()
        Enum.each(1..2_000, run)
        assert eventually(fn -> count.() < before + 1_000 end)
      end
    end
  end

  # What others keep of the objects of an interpreter that has ended.
  keepers = [
    nothing: quote(do: fn _context -> nil end),
    handles: quote(do: fn context -> Py.eval!(context, "[object()]", return: :object) end),
    errors: quote(do: fn context -> Py.eval(context, "1 / 0") end),
    state: quote(do: &Py.State.put("leaks", Py.eval!(&1, "object()", return: :object)))
  ]

  for {kept, keep} <- keepers do
    @tag :own_gil
    test "200 own-GIL contexts started and stopped, of which #{kept} is kept" do
      cycle = fn ->
        {:ok, context} = Py.Context.start_link(mode: :owngil)
        {:ok, 2.0} = Py.call(context, :math, :sqrt, [4])
        kept = unquote(keep).(context)
        :ok = Py.Context.stop(context)
        kept
      end

      kept = for _ <- 1..20, do: cycle.()
      allowed = 200 * (lost_by_cpython() + 100_000) + 32_000_000
      before = {resident(), threads()}
      kept = [kept | for(_ <- 1..200, do: cycle.())]
      {memory, threads} = before
      assert eventually(fn -> threads() <= threads end)
      assert eventually(fn -> resident() - memory < allowed end)
      assert permits() == %{in_use: 0, waiting: 0}
      assert mailbox() == []
      # Alive until here.
      assert length(kept) == 201
      Py.State.delete("leaks")
    end
  end

  # Bytes that CPython without us loses with each ended interpreter that imported what ours import, and one more arena for
  # our own modules: before 3.14 it never frees the arenas of an ended interpreter, some 4.5 MB.
  @arena 1_048_576
  @lost_by_cpython """
  import resource, sys
  try:
      import _interpreters as interpreters
      run = interpreters.exec
  except ImportError:  # 3.12
      import _xxsubinterpreters as interpreters
      run = interpreters.run_string

  # 3.12 crashes unless the main interpreter comes first, and its _zoneinfo fails where _datetime is missing.
  code = "import sys; sys.modules['_zoneinfo'] = None; import " + sys.argv[1]
  exec(code)

  def cycles(count):
      for _ in range(count):
          interpreter = interpreters.create()
          run(interpreter, code)
          interpreters.destroy(interpreter)
      return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

  print((cycles(20) - cycles(50)) // -50)
  """
  defp lost_by_cpython do
    if Version.compare(Py.info().version, "3.14.0-a") == :lt do
      context = start_supervised!({Py.Context, mode: :owngil})
      Py.exec!(context, "import sys")

      imported =
        Py.eval!(
          context,
          "[m for m, x in sys.modules.items() if x and m.split('.')[0] not in ('__main__', 'erlang')]"
        )

      command = ["-c", @lost_by_cpython, Enum.join(imported, ",")]
      {bytes, 0} = System.cmd(Py.info().executable, command, stderr_to_stdout: true)
      String.to_integer(String.trim(bytes)) + @arena
    else
      0
    end
  end

  # Runs `work` once to warm up and once to measure.
  defp assert_settles(context, work) do
    work.()
    {blocks, memory} = {blocks(context), resident()}
    work.()
    assert mailbox() == []
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    assert eventually(fn -> blocks(context) < blocks + 500 end)

    assert eventually(fn ->
             :erlang.garbage_collect()
             resident() - memory < 32_000_000
           end)
  end

  defp blocks(context), do: Py.call!(context, "__main__", :blocks)

  # Resident memory of this OS process in bytes.
  defp resident do
    {output, 0} = System.cmd("ps", ["-o", "rss=", "-p", System.pid()])
    String.to_integer(String.trim(output)) * 1024
  end

  defp threads do
    {output, 0} = System.cmd("ps", ["-o", "nlwp=", "-p", System.pid()])
    String.to_integer(String.trim(output))
  end
end
