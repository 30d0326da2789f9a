defmodule Py.Interpreter.ForkTest do
  use Py.Test.Case

  alias Py.Test.VM

  @python ~S"""
  import os, signal, subprocess, sys, threading, time

  def code(pid):
      return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

  def status(work):
      pid = os.fork()
      if pid == 0:
          return work()
      return code(pid)

  def twice():
      import multiprocessing
      pid = os.fork()
      if pid == 0:
          os._exit(9)
      child = multiprocessing.get_context("fork").Process(target=sys.exit, args=(4,))
      child.start()
      child.join()
      ran = subprocess.run(["sh", "-c", "exit 3"], preexec_fn=lambda: None).returncode
      sys.exit(code(pid) + child.exitcode + ran)

  def killed(number):
      pid = os.fork()
      if pid == 0:
          time.sleep(60)
      os.kill(pid, number)
      return code(pid)

  def failing():
      raise ValueError("in the child")

  def calls():
      import erlang
      try:
          erlang.call("anything")
      except RuntimeError as error:
          sys.exit(7 if "forked from the BEAM" in str(error) else 8)

  def square(queue, x):
      queue.put(x * x)

  def processes():
      import multiprocessing
      context = multiprocessing.get_context("fork")
      queue = context.Queue()
      children = [context.Process(target=square, args=(queue, x)) for x in range(3)]
      for child in children:
          child.start()
      squares = sorted(queue.get() for _ in children)
      for child in children:
          child.join()
      return squares, [child.exitcode for child in children]

  class Point:
      def __init__(self, x):
          self.x = x

  def put(queue, x):
      queue.put(Point(x))

  def own_class(child):
      import multiprocessing
      context = multiprocessing.get_context("fork")
      queue = context.Queue()
      process = context.Process(target=put, args=(queue, 5))
      if child:
          process.start()
      else:
          queue.put(Point(5))
      return queue.get().x

  class Forks(Exception):
      def __str__(self):
          self.pid = self.pid if hasattr(self, "pid") else os.fork()
          return str(self.pid)

  def raise_fork():
      global raised
      raised = Forks()
      raise raised

  def terminated():
      import multiprocessing
      child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
      child.start()
      child.terminate()
      child.join()
      return child.exitcode

  def from_thread():
      codes = []
      def run():
          pid = os.fork()
          if pid == 0:
              os._exit(5)
          codes.append(code(pid))
      thread = threading.Thread(target=run)
      thread.start()
      thread.join()
      return codes

  def pty():
      pid, fd = os.forkpty()
      if pid == 0:
          os._exit(6)
      return code(pid)
  """

  # A fork is refused beside the own-GIL contexts of other tests: another VM, of worker contexts only.
  test "a child leaves with its request's end, and the parent goes on" do
    checks = [
      {"status(lambda: 1)", 0},
      {"status(lambda: sys.exit(3))", 3},
      {"status(lambda: sys.exit())", 0},
      {"status(lambda: sys.exit('bye'))", 1},
      {"status(failing)", 1},
      {"status(calls)", 7},
      {"status(twice)", 16},
      {"killed(signal.SIGTERM)", -15},
      {"killed(signal.SIGUSR1)", -10},
      {"list(processes())", [[0, 1, 4], [0, 0, 0]]},
      {"own_class(True)", 5},
      {"own_class(False)", 5},
      {"terminated()", -15},
      {"from_thread()", [5]},
      {"pty()", 6},
      {"subprocess.run(['sh', '-c', 'exit 5'], preexec_fn=lambda: None).returncode", 5}
    ]

    {output, 0} =
      VM.run("""
      Py.exec!(#{inspect(@python)})
      for {code, expected} <- #{inspect(checks)}, do: {^expected, _code} = {Py.eval!(code), code}
      {:error, %Py.Error{message: pid}} = Py.eval("raise_fork()")
      1 = Py.eval!("code(raised.pid)")
      ^pid = Py.eval!("str(raised.pid)")
      {:ok, context} = Py.Context.start_link()
      0 = Py.eval!(context, "[pid := __import__('os').fork(), __import__('os').waitpid(pid, 0)[1] if pid else 0][1]")
      IO.puts("children: \#{Py.eval!("len(__import__('subprocess').run(['pgrep', '-P', str(__import__('os').getpid()), 'beam'], capture_output=True).stdout)")}")
      """)

    assert output =~ "ValueError: in the child"
    assert output =~ "bye"
    assert output =~ "children: 0\n"
  end

  test "a fork in a preload, and in a callback's call" do
    {output, 0} =
      VM.run("""
      preload = "import os\\npid = os.fork()\\ncode = os.waitpid(pid, 0)[1] if pid else None"
      {:ok, context} = Py.Context.start_link(preload: preload)
      0 = Py.eval!(context, "code")
      Py.register_function("nested", fn -> Py.eval!("[pid := __import__('os').fork(), __import__('os').waitpid(pid, 0)[1] if pid else 0][1]") end)
      0 = Py.eval!("__import__('erlang').call('nested')")
      IO.puts("done")
      """)

    assert output =~ "done"
  end

  if :owngil in modes() do
    test "is refused where CPython cannot", %{contexts: contexts} do
      for context <- [contexts.owngil, contexts.worker] do
        Py.exec!(context, @python)
        work = if context == contexts.worker, do: "worker", else: "own-GIL contexts"

        for code <- ["status(lambda: 1)", "pty()", "processes()"] do
          assert %Py.Error{type: "RuntimeError", message: message} = error(context, code)
          assert message =~ "os.fork() does not work"
          assert message =~ work
          assert message =~ "subprocess"
        end

        assert eval(context, "subprocess.run(['sh', '-c', 'exit 5']).returncode") == 5
      end

      code = "subprocess.run(['true'], preexec_fn=lambda: None)"
      assert error(contexts.worker, code).message =~ "preexec_fn"
      assert error(contexts.owngil, code).type == "RuntimeError"
    end

    test "works again after the last own-GIL context has ended" do
      {output, 0} =
        VM.run("""
        fork = "[pid := __import__('os').fork(), __import__('os').waitpid(pid, 0)[1] if pid else 0][1]"
        {:ok, context} = Py.Context.start_link(mode: :owngil)
        {:error, %Py.Error{type: "RuntimeError"}} = Py.eval(fork)
        Py.Context.stop(context)
        IO.puts("status: \#{Py.eval!(fork)}")
        """)

      assert output =~ "status: 0\n"
    end
  end
end
