defmodule Py.StatsTest do
  # Counts calls of the whole VM, and changes the limit.
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Test.Dialect

  doctest Py.Stats

  @keys [:at, :callbacks, :contexts, :failures, :handles, :interpreters, :mode, :node, :os] ++
          [:permits, :python, :state, :totals, :uptime_ms]

  defp context(pid), do: Enum.find(Py.stats().contexts, &(&1.pid == pid))

  # The change of the totals while `work` runs.
  defp counted(work) do
    before = Py.stats().totals
    result = work.()
    now = Py.stats().totals
    {result, Map.new(now, fn {key, value} -> {key, value - before[key]} end)}
  end

  test "a snapshot is one plain map, safe to send to any node" do
    snapshot = Py.stats()
    assert snapshot |> Map.keys() |> Enum.sort() == Enum.sort(@keys)
    assert plain?(snapshot)
    assert :erpc.call(node(), Py.Stats, :snapshot, []).node == node()
  end

  defp plain?(map) when is_map(map) and not is_struct(map),
    do: Enum.all?(Map.values(map), &plain?/1)

  defp plain?(list) when is_list(list), do: Enum.all?(list, &plain?/1)
  defp plain?(value), do: is_number(value) or is_atom(value) or is_binary(value) or is_pid(value)

  test "says what runs where" do
    info = Py.info()
    snapshot = Py.stats()
    assert %{version: version, executable: executable, own_gil: own_gil} = snapshot.python
    assert {version, executable, own_gil} == {info.version, info.executable, info.own_gil}
    assert snapshot.python.free_threaded == false
    assert snapshot.mode == info.context_mode
    assert abs(snapshot.at - System.system_time(:millisecond)) < 60_000
    assert snapshot.permits == %{in_use: 0, max_concurrent: info.max_concurrent, waiting: 0}

    places =
      for %{pool: :default} = context <- snapshot.contexts, do: {context.index, context.pid}

    assert places == Enum.with_index(Py.Router.contexts(), &{&2 + 1, &1})
  end

  test "the process has memory and uses processors" do
    os = Py.stats().os
    assert os.memory_bytes > 20_000_000 and os.cpu_time_ms > 0 and os.cpus > 0

    Py.exec!(
      "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    )

    later = Py.stats().os
    assert later.cpu_time_ms >= os.cpu_time_ms + 50
    assert later.cpu_share > 0.0
  end

  test "counts handles, until they are forgotten" do
    before = Py.stats().handles
    objects = for _ <- 1..10, do: Py.eval!("object()", return: :object)
    assert Py.stats().handles == before + 10

    pid =
      spawn(fn ->
        object = Py.eval!("object()", return: :object)
        receive do: (:never -> object)
      end)

    eventually(fn -> Py.stats().handles == before + 11 end)
    Process.exit(pid, :kill)
    eventually(fn -> Py.stats().handles == before + 10 end)
    assert length(objects) == 10
  end

  test "knows the size of the shared state" do
    Py.State.clear()
    assert %{entries: 0, bytes: 0, max_entries: nil} = Py.stats().state
    Py.State.put("text", String.duplicate("x", 100_000))
    Py.exec!("import erlang\nerlang.state_set('list', list(range(1000)))")
    assert %{entries: 2, bytes: bytes} = Py.stats().state
    # A list cell is two words, a small integer one.
    assert bytes in 116_000..126_000
    Py.State.delete("text")
    assert Py.stats().state.bytes == bytes - 100_000 - 4 - 32
    deep = Enum.reduce(1..100_000, [], fn _, inner -> {inner, %{1 => "x"}} end)
    Py.State.put("deep", deep)
    # A large value is weighed after it was stored.
    assert eventually(fn -> Py.stats().state.bytes > 100_000 * 9 * 8 end)
    Py.State.clear()
    assert Py.stats().state == %{entries: 0, bytes: 0, max_entries: nil}
  end

  test "what ended contexts counted stays in the totals" do
    {_, counted} =
      counted(fn ->
        {:ok, context} = Py.Context.start_link()
        for _ <- 1..5, do: Py.eval!(context, "1")
        {:error, _} = Py.eval(context, "1/0")
        Py.Context.stop(context)
        eventually(fn -> context(context) == nil end)
        :erlang.garbage_collect()
      end)

    assert %{calls: 6, errors: 1, contexts_started: 1, contexts_crashed: 0} = counted
  end

  test "counts casts that failed" do
    {_, counted} =
      counted(fn ->
        ExUnit.CaptureLog.capture_log(fn ->
          failures = Py.stats().totals.cast_failures
          Py.cast(:math, :sqrt, [-1])
          eventually(fn -> Py.stats().totals.cast_failures == failures + 1 end)
        end)
      end)

    assert %{calls: 1, errors: 1, cast_failures: 1} = counted
  end

  test "functions that Python calls" do
    Py.register_function("stats_double", fn n -> 2 * n end)
    on_exit(fn -> Py.unregister_function("stats_double") end)
    entry = fn -> Enum.find(Py.stats().callbacks, &(&1.name == "stats_double")) end
    assert entry.() == %{name: "stats_double", calls: 0, errors: 0, time_us: 0}

    {_, counted} =
      counted(fn ->
        assert Py.eval!("[__import__('erlang').stats_double(n) for n in range(3)]") == [0, 2, 4]
        assert {:error, _} = Py.eval("__import__('erlang').stats_double('text')")
      end)

    assert %{calls: 4, errors: 1} = entry.()
    assert %{callbacks: 4, callback_errors: 1} = counted

    assert %{kind: :callback, type: "ArithmeticError"} =
             Enum.find(Py.stats().failures, &(&1.kind == :callback))

    # One registered anew keeps what was counted; those that are passed have one entry together.
    Py.register_function("stats_double", fn n -> n + n end)
    assert %{calls: 4} = entry.()
    [anonymous] = Enum.filter(Py.stats().callbacks, &(&1.name == nil))
    assert Py.eval!("f(4)", locals: %{f: fn n -> n + 1 end}) == 5
    [%{calls: calls, time_us: time}] = Enum.filter(Py.stats().callbacks, &(&1.name == nil))
    assert calls == anonymous.calls + 1 and time >= anonymous.time_us

    Py.unregister_function("stats_double")
    assert entry.() == nil
  end

  test "keeps the latest failures, cut, newest first" do
    for n <- 1..60, do: {:error, _} = Py.exec("raise ValueError('number #{n}')")
    failures = Py.stats().failures
    assert length(failures) == 50
    assert Enum.map(failures, & &1.message) == for(n <- 60..11//-1, do: "number #{n}")
    assert %{kind: :python, type: "ValueError", context: id} = hd(failures)
    assert id in Enum.map(Py.stats().contexts, & &1.id)

    {:error, _} = Py.exec("raise KeyError('é' * 100_000)")
    assert %{type: "KeyError", message: message} = hd(Py.stats().failures)
    assert String.length(message) == 500 and String.ends_with?(message, "é…")

    {:error, _} = Py.exec("while True: pass", timeout: 20)
    assert %{kind: :timeout, type: "Py.TimeoutError"} = hd(Py.stats().failures)
    {:error, _} = Dialect.call(:nope_nope, :f, [], dialect: :erlang)
    assert %{kind: :python, type: "ModuleNotFoundError", message: text} = hd(Py.stats().failures)
    assert text =~ "nope_nope"
    {:error, _} = Py.eval("1", context: :no_such_context)
    assert %{kind: :context, type: "Py.ContextError", context: nil} = hd(Py.stats().failures)
    {:error, _} = Py.call(:builtins, :len, [<<1::3>>])
    assert %{kind: :conversion} = hd(Py.stats().failures)
  end

  for mode <- [:worker, :owngil], dialect <- [:elixir, :erlang] do
    @tag mode: mode, dialect: dialect
    test "failures name function, line and context, and no argument (#{mode}, #{dialect})",
         %{mode: mode, dialect: dialect} do
      if mode == :worker or Py.info().own_gil, do: check_failures(mode, dialect)
    end
  end

  defp check_failures(mode, dialect) do
    Py.Test.Leftovers.restore_sys_path()
    folder = tmp_path("failing")
    File.mkdir_p!(folder)
    module = "stats_failing_#{mode}_#{dialect}"
    file = Path.join(folder, module <> ".py")
    File.write!(file, "import json\n\ndef parse(text):\n    return json.loads(text)\n")
    {:ok, [_]} = Py.Router.start_pool(:stats_failing, 1, mode: mode, paths: [folder])
    {:ok, named} = Py.Context.start_link(mode: mode, name: :stats_named)
    options = [dialect: dialect, context: :stats_failing]
    latest = fn -> hd(Py.stats().failures) end

    {:error, _} = Dialect.call(module, :parse, ["s3cret"], options)
    parse = "#{module}.parse"

    # The line of the program, not of the library that it calls.
    assert %{operation: :call, function: ^parse, file: ^file, line: 4} = latest.()
    assert %{context_name: "stats_failing 1", context: id} = latest.()
    assert is_integer(id)
    refute inspect(Map.delete(latest.(), :message)) =~ "s3cret"

    task = Dialect.async(module, :parse, ["s3cret"], options)
    {:error, _} = Py.await(task)
    assert %{function: ^parse, line: 4, context: ^id, context_name: "stats_failing 1"} = latest.()
    {:ok, [{:error, _}]} = Py.parallel([{module, :parse, ["s3cret"]}], context: :stats_failing)
    assert %{function: ^parse, line: 4, context: ^id, context_name: "stats_failing 1"} = latest.()

    ExUnit.CaptureLog.capture_log(fn ->
      failures = Py.stats().totals.cast_failures
      Dialect.cast(module, :parse, ["s3cret"], options)
      eventually(fn -> Py.stats().totals.cast_failures == failures + 1 end)
    end)

    assert %{function: ^parse, line: 4, context: ^id, context_name: "stats_failing 1"} = latest.()

    {:error, _} = Dialect.exec(named, "x = 1\n\nraise ValueError(x)", dialect: dialect)
    assert %{operation: :exec, function: nil, line: 3, context_name: "stats_named"} = latest.()
    assert latest.().file =~ ~r/^<exec \d+>$/
    {:error, _} = Dialect.exec(named, "x = 1\nx = (", dialect: dialect)
    assert %{operation: :exec, type: "SyntaxError", line: 2} = latest.()
    {:error, _} = Dialect.eval(named, "[][1]", dialect: dialect)
    assert %{operation: :eval, function: nil, line: 1} = latest.()

    {:error, _} = Dialect.call(:time, :sleep, [1], timeout: 10, context: named, dialect: dialect)
    assert %{function: "time.sleep", context_name: "stats_named", line: nil} = latest.()
    {:error, _} = Dialect.call(:math, :sqrt, [1], context: :no_such_pool, dialect: dialect)
    assert %{function: "math.sqrt", context: nil, context_name: nil, file: nil} = latest.()

    # It is known after the end, too.
    Py.Context.stop(named)
    assert %{context_name: "stats_named"} = Enum.at(Py.stats().failures, 1)
    :ok = Py.Router.stop_pool(:stats_failing)
  end

  test "failures of callbacks name the function, its line and the context" do
    Py.register_function("stats_broken", fn secret -> 1 + String.to_integer(secret) end)
    line = __ENV__.line - 1
    on_exit(fn -> Py.unregister_function("stats_broken") end)
    {:ok, context} = Py.Context.start_link(name: :stats_calling)
    {:error, _} = Py.exec(context, "import erlang\nerlang.stats_broken('s3cret')")
    failure = Enum.find(Py.stats().failures, &(&1.kind == :callback))
    assert %{operation: :callback, function: "stats_broken", line: ^line} = failure
    assert %{file: "test/py/stats_test.exs", context_name: "stats_calling"} = failure

    # The exception in Python has a line, too: that of the call.
    failure = Enum.find(Py.stats().failures, &(&1.kind == :python))
    assert %{operation: :exec, line: 2, context_name: "stats_calling"} = failure
    Py.Context.stop(context)
  end

  test "refused requests and requests that timed out waiting are counted apart" do
    take_only_permit()

    {_, counted} =
      counted(fn ->
        assert {:error, %Py.OverloadedError{}} = Py.eval("1", wait: 0)
        assert {:error, %Py.OverloadedError{}} = Py.eval("1", wait: 10)
        assert {:error, %Py.OverloadedError{}} = Py.eval("1", timeout: 10)

        waiting = Task.async(fn -> Py.eval("2") end)
        eventually(fn -> Py.stats().permits == %{in_use: 1, max_concurrent: 1, waiting: 1} end)
        Py.Semaphore.release()
        assert Task.await(waiting) == {:ok, 2}
      end)

    assert %{rejected: 1, expired: 2, timeouts: 0, calls: 1} = counted
    assert %{kind: :overloaded} = Enum.find(Py.stats().failures, &(&1.kind == :overloaded))
  end

  test "counts a task that is given up by what kept it" do
    take_only_permit()

    {_, counted} =
      counted(fn ->
        task = Py.async(:builtins, :abs, [-1])
        assert {:error, %Py.OverloadedError{limit: :permits, max: 1}} = Py.await(task, 1)
        Py.Semaphore.release()
        task = Py.async(:time, :sleep, [2])
        eventually(fn -> Py.stats().permits.in_use == 1 end)
        assert {:error, %Py.TimeoutError{}} = Py.await(task, 1)
        cancelled = Py.async(:builtins, :abs, [-1])
        assert Py.cancel(cancelled) == :ok
      end)

    assert %{expired: 1, timeouts: 1} = counted
    # The sleep cannot be interrupted: it ends by itself.
    assert eventually(fn -> Py.stats().permits.in_use == 0 end)
  end

  test "raises when the application does not run" do
    ExUnit.CaptureLog.capture_log(fn -> Application.stop(:erlang_python) end)
    assert_raise Py.ContextError, ~r/not running/, fn -> Py.stats() end
    assert Py.Telemetry.measure() == :ok
    {:ok, _} = Application.ensure_all_started(:erlang_python)
    assert Py.stats().uptime_ms < 60_000
  end
end
