defmodule Py.Router.StuckTest do
  use ExUnit.Case, async: false

  import Py.Test.Pool
  import Py.Test.Wait

  alias Py.Router

  describe "a context that stays stuck" do
    setup do
      test = self()

      :telemetry.attach_many(
        "router_test",
        for(name <- [:replaced, :stop, :recovered], do: [:erlang_python, :context, name]),
        &__MODULE__.tell/4,
        test
      )

      on_exit(fn -> :telemetry.detach("router_test") end)
    end

    for mode <- Py.Test.Case.modes() do
      test "is replaced (#{mode})" do
        {name, [one, two]} = pool(2, mode: unquote(mode), replace_stuck: 100)
        {:ok, %{id: id}} = Py.Context.info(one)
        abandoned = Py.stats().totals.contexts_abandoned
        pipe = pipe()

        log =
          ExUnit.CaptureLog.capture_log(fn ->
            hang(one, pipe)
            queued = Task.async(fn -> Py.eval(one, "1", timeout: :infinity) end)
            assert_receive {:replaced, %{duration: duration}, %{id: ^id, pool: ^name}}, 30_000
            assert duration >= System.convert_time_unit(100, :millisecond, :native)
            assert {:error, %Py.ContextError{reason: :stopped}} = Task.await(queued)
          end)

        assert log =~ "pool #{inspect(name)}, slot 1) was stuck for"
        assert_receive {:stop, _, %{id: ^id, reason: {:shutdown, :stuck}}}
        new = eventually(fn -> Enum.find(Router.contexts(name), &(&1 not in [one, two])) end)
        assert Router.contexts(name) == [new, two]
        assert Py.eval(new, "6 * 7") == {:ok, 42}
        :ok = Router.bind_context(name, 1)
        assert Py.eval("6 * 7", context: name) == {:ok, 42}
        Router.unbind_context(name)
        stats = Py.stats()
        assert stats.totals.contexts_abandoned == abandoned + 1
        # While its thread is still stuck.
        eventually(fn -> Py.stats().permits.in_use == 0 end)
        assert %{restarts: 1} = Enum.find(stats.contexts, &(&1.pid == new))

        # The old thread ends, and the new context is not disturbed.
        release(pipe)
        assert Py.eval(new, "6 * 7") == {:ok, 42}
        assert {:error, %Py.ContextError{}} = Py.eval(one, "1")
      end

      test "is not replaced where it works again in time, or never shall be (#{mode})" do
        for option <- [60_000, :never] do
          {name, [one]} = pool(1, mode: unquote(mode), replace_stuck: option)
          pipe = pipe()
          hang(one, pipe)
          assert eventually(fn -> match?({:ok, %{state: :stuck}}, Py.Context.info(one)) end)
          assert eventually(fn -> :sys.get_state(one).stuck_since end)
          assert is_reference(:sys.get_state(one).timer) == is_integer(option)
          release(pipe)
          assert_receive {:recovered, _, %{pool: ^name}}, 10_000
          assert :sys.get_state(one).timer == nil
          assert Py.eval(one, "1") == {:ok, 1}
          assert Router.contexts(name) == [one]
          refute_received {:replaced, _, _}
        end
      end
    end

    test "is not replaced while C code holds the GIL that its replacement needs" do
      code = """
      [one] = Py.Router.contexts()
      Py.exec!("import ctypes")
      hold = "ctypes.PyDLL(None).sleep(4)"
      {:error, %Py.TimeoutError{}} = Py.exec(hold, timeout: 50)
      {:ok, 42} = Py.eval("6 * 7", timeout: 30_000)
      [^one] = Py.Router.contexts()
      0 = Py.stats().totals.contexts_abandoned
      IO.puts("kept")
      System.halt(0)
      """

      config = [num_contexts: 1, context_mode: :worker, replace_stuck: 1]
      assert {output, 0} = Py.Test.VM.run(code, config: config)
      assert output =~ "stuck and cannot be replaced: C code holds the GIL"
      assert output =~ "kept"
    end

    test "is replaced in the default pool after the configured time" do
      code = """
      [one] = Py.Router.contexts()
      {:error, %Py.TimeoutError{}} = Py.exec("import time; time.sleep(600)", timeout: 50)
      wait = fn wait -> if Py.Router.contexts() == [one], do: wait.(wait) end
      wait.(wait)
      {:ok, 42} = Py.eval("6 * 7", timeout: 30_000)
      1 = Py.stats().totals.contexts_abandoned
      IO.puts("replaced")
      System.halt(0)
      """

      for mode <- Py.Test.Case.modes() do
        config = [num_contexts: 1, context_mode: mode, replace_stuck: 100]
        assert {output, 0} = Py.Test.VM.run(code, config: config)
        assert output =~ "replaced"
      end
    end

    test "refuses another time" do
      for wrong <- [0, -1, 1.5, :infinity, nil] do
        assert_raise ArgumentError, ~r/:replace_stuck.*milliseconds or :never/, fn ->
          Router.start_pool(:ml, 1, replace_stuck: wrong)
        end
      end

      # Of a context of one's own its supervisor takes care.
      assert_raise ArgumentError, ~r/unknown option/, fn ->
        Py.Context.start_link(replace_stuck: 100)
      end
    end
  end

  def tell([:erlang_python, :context, name], measurements, metadata, test),
    do: send(test, {name, measurements, metadata})
end
