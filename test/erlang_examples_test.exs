# What programs written for py do: test/erlang/py_examples.erl and examples/, with a default pool of either mode.
for mode <- Py.Test.Case.modes() do
  defmodule Module.concat(ErlangExamplesTest, mode |> Atom.to_string() |> String.capitalize()) do
    use ExUnit.Case, async: false

    import ExUnit.CaptureIO

    @mode mode
    setup_all do: Py.Test.Pool.default_pool(@mode)

    for name <- :py_examples.all() do
      @name name
      test "#{name}" do
        # What other tests have left behind may take a while to end.
        assert Py.Test.Wait.eventually(fn -> Py.Semaphore.in_use() == 0 end)
        assert apply(:py_examples, @name, []) == :ok
        assert Py.Test.Wait.eventually(fn -> Py.Semaphore.in_use() == 0 end)
      end
    end

    # In the compiled files of the suite there are none of examples/.
    test "examples/reentrant_demo" do
      assert {:ok, :reentrant_demo, code, []} =
               :compile.file(~c"examples/reentrant_demo.erl", [
                 :binary,
                 :return,
                 :warnings_as_errors
               ])

      {:module, :reentrant_demo} =
        :code.load_binary(:reentrant_demo, ~c"examples/reentrant_demo.erl", code)

      assert capture_io(fn -> assert apply(:reentrant_demo, :start, []) == :ok end) == """
             (7 + 3) * (7 - 3): 40
             fibonacci(60), each number computed once: 1548008755920
             levels of Erlang and Python on top of each other: 50
             balance after withdrawing 30, 50 and what is not there: 20
             """
    end
  end
end

defmodule ErlangExamplesTest do
  use ExUnit.Case, async: true

  alias Py.Test.Peer

  @tag :own_gil
  test "sys_config: a VM that is started with a sys.config" do
    file = Py.Test.Wait.tmp_path("sys.config")

    File.write!(
      file,
      "[{erlang_python, [{max_concurrent, 50}, {context_mode, owngil}, {num_contexts, 8}]}].\n"
    )

    peer = Peer.start([], [~c"-config", to_charlist(file)])
    assert {:ok, _started} = Peer.start_python(peer)
    assert Peer.call(peer, :py_examples, :sys_config, []) == :ok
  end
end
