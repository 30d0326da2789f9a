defmodule Py.Test.Interpreter do
  @moduledoc false
  # The main interpreter as it was, for tests that change what all worker contexts share.

  @doc "Restores `sys.path` after the tests. For `setup_all` and `setup`."
  def keep_path do
    path = run(&Py.eval!(&1, "list(__import__('sys').path)"))
    restore = "__import__('sys').path[:] = path"
    ExUnit.Callbacks.on_exit(fn -> run(&Py.exec!(&1, restore, locals: %{path: path})) end)
  end

  # On a worker context of its own: the default pool may be of the other mode.
  defp run(fun) do
    {:ok, context} = Py.Context.start_link()
    result = fun.(context)
    Py.Context.stop(context)
    result
  end
end
