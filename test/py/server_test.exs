defmodule Py.ServerTest do
  use ExUnit.Case

  import ExUnit.CaptureLog

  @servers [
    Py.Router,
    Py.Callback.Dispatcher,
    Py.Context.Directory,
    Py.Cast,
    Py.Logging,
    Py.Telemetry.Reporter
  ]

  defp strays do
    [
      :stray,
      {:stray, %{list: Enum.to_list(1..1000)}},
      {:DOWN, make_ref(), :process, self(), :normal},
      {make_ref(), :reply},
      {:py_context, -1, :stuck},
      {:io_request, self(), make_ref(), :unknown}
    ]
  end

  test "messages that nobody here sends change nothing in any process of the application" do
    before = processes()

    names =
      for pid <- before,
          {:registered_name, name} <- [Process.info(pid, :registered_name)],
          do: name

    assert Py.Router in names and Py.Callback.Dispatcher in names and
             Py.Context.Directory in names

    log =
      capture_log([level: :debug], fn ->
        for pid <- before, message <- strays(), do: send(pid, message)
        for name <- @servers, do: GenServer.cast(name, :stray)
        # Answered after all of these.
        for pid <- before, do: :sys.get_state(pid)
        Logger.flush()
      end)

    assert processes() == before
    assert log =~ "Py.Router ignores an unknown message: :stray"
    assert log =~ "Py.Callback.Dispatcher ignores an unknown message: {:DOWN"
    refute log =~ "[error] GenServer"
    assert Py.eval!("6 * 7") == 42
  end

  test "a request that a server does not know is answered" do
    before = processes()

    log =
      capture_log(fn ->
        for name <- @servers,
            do: assert(GenServer.call(name, :stray) == {:error, :unknown_request})
      end)

    assert processes() == before
    assert log =~ "Py.Cast ignores an unknown message: :stray"
  end

  # But `:pg`, OTP's own, which crashes of a message that it does not know.
  defp processes do
    (Py.Supervisor |> Process.whereis() |> tree() |> Enum.sort()) --
      [Process.whereis(Py.Router.group_scope())]
  end

  defp tree(supervisor) do
    for {_id, pid, kind, _modules} <- Supervisor.which_children(supervisor), is_pid(pid) do
      if kind == :supervisor, do: [pid | tree(pid)], else: [pid]
    end
    |> List.flatten()
  end
end
