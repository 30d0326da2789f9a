defmodule Py.Test.Telemetry do
  @moduledoc false
  # Events as messages to the test, and what makes the library emit them.

  import ExUnit.Assertions
  import Py.Test.Wait

  @doc "Detaches the handlers after the test, and restores the limit. For `setup`."
  def detach_after(_tags) do
    limit = Py.Semaphore.max_concurrent()

    ExUnit.Callbacks.on_exit(fn ->
      :telemetry.detach("telemetry_test")
      Py.Telemetry.detach_default_logger()
      Py.Semaphore.set_max_concurrent(limit)
    end)
  end

  @doc "Has events sent to the calling process, as `{family, name, measurements, metadata}`."
  def listen(events \\ Py.Telemetry.events()) do
    :telemetry.attach_many("telemetry_test", events, &__MODULE__.tell/4, self())
  end

  @doc false
  def tell([:erlang_python, family, name], measurements, metadata, pid),
    do: send(pid, {family, name, measurements, metadata})

  @doc "Milliseconds in the unit of measurements."
  def native(ms), do: System.convert_time_unit(ms, :millisecond, :native)

  @doc "The events emitted while `work` runs: traces the calls of all processes."
  def traced(work) do
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

  @doc "Emits at least one of every event."
  def provoke do
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

  @doc "Starts a context that is not linked to the calling process."
  def start_unlinked do
    with {:ok, pid} <- Py.Context.start_link() do
      Process.unlink(pid)
      {:ok, pid}
    end
  end

  @doc "Has requests rejected and expired for want of a permit."
  def overload do
    max = Py.Semaphore.max_concurrent()
    Py.Semaphore.set_max_concurrent(1)
    :ok = Py.Semaphore.acquire()
    {:error, _} = Py.eval("1", wait: 0)
    {:error, _} = Py.eval("1", wait: 5)
    Py.Semaphore.release()
    Py.Semaphore.set_max_concurrent(max)
  end
end
