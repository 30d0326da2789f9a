defmodule Py.Telemetry.LogTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog
  import Py.Test.Telemetry
  import Py.Test.Wait

  @moduletag :capture_log

  setup {Py.Test.Telemetry, :detach_after}

  describe "without the default logger" do
    test "problems are logged, overload in one line" do
      # Of tests before this one.
      Py.Telemetry.Log.report()

      log =
        capture_log(fn ->
          listen()
          for _ <- 1..50, do: overload()
          provoke()
          Py.Telemetry.Log.report()
        end)

      assert log =~
               ~r/\[error\] Python context \d+ \(worker\) is stuck: .* It runs \(innermost last\)\n  </

      assert log =~ ~r/\[warning\] Python context \d+ \(worker\) runs again/
      assert log =~ ~r/\[error\] Python context \d+ \(worker\) crashed/
      # Few, for reports come while this runs; together they miss none.
      for what <- ["refused", "timed out waiting for a permit"] do
        counts =
          Regex.scan(
            ~r/(\d+) Python requests? #{what} in the last second: no permit is free/,
            log
          )

        assert length(counts) < 25

        assert 51 == Enum.sum_by(counts, fn [_line, count] -> String.to_integer(count) end)
      end

      refute log =~ "started in"
    end

    test "the reporter sums up by itself" do
      assert capture_log(fn ->
               overload()

               # One more is reported when the first report is through: the last of the counts says so.
               counts = :persistent_term.get(Py.Telemetry.Log)
               eventually(fn -> :atomics.get(counts, :atomics.info(counts).size) == 0 end)
               :sys.get_state(Py.Telemetry.Reporter)
             end) =~ ~r"\d Python requests? refused in the last second"
    end

    test "they are not where the configuration says so" do
      Py.Config.update(:log, fn true -> false end)

      on_exit(fn ->
        Py.Config.update(:log, fn _ -> true end)
        Py.Telemetry.Log.attach_problems()
      end)

      Py.Telemetry.Log.detach_problems()
      assert Py.Telemetry.Log.attach_problems() == :ok

      refute capture_log(fn ->
               overload()
               Py.Telemetry.Log.report()
             end) =~ "Python request"
    end

    test "the start is one line with Python, its place and the contexts" do
      python = Py.info().executable

      {output, 0} =
        Py.Test.VM.run(
          "Logger.configure(level: :info)\n{:ok, _} = Application.ensure_all_started(:erlang_python)\nLogger.flush()",
          start: false
        )

      assert output =~
               ~r/\[info\] erlang_python: CPython 3\.\d+.* \(.+\), 1 contexts of mode worker/

      assert output =~ python
    end
  end

  describe "the default logger" do
    test "logs what an operator should know, and nothing of the program" do
      :ok =
        Py.Telemetry.attach_default_logger(
          families: [:call, :cast, :callback, :context, :overload, :gc]
        )

      log =
        capture_log(fn ->
          listen()
          Py.exec("raise ValueError('secret')")
          provoke()
          Py.Telemetry.Log.report()
        end)

      for text <- [
            "Python exec failed (ValueError)",
            "Py.cast failed: ValueError",
            ~s(Python called the function "provoke", which failed),
            "is stuck",
            "runs again, after being stuck",
            "crashed",
            "stopped",
            "(worker) started in",
            ~r"\d Python requests? refused in the last second: no permit is free \(max_concurrent: 1\)",
            ~r/ \d Python requests? timed out waiting for a permit in the last second: no permit is/,
            "Python garbage collection of generation 2 in interpreter 0"
          ] do
        assert log =~ text
      end

      # The cast's own message has it: casts have no caller to tell.
      refute log =~ "secret"
    end

    test "logs what is slow" do
      context = start_supervised!(Py.Context)
      :ok = Py.Telemetry.attach_default_logger(families: [], slow: 30)

      log =
        capture_log(fn ->
          Py.call(context, :math, :sqrt, [4])
          Py.call(context, :time, :sleep, [0.05])
          overload()
        end)

      assert log =~ ~r/\[warning\] Python call of time.sleep took \d+\.\d ms/
      refute log =~ "sqrt"
      refute log =~ "refused"
    end

    test "refuses wrong options" do
      for options <- [[level: :loud], [families: [:all]], [slow: 0], [nope: 1]] do
        assert_raise ArgumentError, fn -> Py.Telemetry.attach_default_logger(options) end
      end

      assert Py.Telemetry.detach_default_logger() == {:error, :not_found}
    end
  end
end
