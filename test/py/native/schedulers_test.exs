defmodule Py.Native.SchedulersTest do
  # No BEAM scheduler is held for 200 ms by anything this library does.
  use ExUnit.Case, async: false

  import Py.Test.Wait

  @moduletag timeout: 120_000

  setup do
    :erlang.system_monitor(self(), [{:long_schedule, 200}])
    on_exit(fn -> :erlang.system_monitor(:undefined) end)
    %{delays: delays()}
  end

  @tag :own_gil
  test "by heavy Python in all contexts, first calls, starts and stops, handles", %{
    delays: delays
  } do
    own = for id <- 1..2, do: start_supervised!({Py.Context, mode: :owngil}, id: id)
    contexts = own ++ Py.Router.contexts()

    heavy =
      for context <- contexts do
        # C code that keeps the GIL for long, and bytecode.
        code =
          "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: sorted(range(2_000_000), key=lambda n: -n)"

        Task.async(fn -> Py.exec(context, code, timeout: :infinity) end)
      end

    Enum.each(contexts, &until_running/1)
    [worker | _] = Py.Router.contexts()

    # While all of them are busy:
    first_calls = for _ <- 1..100, do: Task.async(fn -> Py.call(:math, :sqrt, [4]) end)

    lists =
      for _ <- 1..3, do: Py.async(:builtins, :list, [[1, 2]], context: worker, return: :object)

    for mode <- [:worker, :owngil] do
      {:ok, context} = Py.Context.start_link(mode: mode)
      :ok = Py.Context.stop(context)
    end

    for {:ok, object} <- Py.await_many(lists) do
      assert inspect(object) =~ "#Py.Object<list"
      assert Py.call(:gc, :collect, [], context: worker) |> elem(0) == :ok
    end

    assert Task.await_many(first_calls, 60_000) |> Enum.uniq() == [{:ok, 2.0}]
    assert Task.await_many(heavy, 60_000) |> Enum.uniq() == [:ok]
    assert reports(delays) == []
  end

  test "by the release of 100,000 handles", %{delays: delays} do
    {:ok, worker} = Py.Router.get_context()

    {pid, monitor} =
      spawn_monitor(fn ->
        handles = for _ <- 1..100, do: Py.eval!(worker, "[object() for _ in range(1000)]")
        exit({:held, length(List.flatten(handles))})
      end)

    assert_receive {:DOWN, ^monitor, :process, ^pid, {:held, 100_000}}, 60_000
    assert Py.eval(worker, "1") == {:ok, 1}
    assert reports(delays) == []
  end

  # What a scheduler waited for a processor, while other programs had it, is not ours: no more than all of its waits is taken
  # off. A lock that it sleeps for counts.
  defp reports(before) do
    delay =
      for({thread, delay} <- delays(), do: delay - Map.get(before, thread, 0)) |> Enum.max()

    for {:monitor, pid, :long_schedule, info} <- mailbox(),
        info[:timeout] - delay > 200,
        do: {pid, info, waited_ms: delay}
  end

  # How long each scheduler's thread has waited for a processor, in milliseconds.
  defp delays do
    for folder <- Path.wildcard("/proc/self/task/*"),
        {:ok, name} <- [File.read(Path.join(folder, "comm"))],
        name =~ ~r/^erts_sched_|_scheduler/,
        {:ok, text} <- [File.read(Path.join(folder, "schedstat"))],
        [_ran, waited, _slices] = String.split(text),
        into: %{},
        do: {folder, div(String.to_integer(waited), 1_000_000)}
  end
end
