defmodule Py.Telemetry.ReporterTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import Py.Test.Telemetry
  import Py.Test.Wait

  @moduletag :capture_log

  setup {Py.Test.Telemetry, :detach_after}

  test "the reporter looks for collections only while there are any" do
    reporter = Process.whereis(Py.Telemetry.Reporter)

    # Before and after it had listeners.
    for _ <- 1..2 do
      Py.exec!("__import__('gc').collect()")
      eventually(fn -> :sys.get_state(reporter) == :idle end)
      :telemetry.detach("telemetry_test")
      listen()
    end

    Py.exec!("__import__('gc').collect()")
    assert_receive {:gc, :run, _, _}, 5_000
  end

  test "a new reporter takes over" do
    listen()
    old = Process.whereis(Py.Telemetry.Reporter)
    Process.exit(old, :kill)
    eventually(fn -> Process.whereis(Py.Telemetry.Reporter) not in [nil, old] end)
    Py.exec!("__import__('gc').collect()")
    assert_receive {:gc, :run, _, _}, 5_000
  end
end
