defmodule Py.Interpreter.HomeTest do
  # Python finds here what it finds in a session of its own.
  use Py.Test.Case

  alias Py.Test.VM

  for mode <- modes() do
    describe "#{mode}" do
      @describetag mode: mode

      test "classes of a namespace are pickled and found again", %{ctx: ctx} do
        code = """
        import pickle, sys
        class Kept:
            def __init__(self, value): self.value = value
            def __eq__(self, other): return self.value == other.value
        data = pickle.dumps(Kept(5))
        pickle.loads(data) == Kept(5) and sys.modules['__main__'].Kept is Kept
        """

        assert Py.exec(ctx, code, return: :last) == {:ok, true}
        # Without any frame of that namespace.
        kept = Py.eval!(ctx, "Kept(6)", return: :object)
        assert {:ok, data} = Py.call(ctx, :pickle, :dumps, [kept])
        assert {:ok, loaded} = Py.call(ctx, :pickle, :loads, [data], return: :object)
        assert Py.Object.getattr(loaded, :value) == {:ok, 6}
      end

      test "each namespace has a __main__ of its own", %{ctx: ctx} do
        [one, two] = for _ <- 1..2, do: Py.Env.new(context: ctx)

        for {env, value} <- [{one, 1}, {two, 2}] do
          Py.exec!("class Shared: value = #{value}\nimport pickle, sys\nname = #{value}",
            env: env
          )
        end

        for {env, value} <- [{one, 1}, {two, 2}] do
          assert Py.eval!("pickle.loads(pickle.dumps(Shared)).value", env: env) == value
          assert Py.eval!("sys.modules['__main__'].name", env: env) == value
        end

        Py.exec!("sys.modules['__main__'].added = 3", env: one)
        assert Py.eval!("added", env: one) == 3
        assert {:error, %Py.Error{type: "NameError"}} = Py.eval("added", env: two)
        Py.exec!("del sys.modules['__main__'].added", env: one)
        assert {:error, %Py.Error{type: "NameError"}} = Py.eval("added", env: one)

        assert {:error, %Py.Error{type: "AttributeError"}} =
                 Py.eval("sys.modules['__main__'].added", env: one)
      end

      test "postponed annotations, unittest and doctest look into the namespace", %{ctx: ctx} do
        assert Py.exec!(
                 ctx,
                 """
                 from __future__ import annotations
                 import doctest, io, typing, unittest
                 class Node:
                     next: Node
                 def double(x):
                     '''
                     >>> double(2)
                     4
                     '''
                     return 2 * x
                 class DoubleTest(unittest.TestCase):
                     def test_double(self): self.assertEqual(double(3), 6)
                 hints = typing.get_type_hints(Node)
                 runner = unittest.TextTestRunner(stream=io.StringIO())
                 tests = unittest.main(exit=False, argv=['x'], testRunner=runner).result.testsRun
                 (hints['next'] is Node, doctest.testmod().attempted, tests)
                 """,
                 return: :last
               ) == {true, 1, 1}
      end

      test "input, breakpoint and pdb raise advice, and nothing waits", %{ctx: ctx} do
        for code <- ["input('name? ')", "__import__('sys').stdin.readline()"] do
          assert %Py.Error{type: "EOFError", message: message} = error(ctx, code)
          assert message =~ "IO.gets"
        end

        assert %Py.Error{type: "RuntimeError", message: message} = error(ctx, "breakpoint()")
        assert message =~ "Py.Error"
        assert {:error, %Py.Error{}} = Py.exec(ctx, "import pdb\npdb.set_trace()\nx = 1")
        assert eval(ctx, "1 + 1") == 2
      end

      test "the module erlang is in every namespace, and tells what cannot be sent", %{ctx: ctx} do
        assert eval(ctx, "erlang.state_get('no such key', 5)") == 5
        assert Py.eval!("erlang.self() is not None", env: Py.Env.new(context: ctx)) == true
        dead = spawn(fn -> :ok end)
        monitor = Process.monitor(dead)
        assert_receive {:DOWN, ^monitor, _, _, _}

        assert %Py.Error{type: "ProcessError", module: "erlang"} =
                 error(ctx, "erlang.send(pid, 1)", %{pid: dead})

        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.send(5, 1)")
        assert eval(ctx, "erlang.send(pid, 'text')", %{pid: self()}) == nil
        assert_receive "text"
        router = Process.whereis(Py.Router)

        for name <- [
              "'Elixir.Py.Router'",
              "b'Elixir.Py.Router'",
              "erlang.atom('Elixir.Py.Router')"
            ] do
          assert eval(ctx, "erlang.whereis(#{name})") == router
        end

        assert eval(ctx, "erlang.whereis(b'no such name')") == nil
        assert eval(ctx, "issubclass(erlang.SuspensionRequired, BaseException)") == true
      end

      test "exit and quit are SystemExit and no more", %{ctx: ctx} do
        for code <- ["exit(3)", "quit(3)"] do
          assert %Py.Error{type: "SystemExit", message: "3"} = error(ctx, code)
        end

        assert eval(ctx, "__import__('sys').stdin.closed") == false
      end
    end
  end

  test "variables of the environment that Python's start reads" do
    folder = Py.Test.Wait.tmp_path("modules")
    File.mkdir_p!(folder)
    File.write!(Path.join(folder, "only_on_the_path.py"), "answer = 42")

    env = [{"PYTHONPATH", folder}, {"PYTHONUNBUFFERED", "1"}, {"PYTHONWARNINGS", "error"}]

    {output, 0} =
      VM.run(
        """
        IO.inspect(Py.eval!("(__import__('only_on_the_path').answer, __import__('sys').stdout.write_through, " <>
          "__import__('sys').warnoptions)"))
        """,
        env: env
      )

    assert output =~ ~s({42, true, ["error"]})
  end

  test "variables that the VM has set are seen by Python, C code and programs" do
    {output, 0} =
      VM.run(
        """
        System.put_env("SET_BEFORE", "before")
        System.delete_env("DELETED_BEFORE")
        {:ok, _} = Application.ensure_all_started(:erlang_python)
        code = "[__import__('os').environ.get(n) for n in ['SET_BEFORE', 'DELETED_BEFORE', 'SET_LATER']]"
        program = "__import__('subprocess').run(['sh', '-c', 'echo $SET_BEFORE $SET_LATER'], capture_output=True).stdout"
        IO.inspect({Py.eval!(code), Py.eval!(program)})
        System.put_env("SET_LATER", "later")
        System.delete_env("SET_BEFORE")
        IO.inspect(Py.eval!(code))
        :ok = Py.Setup.sync_env()
        IO.inspect({Py.eval!(code), Py.eval!(program)})
        """,
        start: false,
        env: [{"DELETED_BEFORE", "1"}]
      )

    assert output =~ ~s({["before", nil, nil], "before\\n"})
    assert output =~ ~s(\n["before", nil, nil]\n)
    assert output =~ ~s({[nil, nil, "later"], "later\\n"})
  end

  test "without the application each function says what to start, but for what is known without it" do
    {output, 0} =
      VM.run(
        """
        Logger.configure(level: :none)
        true = is_boolean(:py_nif.owngil_supported()) and is_boolean(:py_nif.subinterp_supported())
        :gil = :py_nif.execution_mode()

        calls = [
          fn -> Py.eval!("1") end,
          fn -> Py.stats() end,
          fn -> Py.register_function("f", fn -> 1 end) end,
          fn -> Py.Router.start_pool(:pool, 1) end,
          fn -> raise elem(Py.Context.start_link(), 1) end
        ]

        native = [fn -> Py.info() end, fn -> Py.State.put("a", 1) end, fn -> Py.Semaphore.in_use() end]

        messages = fn calls ->
          for call <- calls do
            try do
              {:returned, call.()}
            rescue
              error -> Exception.message(error)
            end
          end
        end

        before = messages.(calls ++ native)
        {:ok, _} = Application.ensure_all_started(:erlang_python)
        1 = Py.eval!("1")
        :ok = Application.stop(:erlang_python)

        for message <- before ++ messages.(calls) do
          true = is_binary(message) and message =~ "erlang_python is not running" || raise inspect(message)
        end

        IO.puts("all say so")
        """,
        start: false
      )

    assert output =~ "all say so"
  end
end
