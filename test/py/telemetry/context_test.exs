defmodule Py.Telemetry.ContextTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog
  import Py.Test.Telemetry
  import Py.Test.Wait

  @moduletag :capture_log

  setup {Py.Test.Telemetry, :detach_after}

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      test "contexts start, stop, crash, get stuck and recover" do
        listen()
        {:ok, context} = Py.Context.start_link(mode: unquote(mode), name: :telemetry_context)
        {:ok, %{id: id}} = Py.Context.info(context)
        assert_received {:context, :start, %{duration: start, system_time: time}, metadata}

        assert %{id: ^id, mode: unquote(mode), pool: nil, index: nil, name: :telemetry_context} =
                 metadata

        assert start > 0 and abs(System.system_time() - time) < native(60_000)

        pipe = pipe()
        {:error, _} = Py.exec(context, "open(#{inspect(pipe)})", timeout: 20)
        assert_receive {:context, :stuck, _, %{id: ^id, mode: unquote(mode)} = stuck}, 10_000
        assert [%{file: "<" <> _, line: line, function: "<module>"} | _] = stuck.stack
        assert is_integer(line)
        release(pipe)
        assert_receive {:context, :recovered, %{duration: stuck}, %{id: ^id}}, 10_000
        assert stuck > 0

        Py.Context.stop(context)
        assert_received {:context, :stop, %{duration: life}, %{id: ^id, reason: :normal}}
        assert life > stuck
        refute_received {:context, :crash, _, _}

        {:ok, killed} = start_unlinked()
        {:ok, %{id: id}} = Py.Context.info(killed)
        Process.exit(killed, :kill)
        assert_receive {:context, :crash, %{duration: _}, %{id: ^id, reason: :killed}}, 10_000
        refute_received {:context, :stop, _, %{id: ^id}}
        assert %{kind: :context, type: "crash", context: ^id} = hd(Py.stats().failures)
      end

      test "a stuck context that is stopped" do
        context = start_supervised!({Py.Context, mode: unquote(mode)}, restart: :temporary)
        listen()
        pipe = pipe()
        {:error, _} = Py.exec(context, "open(#{inspect(pipe)})", timeout: 20)
        assert_receive {:context, :stuck, _, %{id: id}}, 10_000
        before = Py.stats().totals.contexts_abandoned
        log = capture_log(fn -> Py.Context.stop(context) end)
        assert log =~ "did not end"
        assert Py.stats().totals.contexts_abandoned == before + 1
        assert_received {:context, :stop, _, %{id: ^id}}
        release(pipe)
      end

      test "collections of each interpreter" do
        listen()
        context = start_supervised!({Py.Context, mode: unquote(mode)})
        id = Enum.find(Py.stats().contexts, &(&1.pid == context)).interpreter

        Py.exec!(context, """
        import gc
        gc.disable()  # All of them are left to the collection below.
        for _ in range(50):
            cycle = []
            cycle.append(cycle)
        del cycle
        gc.enable()
        gc.collect()
        """)

        assert_receive {:gc, :run, %{collected: n} = run, %{generation: 2, interpreter: ^id}}
                       when n >= 50,
                       5_000

        assert run.duration > 0 and run.uncollectable == 0
        assert Map.keys(run) |> Enum.sort() == [:collected, :duration, :uncollectable]

        # More than are kept at once.
        Py.exec!(context, "for _ in range(3000): gc.collect(0)")
        assert_receive {:gc, :run, _, %{generation: 0, interpreter: ^id}}, 5_000
        Py.exec!(context, "gc.collect(1)")
        assert_receive {:gc, :run, _, %{generation: 1, interpreter: ^id}}, 5_000
      end
    end
  end
end
