defmodule Py.Callback.DispatcherTest do
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

  test "the process of an interrupted callback does not work for the next one" do
    {:ok, context} = Py.Context.start_link()
    test = self()

    Py.register_function("late", fn ->
      send(test, {:late, Py.eval("'late'", context: context)})
    end)

    Py.register_function("next", fn -> Py.eval!("'nested'", context: context, timeout: 10_000) end)

    on_exit(fn -> Enum.each(["late", "next"], &Py.unregister_function/1) end)

    code = """
    import erlang
    def ask():
        try:
            erlang.call('late')
        except KeyboardInterrupt:
            return erlang.call('next')
    """

    Py.exec!(context, code)
    # It starts no process before it goes on: then those of both callbacks, the late one first.
    :sys.suspend(Py.Callback.Dispatcher)
    task = Py.async(:__main__, :ask, [], context: context)

    assert eventually(fn -> asked() == 1 and Py.Context.interrupt(context) == :ok end)
    assert eventually(fn -> asked() == 2 end)
    :sys.resume(Py.Callback.Dispatcher)
    assert Py.await(task) == {:ok, "nested"}
    # The late one took its turn as a stranger.
    assert_receive {:late, {:ok, "late"}}, 10_000
    Py.Context.stop(context)
  end

  # How many callbacks wait for the dispatcher.
  defp asked do
    Py.Callback.Dispatcher
    |> Process.whereis()
    |> Process.info(:messages)
    |> elem(1)
    |> Enum.count(&match?({:py_callback, _request, _callers, _callback}, &1))
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
