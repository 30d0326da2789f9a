defmodule Py.Telemetry.CallTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import Py.Test.Telemetry
  import Py.Test.Wait

  alias Py.Test.Dialect

  @moduletag :capture_log

  setup {Py.Test.Telemetry, :detach_after}

  describe "calls" do
    test "tell their names, times and context" do
      listen()
      {:ok, pid} = Py.Router.get_context()
      {:ok, %{id: id}} = Py.Context.info(pid)
      assert Py.call(:time, "sleep", [0.02]) == {:ok, nil}
      assert_received {:call, :start, %{monotonic_time: began, system_time: _}, start}
      assert %{operation: :call, module: "time", function: "sleep"} = start
      assert_received {:call, :stop, stop, metadata}
      assert %{context: ^id, context_name: "default " <> _} = metadata
      assert Map.drop(metadata, [:context, :context_name]) == start
      assert stop.python_time in native(20)..stop.duration
      assert stop.queue_time in 0..(stop.duration - stop.python_time)
      assert stop.monotonic_time - began == stop.duration
    end

    test "of code, handles and namespaces tell no code" do
      listen()
      Py.eval("1 + 1")
      assert_received {:call, :stop, _, %{operation: :eval, module: nil, function: nil}}
      Py.exec("x = 1")
      assert_received {:call, :stop, _, %{operation: :exec, module: nil, function: nil}}
      Py.exec("x = 1\nx", return: :last)
      assert_received {:call, :stop, _, %{operation: :exec}}
      counter = Py.call!(:collections, :Counter, ["aab"], return: :object)
      assert_received {:call, :stop, _, %{module: "collections", function: "Counter"}}
      Py.Object.call_method!(counter, :most_common, [1])
      assert_received {:call, :stop, _, %{module: "collections.Counter", function: "most_common"}}
      Py.Env.new()
      assert_received {:call, :stop, _, %{operation: :new_env}}
    end

    test "that fail tell how" do
      listen()

      for {run, error, type} <- [
            {fn -> Py.eval("1/0") end, :python, "ZeroDivisionError"},
            {fn -> Dialect.call(:nope, :nope, [], dialect: :erlang) end, :python,
             "ModuleNotFoundError"},
            {fn -> Py.exec("while True: pass", timeout: 20) end, :timeout, "Py.TimeoutError"},
            {fn -> Dialect.exec("while True: pass", timeout: 20, dialect: :erlang) end, :timeout,
             "Py.TimeoutError"},
            {fn -> Py.call(:builtins, :len, [<<1::3>>]) end, :conversion, "Py.ConversionError"},
            {fn -> Py.eval("1", context: :nobody) end, :context, "Py.ContextError"}
          ] do
        {:error, reason} = run.()
        assert_received {:call, :start, _, %{telemetry_span_context: span}}
        assert_received {:call, :exception, measurements, metadata}
        assert %{kind: :error, error: ^error, type: ^type, stacktrace: []} = metadata
        assert metadata.telemetry_span_context == span
        assert metadata.reason == reason
        assert measurements.duration >= measurements.queue_time + measurements.python_time
        refute_received {:call, :stop, _, _}
      end
    end

    test "that fail name the line of the program and the context" do
      listen()
      context = start_supervised!({Py.Context, name: :telemetry_named})
      code = "import json\n\njson.loads('{')"

      for dialect <- [:elixir, :erlang] do
        {:error, _} = Dialect.exec(context, code, dialect: dialect)
        assert_received {:call, :exception, _, %{line: 3, file: "<exec " <> _} = metadata}
        assert metadata.context_name == "telemetry_named"
        {:error, _} = Dialect.call(context, :time, :sleep, [1], timeout: 10, dialect: dialect)
        assert_received {:call, :exception, _, %{line: nil, file: nil}}
        {:ok, 1} = Dialect.eval(context, "1", dialect: dialect)
        assert_received {:call, :stop, _, %{context_name: "telemetry_named"}}
        {:error, _} = Py.await(Dialect.async(:math, :sqrt, [-1], dialect: dialect))
        assert_receive {:call, :exception, _, %{function: "sqrt", context_name: "default " <> _}}
      end

      assert Process.get(:"$py_failed_at") == nil
    end

    test "time in the queue is no time in Python" do
      listen()
      context = start_supervised!(Py.Context)
      pipe = pipe()
      waits = "import time\nopen(path).close()\ntime.sleep(0.1)"
      waiting = fn -> Py.exec(context, waits, locals: %{path: pipe}, timeout: 60_000) end
      sleeper = Task.async(waiting)
      until_running(context)

      spawn_link(fn ->
        eventually(fn -> match?({:ok, %{queued: 1}}, Py.Context.info(context)) end)
        release(pipe)
      end)

      assert Py.eval(context, "1") == {:ok, 1}
      assert_received {:call, :stop, measurements, %{operation: :eval}}
      Task.await(sleeper)
      assert measurements.queue_time > 10 * measurements.python_time

      # One that never had its turn was in the queue all the time.
      sleeper = Task.async(waiting)
      until_running(context)
      {:error, _} = Py.eval(context, "1", timeout: 30)
      release(pipe)
      assert_received {:call, :exception, %{queue_time: queued, python_time: 0}, _}
      assert queued >= native(29)
      Task.await(sleeper)
    end

    test "a callback's time is not Python's, and its own calls have their own events" do
      listen()

      # It takes at least 50 ms, whatever the machine does.
      function = fn ->
        until = System.monotonic_time() + native(50)
        eventually(fn -> System.monotonic_time() >= until end)
        Py.eval!("'inner'")
      end

      assert Py.eval!("f()", locals: %{f: function}) == "inner"
      assert_received {:call, :start, _, %{telemetry_span_context: outer}}
      assert_received {:callback, :start, _, %{name: nil, telemetry_span_context: callback}}
      assert_received {:call, :start, _, %{telemetry_span_context: inner}}
      assert_received {:call, :stop, _, %{telemetry_span_context: ^inner}}
      assert_received {:callback, :stop, %{duration: ran}, %{telemetry_span_context: ^callback}}
      assert_received {:call, :stop, times, %{telemetry_span_context: ^outer, context: id}}
      assert is_integer(id)
      assert ran >= native(50) and times.duration > ran
      assert times.python_time <= times.duration - ran
      assert Process.get_keys() |> Enum.filter(&(&1 == :"$py_timed_request")) == []
    end

    for {dialect, nothing} <- [elixir: nil, erlang: :none] do
      test "of tasks end with their work, or when they are given up (#{dialect})" do
        listen()
        dialect = unquote(dialect)
        async = &Dialect.async(&1, &2, &3, [dialect: dialect] ++ &4)
        task = async.(:time, :sleep, [0.02], [])
        assert_received {:call, :start, _, %{function: "sleep", telemetry_span_context: span}}
        refute_received {:call, :stop, _, _}
        assert Py.await(task) == {:ok, unquote(nothing)}
        assert_receive {:call, :stop, %{python_time: time}, %{telemetry_span_context: ^span}}
        assert time >= native(20)

        assert {:error, _} = Py.await(async.(:time, :sleep, [0.2], []), 10)
        assert_received {:call, :exception, _, %{error: :timeout}}
        # The watchdog ends it.
        task = async.(:time, :sleep, [5], timeout: 30)
        assert_receive {:call, :exception, _, %{error: :timeout, reason: timeout}}, 10_000
        assert {:error, ^timeout} = Py.await(task)

        task = async.(:math, :sqrt, [-1], [])
        assert_receive {:call, :exception, _, %{error: :python, type: "ValueError"} = metadata}
        assert %{context_name: "default " <> _} = metadata
        assert {:error, reason} = eventually(fn -> Py.yield(task, 100) end)
        assert metadata.reason == reason
        # Already over.
        Py.cancel(task)
        refute_received {:call, :exception, _, _}

        Py.cancel(async.(:time, :sleep, [0.1], []))

        assert_received {:call, :exception, _,
                         %{error: :cancelled, type: "cancelled", reason: :cancelled}}

        task = async.(:math, :sqrt, [4], context: :nobody)
        assert_received {:call, :exception, %{queue_time: 0, python_time: 0}, %{error: :context}}
        {:error, _} = Py.await(task)
        refute_received {:call, _, _, %{error: _}}
        assert Process.get(:"$py_failed_at") == nil
        assert :ets.tab2list(Py.Telemetry.Tasks) == []
      end
    end

    test "of tasks that nobody awaits end, too" do
      listen()
      Py.async(:math, :sqrt, [4])
      assert_receive {:call, :stop, _, %{function: "sqrt"}}, 10_000
      Py.async(:json, :loads, ["{"])
      assert_receive {:call, :exception, _, %{error: :python, line: line}}, 10_000
      assert is_integer(line)

      # Running, queued and waiting for a permit when their owner dies.
      context = start_supervised!(Py.Context)
      limit = Py.Semaphore.max_concurrent()
      test = self()

      owner =
        spawn(fn ->
          Py.async(:time, :sleep, [60], context: context, timeout: :infinity)
          until_running(context)
          Py.async(:math, :sqrt, [1], context: context)
          Py.Semaphore.set_max_concurrent(1)
          Py.async(:math, :sqrt, [1])
          send(test, :started)
          receive do: (:never -> :ok)
        end)

      assert_receive :started, 10_000
      spans = for _ <- 1..5, do: span(:start)
      Process.exit(owner, :kill)
      ended = for _ <- 1..3, do: span(:exception)
      assert Enum.sort(ended) == spans |> Enum.drop(2) |> Enum.sort()
      Py.Semaphore.set_max_concurrent(limit)

      # Of a context that is stopped.
      Py.async(:time, :sleep, [60], context: context)
      until_running(context)
      Py.Context.stop(context)
      assert_receive {:call, :exception, _, %{error: :context}}, 10_000
      refute_received {:call, :stop, _, _}
      assert :ets.tab2list(Py.Telemetry.Tasks) == []
    end

    defp span(name) do
      assert_receive {:call, ^name, _, %{telemetry_span_context: span} = metadata}, 10_000
      if name == :exception, do: assert(metadata.error == :cancelled)
      span
    end

    test "of many tasks have one end each, whatever becomes of them" do
      listen()
      context = start_supervised!(Py.Context)

      for n <- 1..300 do
        task = Py.async(:time, :sleep, [0.0001], context: context)
        if rem(n, 3) == 0, do: Py.cancel(task)
        if rem(n, 3) == 1, do: Py.await(task, rem(n, 2))
      end

      starts = for _ <- 1..300, do: span(:start)
      ends = for _ <- 1..300, do: any_end()
      assert Enum.sort(starts) == Enum.sort(ends)
      assert Py.eval(context, "1") == {:ok, 1}
      span(:start)
      any_end()
      refute_received {:call, _, _, _}
    end

    defp any_end do
      assert_receive {:call, name, _, %{telemetry_span_context: span}}
                     when name in [:stop, :exception],
                     10_000

      span
    end

    defmodule Broken do
      @behaviour Py.Router.Strategy
      def pick(_pool, _size, _load), do: raise(ArgumentError, "no choice")
    end

    test "that raise end, too" do
      listen()
      {:ok, _} = Py.Router.start_pool(:telemetry_broken, 1, strategy: Broken)

      for run <- [&Py.call/4, &Py.async/4] do
        assert_raise ArgumentError, "no choice", fn ->
          run.(:math, :sqrt, [4], context: :telemetry_broken)
        end

        assert_received {:call, :start, _, %{telemetry_span_context: span}}

        assert_received {:call, :exception, _,
                         %{error: :raised, type: "ArgumentError", telemetry_span_context: ^span} =
                           metadata}

        assert [_ | _] = metadata.stacktrace
      end

      :ok = Py.Router.stop_pool(:telemetry_broken)
    end

    test "of parallel work are calls each" do
      listen()
      {:ok, results} = Py.parallel([{:math, :sqrt, [4]}, {:math, :sqrt, [-1]}])
      assert [{:ok, 2.0}, {:error, _}] = results
      assert_received {:call, :stop, %{duration: _}, %{function: "sqrt", context: id}}
      assert is_integer(id)
      assert_received {:call, :exception, _, %{type: "ValueError"}}
      {:ok, _} = Py.parallel([{:time, :sleep, [0.3]}], timeout: 20)
      assert_received {:call, :exception, _, %{error: :timeout}}
    end

    test "are tracked for whoever listens to one event only" do
      for event <- [:start, :stop, :exception] do
        listen([[:erlang_python, :call, event]])
        Py.eval("1/0")
        Py.eval("1")
        assert_received {:call, ^event, _, _}
        :telemetry.detach("telemetry_test")
        heard = for message <- mailbox(), elem(message, 0) == :call, do: elem(message, 1)
        assert Enum.all?(heard, &(&1 == event))
        flush()
      end

      Py.eval("1")
      refute_received {:call, _, _, _}
    end

    test "are not tracked with telemetry: false" do
      config = :persistent_term.get(Py.Config)
      on_exit(fn -> :persistent_term.put(Py.Config, config) end)
      :persistent_term.put(Py.Config, %{config | telemetry: false})
      listen()
      Py.register_function("quiet", fn -> 1 end)
      assert Py.eval("__import__('erlang').quiet()") == {:ok, 1}
      Py.unregister_function("quiet")
      refute_received {:call, _, _, _}
      refute_received {:callback, _, _, _}
      # The others are not of calls.
      {:error, _} =
        Py.eval("1", wait: 0, context: start_supervised!({Py.Context, max_queue: 1}) |> occupy())

      assert_received {:overload, :rejected, _, %{limit: :queue}}
    end
  end

  defp flush do
    receive do
      _message -> flush()
    after
      0 -> :ok
    end
  end

  defp occupy(context) do
    Py.async(:time, :sleep, [0.2], context: context)
    context
  end

  test "callbacks tell who failed and why" do
    listen()
    Py.register_function("picky", fn n when n > 0 -> throw({:small, n}) end)
    on_exit(fn -> Py.unregister_function("picky") end)
    {:error, _} = Py.eval("__import__('erlang').picky(1)")
    assert_received {:callback, :exception, %{duration: _}, metadata}
    assert %{name: "picky", kind: :throw, reason: {:small, 1}, stacktrace: [_ | _]} = metadata
    {:error, _} = Py.eval("__import__('erlang').picky(0)")

    assert_received {:callback, :exception, _,
                     %{name: "picky", kind: :error, reason: :function_clause}}
  end

  test "who hears only the ends of callbacks hears them whole" do
    listen([[:erlang_python, :callback, :stop], [:erlang_python, :callback, :exception]])
    Py.register_function("picky", fn n when n > 0 -> n end)
    on_exit(fn -> Py.unregister_function("picky") end)
    assert Py.eval("__import__('erlang').picky(1)") == {:ok, 1}
    assert_received {:callback, :stop, %{duration: _, monotonic_time: _}, metadata}
    assert %{name: "picky", telemetry_span_context: context} = metadata
    assert is_reference(context) and map_size(metadata) == 2
    {:error, _} = Py.eval("__import__('erlang').picky(0)")

    assert_received {:callback, :exception, %{duration: _},
                     %{name: "picky", kind: :error, telemetry_span_context: other}}

    assert other != context
    refute_received {:callback, _, _, _}
  end

  test "casts tell of failures only" do
    listen()
    Py.cast(:math, :sqrt, [4])
    Py.cast(:math, :sqrt, [-1])

    assert_receive {:cast, :exception, %{count: 1},
                    %{error: :python, type: "ValueError", kind: :error} = metadata},
                   5_000

    assert %{operation: :call, module: "math", function: "sqrt"} = metadata
    assert %{context: id, context_name: "default " <> _} = metadata
    assert is_integer(id)
    Dialect.cast(:json, :loads, ["{"], dialect: :erlang)
    assert_receive {:cast, :exception, _, %{function: "loads", line: line}}, 5_000
    assert is_integer(line)

    refute_received {:cast, _, _, _}
    refute_received {:call, _, _, _}
  end

  test "tasks and parallel calls that got no permit are overload, as calls are" do
    listen()
    take_only_permit()
    task = Py.async(:builtins, :abs, [-1])
    expected = {:error, %Py.OverloadedError{limit: :permits, current: 1, max: 1}}
    assert Py.await(task, 1) == expected
    assert_received {:overload, :expired, %{current: 1, max: 1}, %{limit: :permits, context: id}}
    assert is_integer(id)
    assert Py.parallel([{:builtins, :abs, [-1]}], timeout: 5) == {:ok, [expected]}
    assert_received {:overload, :expired, %{current: 1, max: 1}, %{limit: :permits}}
    Py.Semaphore.release()
  end

  test "overload tells which limit" do
    listen()
    overload()
    assert_received {:overload, :rejected, %{current: 1, max: 1}, %{limit: :permits, context: id}}
    assert is_integer(id)
    assert_received {:overload, :expired, %{current: 1, max: 1}, %{limit: :permits, context: ^id}}
    small = start_supervised!({Py.Context, max_queue: 1})
    {:ok, %{id: id}} = Py.Context.info(occupy(small))
    {:error, %Py.OverloadedError{}} = Py.eval(small, "1")
    assert_received {:overload, :rejected, %{current: 1, max: 1}, %{limit: :queue, context: ^id}}
  end
end
