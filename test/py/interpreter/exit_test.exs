defmodule Py.Interpreter.ExitTest do
  # How a VM ends, in each way, whatever Python does: with its status, in bounded time, and nothing lost.
  use ExUnit.Case

  alias Py.Test.{Wait, VM}

  @moduletag :once
  @moduletag timeout: 300_000

  # Seconds that each VM may take, its start included: far more than the 4 that contexts and exit functions have.
  @limit 30

  @ways [
    halt: {"System.halt(3)", 3},
    halt_without_flush: {":erlang.halt(3, [flush: false])", 3},
    end_of_script: {"", 0},
    exception: {"raise \"of the script\"", 1},
    stop: {"System.stop(3)\nProcess.sleep(:infinity)", 3},
    sigterm: {"System.cmd(\"kill\", [\"-TERM\", System.pid()])\nProcess.sleep(:infinity)", 0},
    application: {"Application.stop(:erlang_python)\nIO.puts(\"stopped\")", 0},
    # The script runs again.
    restart:
      {"if System.get_env(\"RESTARTED\"), do: System.halt(3)\n" <>
         "System.put_env(\"RESTARTED\", \"1\")\n:init.restart()\nProcess.sleep(:infinity)", 3}
  ]

  # What a worker and an own-GIL context run meanwhile, and whether Python can still be reached.
  @states [
    idle: {nil, true},
    busy: {"while True: pass", true},
    waiting: {"import time\ntime.sleep(600)", true},
    holding_the_gil: {"3 ** 10 ** 9", false},
    blas: {"import numpy\na = numpy.ones((3000, 3000))\nwhile True: a @ a", true},
    thread:
      {"import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()", true},
    forked:
      {"import multiprocessing, time\nchild = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600,), daemon=True)\n" <>
         "child.start()\nerlang.state_incr('begun')\nchild.join()", true}
  ]

  @prelude ~S"""
  import atexit
  atexit.register(print, "from atexit")
  print("printed")
  print("printed without an end", end="")
  kept_open = open(path, "w")
  kept_open.write("written")
  """

  for {state, {python, reached}} <- @states do
    @tag state: state
    test "every way to end while Python is #{state}" do
      if unquote(state) == :blas and not numpy?() do
        IO.puts("skipped: no numpy in this Python")
      else
        @ways
        |> Enum.reject(fn {way, _expected} -> impossible?(unquote(state), way) end)
        |> Enum.map(fn {way, _expected} = entry -> {entry, Wait.tmp_path("#{way}")} end)
        |> Task.async_stream(&check(unquote(state), unquote(python), unquote(reached), &1),
          max_concurrency: 3,
          timeout: :infinity
        )
        |> Enum.each(fn {:ok, :ok} -> :ok end)
      end
    end
  end

  # C++ libraries register the destructors of their objects like this, when they are loaded.
  test "contexts end before the destructors of libraries that Python has loaded" do
    code = """
    import atexit, ctypes
    atexit.register(print, "from atexit")
    libc = ctypes.CDLL(None)
    kept = ctypes.create_string_buffer(b"from a destructor")
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    libc.__cxa_atexit(libc.perror, kept, None)
    """

    for way <- ["System.halt(0)", "System.stop()\nProcess.sleep(:infinity)", ""] do
      {output, 0} = VM.run("Py.exec!(#{inspect(code)})\n#{way}", limit: @limit)
      assert [_start, _end] = String.split(output, ~r/from atexit.*from a destructor/s), output
    end
  end

  # While code that no interrupt ends holds the GIL, nothing can be restarted. A child outlives a VM that ends at once, or that
  # was restarted: multiprocessing registers its exit function once, and that has run at the restart.
  defp impossible?(:holding_the_gil, way), do: way == :restart
  defp impossible?(:forked, way), do: way in [:halt_without_flush, :restart]
  defp impossible?(_state, _way), do: false

  defp check(state, python, reached, {{way, {code, status}}, path}) do
    {output, got} =
      VM.run(
        "Py.exec!(#{inspect(@prelude)}, locals: %{path: #{inspect(path)}})\n" <>
          work(state, python) <> code,
        limit: @limit
      )

    context = "#{state}, #{way}: status #{got}, output #{inspect(output)}"
    assert got == status, context
    assert output =~ "printed\n", context

    # Without its flush, the VM leaves no time for anything.
    if reached and way != :halt_without_flush do
      assert output =~ "printed without an end", context
      times = if way == :restart, do: 2, else: 1
      assert length(String.split(output, "from atexit")) == times + 1, context
      assert File.read!(path) == "written", context
    end

    refute output =~ "crashed", context
    :ok
  end

  defp work(_state, nil), do: ""

  defp work(state, python) do
    modes =
      if Py.info().own_gil and state not in [:holding_the_gil, :blas, :forked],
        do: [:worker, :owngil],
        else: [:worker]

    Enum.map_join(modes, fn mode ->
      """
      {:ok, context} = Py.Context.start_link(mode: #{inspect(mode)})
      before = Py.State.get("begun", 0)
      spawn(fn -> Py.exec(context, #{inspect(begun(python))}, timeout: :infinity) end)
      wait = fn wait -> Py.State.get("begun", 0) > before or wait.(wait) end
      wait.(wait)
      """
    end)
  end

  # Code says that it has begun, if not at its start.
  defp begun(python) do
    if python =~ "begun", do: python, else: "erlang.state_incr('begun')\n" <> python
  end

  defp numpy?, do: Py.eval!("__import__('importlib.util').util.find_spec('numpy') is not None")
end
