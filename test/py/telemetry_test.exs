defmodule Py.TelemetryTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog
  import Py.Test.Wait

  doctest Py.Telemetry

  @moduletag :capture_log

  setup do
    limit = Py.Semaphore.max_concurrent()

    on_exit(fn ->
      :telemetry.detach("telemetry_test")
      Py.Telemetry.detach_default_logger()
      Py.Semaphore.set_max_concurrent(limit)
    end)
  end

  # Events come as `{family, name, measurements, metadata}`.
  defp listen(events \\ Py.Telemetry.events()) do
    :telemetry.attach_many("telemetry_test", events, &__MODULE__.tell/4, self())
  end

  def tell([:erlang_python, family, name], measurements, metadata, pid),
    do: send(pid, {family, name, measurements, metadata})

  defp native(ms), do: System.convert_time_unit(ms, :millisecond, :native)

  test "the documented events are those of events/0, and the guide's" do
    {:docs_v1, _, _, _, %{"en" => module}, _, _} = Code.fetch_docs(Py.Telemetry)

    for text <- [module, File.read!("guides/operating/telemetry.md")] do
      rows =
        Regex.scan(~r/^\| `\[:erlang_python, :(\w+), :(\w+)\]` \|/m, text,
          capture: :all_but_first
        )

      documented =
        for [family, name] <- rows,
            do: [:erlang_python, String.to_atom(family), String.to_atom(name)]

      assert Enum.sort(documented) == Enum.sort(Py.Telemetry.events())
    end
  end

  test "each event is emitted, with what the tables say, and no other" do
    tables = tables()
    # So that calls are tracked at all.
    listen()
    emitted = traced(&provoke/0)

    assert emitted |> Enum.map(&elem(&1, 0)) |> Enum.uniq() |> Enum.sort() ==
             Enum.sort(Py.Telemetry.events())

    for {[_, family, _] = event, measurements, metadata} <- emitted, family != :stats do
      {documented_measurements, documented_metadata} = tables[event]
      assert {event, Enum.sort(Map.keys(measurements))} == {event, documented_measurements}
      assert {event, Enum.sort(Map.keys(metadata))} == {event, documented_metadata}
    end
  end

  # The events that processes emit while `work` runs. Only of processes can calls be traced, and all are.
  defp traced(work) do
    tracer = spawn_link(fn -> collect([]) end)
    :erlang.trace_pattern({:telemetry, :execute, 3}, true, [])
    :erlang.trace(:all, true, [:call, {:tracer, tracer}])

    try do
      work.()
    after
      :erlang.trace(:all, false, [:call])
      :erlang.trace_pattern({:telemetry, :execute, 3}, false, [])
    end

    delivered = :erlang.trace_delivered(:all)
    assert_receive {:trace_delivered, :all, ^delivered}
    send(tracer, {:give, self()})
    assert_receive {:emitted, events}
    events
  end

  defp collect(events) do
    receive do
      {:trace, _pid, :call, {:telemetry, :execute, [[:erlang_python | _] = event, m, d]}} ->
        collect([{event, m, d} | events])

      {:trace, _pid, :call, _of_another_library} ->
        collect(events)

      {:give, to} ->
        send(to, {:emitted, events})
    end
  end

  # `{measurements, metadata}` of each event, where "the same" and the like stand for those of the row before.
  defp tables do
    {:docs_v1, _, _, _, %{"en" => module}, _, _} = Code.fetch_docs(Py.Telemetry)

    rows =
      Regex.scan(~r/^\| `\[:erlang_python, :(\w+), :(\w+)\]` \| (.*) \| (.*) \|$/m, module,
        capture: :all_but_first
      )

    {table, _last} =
      Enum.map_reduce(rows, {[], []}, fn [family, name, measurements, metadata],
                                         {last_m, last_d} ->
        event = [:erlang_python, String.to_atom(family), String.to_atom(name)]
        m = names(measurements, last_m)

        d =
          names(
            metadata,
            if(metadata =~ "as `start`", do: ~w(id index mode name pool)a, else: last_d)
          )

        # "the same" of crash is that of stop, which has a reason already.
        {{event, {m, Enum.uniq(d)}}, {m, d}}
      end)

    Map.new(table)
  end

  defp names(cell, before) do
    own =
      for [name] <- Regex.scan(~r/`(\w+)`/, cell, capture: :all_but_first),
          do: String.to_atom(name)

    own = own -- [:stop, :start]
    Enum.sort(if cell =~ ~r/the same|as `/, do: Enum.uniq(before ++ own), else: own)
  end

  # Something of every event.
  defp provoke do
    Py.call(:math, :sqrt, [4])
    Py.eval("1/0")
    Py.cast(:math, :sqrt, [-1])
    Py.register_function("provoke", fn n -> 1 / n end)
    Py.eval("[__import__('erlang').provoke(n) for n in (1, 0)]")
    Py.unregister_function("provoke")
    overload()

    {:ok, context} = Py.Context.start_link()
    Py.exec!(context, "import gc; gc.collect()")
    pipe = pipe()
    {:error, _} = Py.exec(context, "open(#{inspect(pipe)})", timeout: 20)
    assert_receive {:context, :stuck, _, _}, 10_000
    release(pipe)
    assert_receive {:context, :recovered, _, _}, 10_000
    Py.Context.stop(context)

    {:ok, [hung]} = Py.Router.start_pool(:telemetry_stuck, 1, replace_stuck: 1)
    {:error, _} = Py.exec(hung, "open(#{inspect(pipe)})", timeout: 20)
    assert_receive {:context, :replaced, _, _}, 10_000
    release(pipe)
    :ok = Py.Router.stop_pool(:telemetry_stuck)

    {:ok, killed} = Task.async(fn -> start_unlinked() end) |> Task.await()
    Process.exit(killed, :kill)
    assert_receive {:context, :crash, _, _}, 10_000
    assert_receive {:gc, :run, _, _}, 10_000
    assert_receive {:cast, :exception, _, _}, 10_000
    Py.Telemetry.measure()
  end

  defp start_unlinked do
    with {:ok, pid} <- Py.Context.start_link() do
      Process.unlink(pid)
      {:ok, pid}
    end
  end

  defp overload do
    max = Py.Semaphore.max_concurrent()
    Py.Semaphore.set_max_concurrent(1)
    :ok = Py.Semaphore.acquire()
    {:error, _} = Py.eval("1", wait: 0)
    {:error, _} = Py.eval("1", wait: 5)
    Py.Semaphore.release()
    Py.Semaphore.set_max_concurrent(max)
  end

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
            {fn -> Py.call(:nope, :nope, [], dialect: :erlang) end, :python,
             "ModuleNotFoundError"},
            {fn -> Py.exec("while True: pass", timeout: 20) end, :timeout, "Py.TimeoutError"},
            {fn -> Py.exec("while True: pass", timeout: 20, dialect: :erlang) end, :timeout,
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
        {:error, _} = Py.exec(context, code, dialect: dialect)
        assert_received {:call, :exception, _, %{line: 3, file: "<exec " <> _} = metadata}
        assert metadata.context_name == "telemetry_named"
        {:error, _} = Py.call(context, :time, :sleep, [1], timeout: 10, dialect: dialect)
        assert_received {:call, :exception, _, %{line: nil, file: nil}}
        {:ok, 1} = Py.eval(context, "1", dialect: dialect)
        assert_received {:call, :stop, _, %{context_name: "telemetry_named"}}
        {:error, _} = Py.await(Py.async(:math, :sqrt, [-1], dialect: dialect))
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

      function = fn ->
        Process.sleep(50)
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
        async = &Py.async(&1, &2, &3, [dialect: dialect] ++ &4)
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
    Py.cast(:json, :loads, ["{"], dialect: :erlang)
    assert_receive {:cast, :exception, _, %{function: "loads", line: line}}, 5_000
    assert is_integer(line)

    refute_received {:cast, _, _, _}
    refute_received {:call, _, _, _}
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

  test "polled statistics" do
    # What other tests have left behind ends.
    idle? = &(&1.pool != :default or (&1.state == :idle and &1.load == 0))
    eventually(fn -> Enum.all?(Py.stats().contexts, idle?) end)
    listen()
    [{module, function, args}] = Py.Telemetry.measurements()
    assert apply(module, function, args) == :ok
    assert_received {:stats, :node, node, metadata}
    assert metadata == %{}
    assert Enum.all?(Map.values(node), &is_number/1)
    documented = documented_node_measurements()
    assert Enum.sort(Map.keys(node)) == Enum.sort(documented ++ Map.keys(Py.stats().totals))
    assert node.contexts == length(Py.stats().contexts)
    assert_received {:stats, :context, context, %{pool: :default, index: 1, state: :idle} = who}
    assert %{queue_length: 0, load: 0, running_time: 0, busy_share: share} = context
    assert share >= 0.0 and who.mode == Py.stats().mode

    assert Enum.sort(Map.keys(context)) ==
             ~w(busy_share calls errors load queue_length running_time timeouts)a

    assert Enum.sort(Map.keys(who)) == ~w(id index mode name pool state)a

    assert_received {:stats, :interpreter, %{gc_runs: _, gc_collected: _, gc_time: _},
                     %{interpreter: 0, mode: :worker}}
  end

  defp documented_node_measurements do
    {:docs_v1, _, _, _, %{"en" => module}, _, _} = Code.fetch_docs(Py.Telemetry)
    [_, text] = String.split(module, "Of the node:")
    [text, _] = String.split(text, "the counts of", parts: 2)
    for [name] <- Regex.scan(~r/`(\w+)`/, text, capture: :all_but_first), do: String.to_atom(name)
  end

  if Code.ensure_loaded?(Telemetry.Metrics) do
    test "metrics are of documented events and measurements" do
      metrics = Py.Telemetry.metrics()
      assert [_ | _] = metrics
      listen()
      measured = traced(&provoke/0)

      for metric <- metrics do
        assert metric.event_name in Py.Telemetry.events()
        {_, measurements, metadata} = Enum.find(measured, &(elem(&1, 0) == metric.event_name))
        value = measure(metric.measurement, measurements)
        # Known while there is one interpreter only.
        optional = List.last(metric.name) == :allocated_blocks
        assert is_number(value) or (optional and value == nil), inspect(metric.name)
        assert metric.tags -- Map.keys(metadata) == [], inspect(metric.name)
      end
    end

    defp measure(key, measurements) when is_atom(key), do: measurements[key]
    defp measure(fun, measurements), do: fun.(measurements)
  end

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
               ~r/\[error\] Python context \d+ \(worker\) is stuck: .* It is at \(innermost last\)\n  </

      assert log =~ ~r/\[warning\] Python context \d+ \(worker\) works again/
      assert log =~ ~r/\[error\] Python context \d+ \(worker\) crashed/
      # Few, for reports come while this runs; together they miss none.
      for what <- ["refused", "waited in vain"] do
        counts = Regex.scan(~r/work #{what}: .*\((?:once|(\d+) times) within a second\)/, log)
        assert length(counts) < 25

        assert 51 ==
                 Enum.sum_by(counts, fn
                   [_line, count] -> String.to_integer(count)
                   [_line] -> 1
                 end)
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
             end) =~ "Python work refused"
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
             end) =~ "Python work"
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
            "a Py.cast failed: ValueError",
            ~s(the function "provoke" that Python called failed),
            "is stuck",
            "works again",
            "crashed",
            "stopped",
            "(worker) started in",
            "Python work refused: the limit of 1 pieces",
            "Python work waited in vain",
            "garbage collection of generation 2 in interpreter 0"
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
