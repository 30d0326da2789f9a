defmodule Py.Context.StackTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  @code """
  def outer(n, work):
      return inner(n, work)

  def inner(n, work):
      if n:
          return inner(n - 1, work)
      return work()

  class Größe:
      def wait(self):
          open(path).close()
  """

  for mode <- Py.Test.Case.modes() do
    describe "#{mode}" do
      setup do
        context =
          start_supervised!({Py.Context, mode: unquote(mode)}, id: :stack, restart: :temporary)

        Py.exec!(context, @code)
        pipe = pipe()
        Py.exec!(context, "path = #{inspect(pipe)}")
        {:ok, context: context, pipe: pipe}
      end

      test "an idle context runs nothing", %{context: context} do
        assert Py.Context.stack(context) == {:ok, []}
      end

      test "frames have file, line and qualified name, outermost first", ctx do
        %{context: context, pipe: pipe} = ctx
        task = Task.async(fn -> Py.eval(context, "outer(2, Größe().wait)") end)

        assert [
                 %{file: "<eval " <> _, line: 1, function: "<module>"},
                 %{file: "<exec " <> _, line: 2, function: "outer"},
                 %{line: 6, function: "inner"},
                 %{line: 6, function: "inner"},
                 %{line: 7, function: "inner"},
                 %{line: 11, function: "Größe.wait"}
               ] = innermost(context, "Größe.wait")

        release(pipe)
        assert Task.await(task) == {:ok, nil}
        assert Py.Context.stack(context) == {:ok, []}
      end

      test "of a deep stack the innermost frames are shown", ctx do
        %{context: context, pipe: pipe} = ctx
        task = Task.async(fn -> Py.eval(context, "outer(300, Größe().wait)") end)
        frames = innermost(context, "Größe.wait")
        assert length(frames) == 100
        assert Enum.all?(Enum.drop(frames, -1), &(&1.function == "inner"))
        release(pipe)
        assert Task.await(task) == {:ok, nil}
      end

      test "of code that runs on and on there is always some answer", %{context: context} do
        code = "def spin():\n    while True:\n        sorted([3, 1, 2], key=lambda x: -x)\nspin()"
        task = Task.async(fn -> Py.exec(context, code, timeout: :infinity) end)
        innermost(context, "spin")

        for _ <- 1..2_000 do
          assert {:ok, frames} = Py.Context.stack(context)
          assert Enum.all?(frames, &(is_binary(&1.file) and &1.line in [nil, 1, 2, 3, 4]))
        end

        Py.interrupt(context)
        assert {:error, %Py.InterruptedError{}} = Task.await(task)
      end

      # Before CPython 3.13, `ctypes` cannot be loaded there.
      @tag ctypes: mode
      test "C code that holds the GIL is in the way of nothing", %{context: context, pipe: pipe} do
        code = """
        import ctypes, os
        def native(file):
            return ctypes.PyDLL(None).open(file, 0)
        os.close(native(os.fsencode(path)))
        """

        task = Task.async(fn -> Py.exec(context, code, timeout: :infinity) end)
        assert [%{line: 4}, %{line: 3}] = innermost(context, "native")
        release(pipe)
        assert Task.await(task) == :ok
      end

      test "a context that waits for a function of ours shows who called it", ctx do
        %{context: context} = ctx

        Py.register_function("look_at_stack", fn ->
          {:ok, frames} = Py.Context.stack(context)
          Enum.map(frames, & &1.function)
        end)

        on_exit(fn -> Py.unregister_function("look_at_stack") end)
        code = "import erlang\ndef asks():\n    return erlang.call('look_at_stack')"
        Py.exec!(context, code)
        assert ["<module>", "asks" | _own] = Py.eval!(context, "asks()")
      end

      test "a context that has ended has none", %{context: context} do
        Py.Context.stop(context)
        assert {:error, %Py.ContextError{}} = Py.Context.stack(context)
        assert {:error, %Py.ContextError{reason: :not_found}} = Py.Context.stack(:no_such_context)
      end
    end
  end

  defp innermost(context, function) do
    eventually(fn ->
      {:ok, frames} = Py.Context.stack(context)
      match?(%{function: ^function}, List.last(frames)) && frames
    end)
  end
end
