defmodule Py.InterpreterTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Test.Peer

  @moduletag timeout: 180_000

  # The Python of these tests, as its own executable describes itself.
  defp facts(python, code) do
    {output, 0} = System.cmd(python, ["-c", "import sys, sysconfig, json\n" <> code])
    String.trim(output)
  end

  # Leaves out what differs by design: -c puts '' in front, and tests of :paths add folders of their own.
  @path "json.dumps([p for p in sys.path if p and 'erlang_python_' not in p])"

  describe "the embedded Python" do
    for mode <- Py.Test.Case.modes() do
      test "is what its executable is (#{mode})" do
        context = start_supervised!({Py.Context, mode: unquote(mode)})
        %{executable: python} = Py.info()

        for {code, expression} <- [
              {"print(sys.executable)", "sys.executable"},
              {"print(sys.prefix)", "sys.prefix"},
              {"print(sys.base_prefix)", "sys.base_prefix"},
              {"print(sys.version)", "sys.version"},
              {"print(#{@path})", @path},
              {"print(sysconfig.get_paths()['purelib'])", "sysconfig.get_paths()['purelib']"}
            ] do
          Py.exec!(context, "import sys, sysconfig, json")
          assert Py.eval!(context, expression) == facts(python, code)
        end
      end

      test "runs subprocesses with their return codes (#{mode})" do
        context = start_supervised!({Py.Context, mode: unquote(mode)})
        Py.exec!(context, "import subprocess, sys")

        assert Py.eval!(context, "subprocess.run(['sh', '-c', 'exit 3']).returncode") == 3

        assert Py.eval!(
                 context,
                 "subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True).stdout"
               ) ==
                 "42\n"

        assert Py.eval!(context, "subprocess.run(['sh', '-c', 'kill -9 $$']).returncode") == -9

        assert {:error, %Py.Error{type: "FileNotFoundError"}} =
                 Py.eval(context, "subprocess.run(['no-such-program'])")
      end
    end

    @pool """
    import multiprocessing, math, os
    with multiprocessing.Pool(2) as pool:
        roots = pool.map(math.sqrt, [1, 4, 9])
        others = set(pool.map(os.path.basename, ["a/b", "c/d"]))
    [multiprocessing.get_start_method(), roots, others]
    """

    @tag :own_gil
    test "runs multiprocessing by spawning in worker contexts, and says so elsewhere" do
      worker = start_supervised!({Py.Context, mode: :worker}, id: :worker)
      expected = ["spawn", [1.0, 2.0, 3.0], MapSet.new(["b", "d"])]
      assert Py.exec(worker, @pool, return: :last, timeout: 60_000) == {:ok, expected}

      own = start_supervised!({Py.Context, mode: :owngil}, id: :own)

      assert {:error, %Py.Error{type: "RuntimeError"} = error} =
               Py.exec(own, @pool, return: :last)

      assert Exception.message(error) =~ "use a worker context (mode: :worker)"
      assert Py.eval(own, "1 + 1") == {:ok, 2}
    end

    test "leaves the BEAM's own ports working" do
      assert System.cmd("sh", ["-c", "exit 5"]) == {"", 5}
    end

    test "does not take signals" do
      assert {:error, %Py.Error{type: "ValueError"} = error} =
               Py.eval("__import__('signal').signal(__import__('signal').SIGTERM, print)")

      assert error.message =~ "main thread"
    end
  end

  describe "a virtual environment" do
    setup do
      dir = tmp_path("venv")

      {_output, 0} =
        System.cmd(Py.info().executable, ["-m", "venv", "--without-pip", dir],
          stderr_to_stdout: true
        )

      [site] = Path.wildcard(Path.join(dir, "lib/python*/site-packages"))
      File.write!(Path.join(site, "only_in_this_venv.py"), "answer = 42")
      {:ok, venv: dir}
    end

    test "is found by VIRTUAL_ENV, ERLANG_PYTHON and configuration", %{venv: venv} do
      ways = [
        {[{"VIRTUAL_ENV", venv}, {"ERLANG_PYTHON", nil}], []},
        {[{"ERLANG_PYTHON", Path.join(venv, "bin/python")}], []},
        {[{"ERLANG_PYTHON", "/nowhere"}], [venv: venv]}
      ]

      for {env, config} <- ways do
        peer = Peer.start(env)
        assert {:ok, _started} = Peer.start_python(peer, [num_contexts: 1] ++ config)
        assert Peer.call(peer, Py, :eval, ["__import__('only_in_this_venv').answer"]) == {:ok, 42}
        assert Peer.call(peer, Py, :eval, ["__import__('sys').prefix"]) == {:ok, venv}
        mode = List.last(Py.Test.Case.modes())
        {:ok, own} = Peer.call(peer, GenServer, :start, [Py.Context.Server, options(mode: mode)])

        assert Peer.call(peer, Py, :eval, [own, "__import__('only_in_this_venv').answer"]) ==
                 {:ok, 42}

        :peer.stop(peer)
      end
    end

    test "that is broken is named", %{venv: venv} do
      File.rm!(Path.join(venv, "bin/python"))
      File.ln_s!("/nowhere/python3", Path.join(venv, "bin/python"))
      message = start_failure([{"VIRTUAL_ENV", venv}, {"ERLANG_PYTHON", nil}])
      assert message =~ "VIRTUAL_ENV=#{venv} cannot be used"
      assert message =~ "broken virtual environment"
    end
  end

  describe "a Python that cannot be embedded" do
    test "is a clear error: missing, static, too old, free-threaded, another implementation, no Python at all" do
      cases = [
        {nil, "does not exist"},
        {["CPython", "3.13", "/x/python", "", "/x", "/x", "0"], "without a shared library"},
        {["CPython", "3.10", "/x/python", "/x/libpython3.10.so", "/x", "/x", "0"], "too old"},
        {["CPython", "3.14", "/x/python", "/x/libpython3.14t.so", "/x", "/x", "1"],
         "free-threaded"},
        {["PyPy", "3.11", "/x/pypy", "/x/libpypy.so", "/x", "/x", "0"], "only CPython"},
        {["hello"], "did not say what it is"}
      ]

      for {facts, text} <- cases do
        python = tmp_path("python")
        if facts, do: fake(python, facts)
        assert {:error, reason} = Py.Interpreter.probe(python)
        assert reason =~ text
      end

      python = tmp_path("python")
      fake(python, ["CPython", "3.13", "/x/python", "", "/x", "/x", "0"])
      message = start_failure([{"ERLANG_PYTHON", python}])
      assert message =~ "ERLANG_PYTHON=#{python} cannot be used"
      assert message =~ "config :erlang_python, python:"
    end

    test "by its library is a clear error" do
      library = tmp_path("libpython3.13.so")
      File.write!(library, "this is no library")
      python = tmp_path("python")
      fake(python, ["CPython", "3.13", python, library, "/x", "/x", "0"])
      assert start_failure([{"ERLANG_PYTHON", python}]) =~ library
    end

    test "is skipped where it was merely found" do
      dir = tmp_path("bin")
      File.mkdir_p!(dir)
      fake(Path.join(dir, "python3"), ["CPython", "3.13", "/x/python", "", "/x", "/x", "0"])
      File.ln_s!(Py.info().executable, Path.join(dir, "python3.14"))
      env = [{"ERLANG_PYTHON", nil}, {"VIRTUAL_ENV", nil}]

      peer = Peer.start([{"PATH", "#{dir}:/bin"} | env])
      assert {:ok, _started} = Peer.start_python(peer, num_contexts: 1)
      assert Peer.call(peer, Py, :eval, ["1 + 1"]) == {:ok, 2}
      :peer.stop(peer)
    end
  end

  describe "configuration" do
    test "that is wrong is named" do
      for {key, value, text} <- [
            {:num_contexts, -1, "non-negative"},
            {:context_mode, :fast, ":worker or :owngil"},
            {:max_concurrent, 0, "positive"},
            {:paths, "x", "list of strings"},
            {:wait, "x", "milliseconds"},
            {:start_timeout, 0, "milliseconds"},
            {:replace_stuck, :infinity, "milliseconds or :never"},
            {:paths, ["/nowhere/at/all"], "there is no \\\"/nowhere/at/all\\\""},
            {:venv, "/nowhere", "no virtual environment"}
          ] do
        peer = Peer.start([])
        assert {:error, reason} = Peer.start_python(peer, [{key, value}])
        assert inspect(reason) =~ "config :erlang_python, #{key}"
        assert inspect(reason) =~ text
        :peer.stop(peer)
      end
    end

    test "with a key that is none is refused, and the keys are listed" do
      peer = Peer.start([])
      assert {:error, reason} = Peer.start_python(peer, num_context: 2)
      assert inspect(reason) =~ "has num_context:; the keys are context_mode, "
      :peer.stop(peer)
    end

    test "of code that fails at the start is named, with line and traceback" do
      for {config, text} <- [
            {[imports: ["no_such_module"]], "import no_such_module"},
            {[preload: "x = 1\ny = x['a']"], "line 2, in <module>"}
          ] do
        start = "{:error, {_, reason}} = Application.ensure_all_started(:erlang_python)\n"
        code = start <> "IO.puts(Exception.format_exit(reason))"
        {output, 0} = Py.Test.VM.run(code, config: config, start: false)
        assert output =~ "(Py.ContextError) the Python context could not start: "
        assert output =~ ":imports, then :preload"
        assert output =~ "Traceback (most recent call last):"
        assert output =~ text
      end
    end

    test "without contexts says what calls need" do
      code = "{:error, error} = Py.eval(\"1\")\nIO.puts(Exception.message(error))"
      {output, 0} = Py.Test.VM.run(code, config: [num_contexts: 0])
      assert output =~ "num_contexts is 0"
    end

    test "is followed" do
      peer = Peer.start([])

      mode = List.last(Py.Test.Case.modes())

      config = [
        num_contexts: 3,
        context_mode: mode,
        max_concurrent: 7,
        imports: ["json"],
        preload: "answer = 42"
      ]

      assert {:ok, _started} = Peer.start_python(peer, config)

      assert %{contexts: 3, context_mode: ^mode, max_concurrent: 7} =
               Peer.call(peer, Py, :info, [])

      assert Peer.call(peer, Py, :eval, ["json.dumps(answer)"]) == {:ok, "42"}
      :peer.stop(peer)
    end

    test "without contexts leaves explicit ones" do
      peer = Peer.start([])
      assert {:ok, _started} = Peer.start_python(peer, num_contexts: 0)
      assert {:error, %Py.ContextError{reason: :not_found}} = Peer.call(peer, Py, :eval, ["1"])
      {:ok, own} = Peer.call(peer, GenServer, :start, [Py.Context.Server, options([])])
      assert Peer.call(peer, Py, :eval, [own, "1"]) == {:ok, 1}
      :peer.stop(peer)
    end
  end

  # A program that answers the probe with these lines.
  defp fake(path, facts) do
    File.write!(path, "#!/bin/sh\ncat <<'END'\n#{Enum.join(facts, "\n")}\nEND\n")
    File.chmod!(path, 0o755)
  end

  defp start_failure(env) do
    peer = Peer.start(env)
    assert {:error, reason} = Peer.start_python(peer)
    :peer.stop(peer)

    assert {:erlang_python,
            {:bad_return, {_mfa, {:EXIT, {%Py.InterpreterError{} = error, _stack}}}}} = reason

    Exception.message(error)
  end

  # As `Py.Context.start_link/1` hands them on.
  defp options(given), do: Py.Schema.check!(:context, given)
end
