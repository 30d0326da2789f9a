defmodule Py.LoggingTest do
  # Changes Python's root logger.
  use ExUnit.Case, async: false

  @moduletag :capture_log

  doctest Py.Logging

  # Sends the events of Python to the test.
  def log(%{meta: %{domain: [:python]}} = event, %{config: test}), do: send(test, {:log, event})
  def log(_event, _config), do: :ok

  setup do
    id = :"logging_test_#{System.unique_integer([:positive])}"
    :ok = :logger.add_handler(id, __MODULE__, %{config: self(), level: :all})

    on_exit(fn ->
      :logger.remove_handler(id)
      Py.Logging.configure(level: :warning)
    end)
  end

  for mode <- Py.Test.Case.modes() do
    describe "#{mode}:" do
      setup do
        {:ok, context} = Py.Context.start_link(mode: unquote(mode))
        on_exit(fn -> Py.Context.stop(context) end)
        %{context: context}
      end

      test "records keep level, logger, place and time", %{context: context} do
        assert Py.Logging.configure() == :ok
        before = System.system_time(:microsecond)

        :ok =
          Py.exec(context, """
          import logging
          def work(): logging.getLogger("a.b").error("ü %d", 1)
          work()
          """)

        assert_receive {:log, %{level: :error, msg: {:string, "ü 1"}, meta: meta}}, 5_000
        assert %{py_logger: "a.b", py_function: "work", line: 2, time: time} = meta
        assert List.to_string(meta.file) =~ "<exec"
        assert time in (before - 1_000)..System.system_time(:microsecond)
      end

      test "records have the Logger metadata of the process that waits", %{context: context} do
        assert Py.Logging.configure() == :ok
        Logger.metadata(request_id: "r1", line: 0)
        code = "import logging, threading\nlogging.getLogger('a').error('asked')"
        :ok = Py.exec(context, code)
        assert_receive {:log, %{msg: {:string, "asked"}, meta: meta}}, 5_000
        # What the record says of itself comes first.
        assert %{request_id: "r1", line: 2, domain: [:python], pid: pid} = meta
        assert pid == self()

        thread = """
        thread = threading.Thread(target=lambda: logging.getLogger('a').error('alone'))
        thread.start()
        thread.join()
        """

        :ok = Py.exec(context, code <> "\n" <> thread)
        assert_receive {:log, %{msg: {:string, "alone"}, meta: meta}}, 5_000
        refute is_map_key(meta, :request_id)
        refute meta.pid == self()
      end

      test "warnings, and exceptions that nobody can catch", %{context: context} do
        assert Py.Logging.configure() == :ok

        :ok =
          Py.exec(context, """
          import threading, warnings
          def fail(): raise ValueError("of the thread")
          class Bad:
              def __del__(self): raise ValueError("of the destructor")
          warnings.warn("old thing")
          thread = threading.Thread(target=fail)
          thread.start()
          thread.join()
          Bad()
          """)

        assert_receive {:log, %{level: :warning, msg: {:string, text}, meta: meta}}, 5_000
        assert text =~ "UserWarning: old thing"
        assert meta.py_logger == "py.warnings"
        assert_receive {:log, %{level: :error, msg: {:string, text}, meta: meta}}, 5_000
        assert text =~ "Exception in thread" and text =~ "ValueError: of the thread"
        assert meta.py_logger == "threading"
        assert_receive {:log, %{level: :error, msg: {:string, text}, meta: meta}}, 5_000
        assert text =~ "__del__" and text =~ "ValueError: of the destructor"
        assert meta.py_logger == "sys.unraisablehook"
      end

      test "levels", %{context: context} do
        assert Py.Logging.configure(level: :info) == :ok

        :ok =
          Py.exec(
            context,
            "import logging\nfor level in (10, 20, 25, 30, 40, 50, 60): logging.log(level, str(level))"
          )

        levels =
          for _ <- 1..6 do
            assert_receive {:log, %{level: level, msg: {:string, text}}}, 5_000
            {level, text}
          end

        assert levels == [
                 info: "20",
                 info: "25",
                 warning: "30",
                 error: "40",
                 critical: "50",
                 critical: "60"
               ]
      end

      test "formats, tracebacks and odd text", %{context: context} do
        assert Py.Logging.configure(format: "<%(message)s>") == :ok

        :ok =
          Py.exec(
            context,
            "import logging\ntry: 1 // 0\nexcept ZeroDivisionError: logging.exception('failed \\udc80')"
          )

        assert_receive {:log, %{msg: {:string, text}}}, 5_000
        assert text =~ "<failed \\udc80>\nTraceback"
        assert text =~ "ZeroDivisionError"
      end

      test "twice is once, and contexts that start later log too", %{context: context} do
        for _ <- 1..3, do: assert(Py.Logging.configure(format: "'%(message)s\\") == :ok)
        {:ok, later} = Py.Context.start_link(mode: unquote(mode))

        for context <- [context, later] do
          :ok = Py.exec(context, "import logging; logging.warning('once')")
          :ok = Py.Logging.flush()
          assert_receive {:log, %{msg: {:string, "'once\\"}}}, 5_000
          refute_received {:log, _event}
        end

        Py.Context.stop(later)
      end
    end
  end

  test "from a thread that Python code started" do
    assert Py.Logging.configure() == :ok

    :ok =
      Py.exec(
        "import threading, logging\nthread = threading.Thread(target=logging.warning, args=('there',))"
      )

    :ok = Py.exec("thread.start(); thread.join()")
    assert_receive {:log, %{msg: {:string, "there"}}}, 5_000
  end

  test "wrong settings" do
    assert_raise ArgumentError, ~r/invalid :level: :loud; expected :debug, :info/, fn ->
      Py.Logging.configure(level: :loud)
    end

    assert_raise ArgumentError, ~r/invalid :format/, fn -> Py.Logging.configure(format: 1) end

    assert_raise ArgumentError, ~r/unknown option :colour/, fn ->
      Py.Logging.configure(colour: true)
    end

    assert {:error, %Py.Error{type: "ValueError"}} = Py.Logging.configure(format: "%(message")
    assert Py.Logging.configure(format: "%(message)s") == :ok
  end

  test "while nobody listens, records are dropped" do
    assert Py.Logging.configure() == :ok
    :ok = Supervisor.terminate_child(Py.Supervisor, Py.Logging)
    assert Py.exec("import logging; logging.warning('nobody')") == :ok
    {:ok, _pid} = Supervisor.restart_child(Py.Supervisor, Py.Logging)
    assert Py.exec("import logging; logging.warning('somebody')") == :ok
    assert_receive {:log, %{msg: {:string, "somebody"}}}, 5_000
  end
end
