defmodule Py.Test.Callback do
  @moduledoc false
  # Functions that Python calls, and what is checked after such a call.

  import ExUnit.Assertions
  import Py.Test.Case, only: [eval: 2]
  import Py.Test.Wait

  @doc "Registers a function for the time of the test."
  def register(name, fun) do
    ExUnit.Callbacks.on_exit(fn -> Py.unregister_function(name) end)
    :ok = Py.register_function(name, fun)
  end

  @doc "The value of `code`, or the attributes of the exception it raises, as Python sees them."
  def caught(ctx, code, locals \\ %{}) do
    Py.exec!(
      ctx,
      """
      import erlang
      try:
          outcome = #{code}
      except erlang.CallbackError as error:
          outcome = (error.kind, error.reason, error.stacktrace, isinstance(error, RuntimeError), str(error))
      outcome
      """,
      locals: locals,
      return: :last
    )
  end

  @doc "Checks that callbacks work, and that nothing is left of earlier ones."
  def works(ctx) do
    register("works", &(&1 + 1))
    assert eval(ctx, "__import__('erlang').call('works', 41)") == 42
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    assert mailbox() == []
  end

  @doc "For functions that report to the test and return something else."
  def tell(pid, message, result \\ nil) do
    send(pid, message)
    result
  end
end
