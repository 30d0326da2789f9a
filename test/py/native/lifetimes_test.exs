defmodule Py.Native.LifetimesTest do
  # Objects, namespaces, contexts and interpreters, and the Python code that runs when they end.
  use Py.Test.Case, async: false

  import Py.Test.Callback, only: [register: 2]
  import Py.Test.Wait

  alias Py.Test.Peer

  # A destructor that blocks in C code until the pipe is released, without the GIL: no interrupt ends it before.
  defp waits_for(pipe) do
    """
    class Waits:
        def __del__(self, open=open):
            open(#{inspect(pipe)}).close()
    """
  end

  @endless """
  class Endless:
      def __del__(self):
          while True: pass
  """

  defp start(mode, options \\ []) do
    options = [{:mode, mode} | options]
    spec = Supervisor.child_spec({Py.Context, options}, id: make_ref(), restart: :temporary)
    start_supervised!(spec)
  end

  # A process that runs `code` in its own namespace and lives until it is told to end.
  defp holder(context, code) do
    parent = self()

    pid =
      spawn_link(fn ->
        Py.exec!(context, code, namespace: :process)
        send(parent, {:holds, self()})
        receive do: (:end -> :ok)
      end)

    receive do: ({:holds, ^pid} -> pid)
  end

  # A process makes a handle of this expression's value and forgets it.
  defp drop_handle(context, code) do
    Task.await(Task.async(fn -> Py.eval!(context, code, return: :object) && :ok end))
  end

  defp info(context), do: context |> Py.Context.info() |> elem(1)

  # The names of the threads of contexts: `py_context_ID`.
  defp threads do
    {names, 0} = System.cmd("ps", ["-L", "-o", "comm=", "-p", System.pid()])
    for "py_context" <> _ = name <- String.split(names), do: name
  end

  for mode <- modes() do
    describe "#{mode}" do
      @describetag mode: mode

      test "while a destructor runs, nobody waits for a lock", %{mode: mode, ctx: other} do
        context = start(mode)
        pipe = pipe()
        Py.exec!(context, waits_for(pipe))
        [slow, quick] = for code <- ["w = Waits()", "x = 1"], do: holder(context, code)
        send(slow, :end)
        until_running(context)

        # The context is told of its death, on a scheduler, and so is whoever watches all contexts.
        send(quick, :end)
        Py.exec!(other, "def spin():\n    while True: pass")
        task = Py.async("__main__", "spin", [], context: other, timeout: 100)
        assert {:error, %Py.TimeoutError{}} = Py.await(task)
        assert info(context).running == 1
        release(pipe)
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
      end

      test "a destructor between requests can be interrupted", %{mode: mode} do
        context = start(mode)
        Py.exec!(context, @endless)
        drop_handle(context, "Endless()")
        until_running(context)
        assert Py.Context.interrupt(context) == :ok
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
        eventually(fn -> info(context).running == 0 end)
        assert Py.Context.interrupt(context) == {:error, :not_running}
      end

      test "one that heeds no interrupt makes its context stuck, and no other", %{
        mode: mode,
        ctx: other
      } do
        context = start(mode)
        pipe = pipe()
        Py.exec!(context, waits_for(pipe))
        drop_handle(context, "Waits()")
        until_running(context)
        assert info(context).state == :running
        assert Py.Context.interrupt(context) == :ok
        eventually(fn -> info(context).state == :stuck end)
        assert Py.call(other, :math, :sqrt, [4]) == {:ok, 2.0}
        release(pipe)
        assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
        eventually(fn -> info(context).state == :idle end)
      end

      test "endless destructors do not keep a context that is stopped", %{mode: mode} do
        context = start(mode)
        thread = "py_context_#{info(context).id}"

        # Not in the namespace: a cycle of it would be collected by some later code of the main interpreter.
        Py.exec!(context, """
        scope = {}
        exec(#{inspect(@endless)}, scope)
        kept = scope["Endless"]()
        """)

        handle =
          if mode == :owngil do
            Py.exec!(context, @endless <> "cycle = Endless()")
            Py.eval!(context, "Endless()", return: :object)
          end

        process = holder(context, "kept = scope['Endless']()")
        assert thread in threads()
        Py.Context.stop(context)
        eventually(fn -> thread not in threads() end)
        send(process, :end)
        # Alive until here.
        assert handle == nil or is_struct(handle, Py.Object)
      end

      test "a context stopped before its preload begins ends", %{mode: mode} do
        preload = "import time\nwhile True: time.sleep(0.005)"
        before = threads()

        for timeout <- [0, 0, 0, 1, 5] do
          assert {:error, {%Py.ContextError{}, _child}} =
                   start_supervised(
                     {Py.Context, mode: mode, preload: preload, start_timeout: timeout}
                   )
        end

        eventually(fn -> threads() -- before == [] end)
      end

      test "preload code that swallows interrupts is interrupted again", %{mode: mode} do
        preload = """
        caught = 0
        while caught < 3:
            try:
                while True: pass
            except BaseException:
                caught += 1
        """

        before = threads()

        assert {:error, {%Py.ContextError{}, _child}} =
                 start_supervised({Py.Context, mode: mode, preload: preload, start_timeout: 50})

        eventually(fn -> threads() -- before == [] end)
      end
    end
  end

  test "values of a thread's own end with it, and their destructors do not keep it" do
    context = start(:worker)
    thread = "py_context_#{info(context).id}"

    Py.exec!(context, """
    import builtins, threading
    local = builtins.kept_local = threading.local()
    scope = {}
    exec(#{inspect(@endless)}, scope)
    local.value = scope["Endless"]()
    """)

    Py.Context.stop(context)
    eventually(fn -> thread not in threads() end)
    assert Py.eval!("hasattr(__import__('builtins').kept_local, 'value')") == false
    Py.exec!("import builtins; del builtins.kept_local")
  end

  test "a destructor at the end of a context calls nobody" do
    context = start(:worker)
    thread = "py_context_#{info(context).id}"
    register(:at_the_end, fn -> :called end)

    Py.exec!(context, """
    import builtins, threading
    class Calls:
        def __del__(self):
            try:
                builtins.answer = erlang.call("at_the_end")
            except Exception as error:
                builtins.answer = str(error)
    local = builtins.kept_local = threading.local()
    local.value = Calls()
    """)

    Py.Context.stop(context)
    eventually(fn -> thread not in threads() end)
    assert Py.eval!("__import__('builtins').answer") =~ "only while it runs a request"
    Py.exec!("import builtins; del builtins.kept_local, builtins.answer")
  end

  test "destructors run on the thread of the context that their object belongs to" do
    contexts = for _ <- 1..4, do: start(:worker)

    for context <- contexts do
      Py.exec!(context, """
      import threading, builtins
      builtins.finalized = getattr(builtins, "finalized", [])
      class Notes:
          def __init__(self): self.made_by = threading.get_ident()
          def __del__(self): finalized.append((self.made_by, threading.get_ident()))
      """)
    end

    for _ <- 1..25, context <- contexts, do: drop_handle(context, "Notes()")
    [context | _] = contexts
    eventually(fn -> Py.eval!(context, "len(finalized)") == 100 end)
    assert Py.eval!(context, "all(made_by == end for made_by, end in finalized)")
    assert Py.eval!(context, "len({end for _, end in finalized})") == 4
    Py.exec!(context, "import builtins; del builtins.finalized")
  end

  test "objects of a context that has ended are released by another one" do
    [first, second] = for _ <- 1..2, do: start(:worker)

    Py.exec!(first, """
    import builtins
    builtins.released = released = []
    class Notes:
        def __del__(self, released=released): released.append(1)
    """)

    parent = self()

    process =
      spawn_link(fn ->
        handle = Py.eval!(first, "Notes()", return: :object)
        send(parent, :made)
        receive do: (:end -> inspect(handle))
      end)

    receive do: (:made -> :ok)
    Py.Context.stop(first)
    assert Py.eval!(second, "len(released)") == 0
    send(process, :end)
    eventually(fn -> Py.eval!(second, "len(released)") == 1 end)
    Py.exec!(second, "import builtins; del builtins.released")
  end

  describe "own-GIL contexts" do
    test "an interpreter that ends lets go of all its objects, whoever has handles of them" do
      context = start(:owngil)
      path = tmp_path("released")

      Py.exec!(context, """
      import os
      class Notes:
          def __init__(self, name): self.name = name
          def __del__(self, path=#{inspect(path)}, open=open):
              with open(path, "a") as file: file.write(self.name + "\\n")
      class Failure(Exception):
          def __init__(self): self.notes = Notes("error")
      def fail(): raise Failure()
      """)

      kept = Py.eval!(context, "Notes('kept')", return: :object)
      {:error, %Py.Error{exception: exception}} = Py.call(context, "__main__", "fail")
      Py.State.put("lifetimes", Py.eval!(context, "Notes('state')", return: :object))

      Py.register_function("lifetimes", fn object ->
        send(self(), {:argument, object})
        nil
      end)

      Py.exec!(context, "import erlang; erlang.call('lifetimes', Notes('argument'))")
      assert_received {:argument, argument}
      Py.Context.stop(context)

      released = path |> File.read!() |> String.split("\n", trim: true) |> Enum.sort()
      assert released == ["argument", "error", "kept", "state"]
      [worker | _] = Py.Router.contexts()

      for handle <- [kept, exception, argument, Py.State.get("lifetimes")] do
        assert {:error, %Py.ContextError{}} = Py.call(handle, "__class__")
        assert {:error, %Py.ContextError{}} = Py.call(worker, :builtins, :id, [handle])
      end

      Py.State.delete("lifetimes")
      Py.unregister_function("lifetimes")
    end

    # In a VM of its own, where the main interpreter has done nothing before. CPython 3.12 corrupted the heap.
    test "own-GIL contexts may be the first to start" do
      peer = Peer.start([])
      config = [num_contexts: 2, context_mode: :owngil]
      assert {:ok, _started} = Peer.start_python(peer, config)
      moment = %{~U[2024-02-29 12:00:00.123456Z] | time_zone: "Europe/Paris", zone_abbr: "CET"}
      moment = %{moment | utc_offset: 3600}
      refuses = Version.compare(Py.info().version, "3.13.0-a") == :lt

      for index <- [1, 2, 1, 2] do
        {:ok, context} = Peer.call(peer, Py.Router, :get_context, [index])
        call = fn code, options -> Peer.call(peer, Py, :eval!, [context, code, options]) end
        assert call.("x", locals: %{x: moment}) == moment
        assert call.("str(__import__('decimal').Decimal('0.1') + 1)", []) == "1.1"
        assert call.("__import__('zoneinfo').ZoneInfo('UTC').key", []) == "UTC"
        call.("__import__('asyncio').sleep(0).close()", [])

        # A module of the old kind that this library does not import itself.
        if refuses do
          assert {:error, %Py.Error{type: "ImportError"}} =
                   Peer.call(peer, Py, :eval, [context, "__import__('_elementtree')"])
        end
      end

      options = Py.Schema.check!(:context, mode: :worker)
      {:ok, worker} = Peer.call(peer, GenServer, :start, [Py.Context.Server, options])
      eval = fn code -> Peer.call(peer, Py, :eval!, [worker, code, []]) end
      assert eval.("__import__('datetime').MINYEAR") == 1
      # It works with its part in C, which 3.12 breaks when that is imported first.
      code =
        "__import__('asyncio').tasks._scheduled_tasks is __import__('_asyncio')._scheduled_tasks"

      if Version.match?(Py.info().version, "~> 3.12.0"), do: assert(eval.(code))

      cancelled = """
      import asyncio
      ends = []
      async def waits():
          try: await asyncio.sleep(3600)
          finally: ends.append(1)
      async def main(): asyncio.get_running_loop().create_task(waits()); await asyncio.sleep(0)
      asyncio.run(main())
      """

      assert :ok = Peer.call(peer, Py, :exec, [worker, cancelled])
      assert eval.("ends") == [1]
    end

    test "threads of an open pool end with their interpreter" do
      abandoned = fn -> Py.Stats.snapshot().totals.contexts_abandoned end
      before = abandoned.()

      for _ <- 1..10 do
        context = start(:owngil)

        Py.exec!(context, """
        from concurrent.futures import ThreadPoolExecutor
        import threading, time
        pool = ThreadPoolExecutor(2)
        list(pool.map(len, ["a"] * 20))
        threading.Thread(target=time.sleep, args=(0.05,)).start()
        """)

        assert Py.Context.stop(context) == :ok
      end

      assert abandoned.() == before
    end
  end
end
