defmodule Py.Test.Pool do
  @moduledoc false
  # Pools of a test, and the default pool in another mode for code that names no context.

  import ExUnit.Assertions

  @doc "Restarts the default pool in `mode` with two contexts at least; as it was after the test. For `setup`."
  def default_pool(mode) do
    was = %{mode: Py.Router.mode(), contexts: Py.Router.num_contexts()}

    if was.mode != mode or was.contexts < 2,
      do: restart(mode: mode, contexts: max(2, was.contexts))

    ExUnit.Callbacks.on_exit(fn -> restore(was) end)
  end

  defp restore(was) do
    if was != %{mode: Py.Router.mode(), contexts: Py.Router.num_contexts()},
      do: restart(Map.to_list(was))
  end

  defp restart(settings) do
    Py.Router.stop()
    {:ok, _contexts} = Py.Router.start(settings)
    :ok
  end

  @doc "A name that no other pool has."
  def name, do: :"pool_#{System.unique_integer([:positive])}"

  @doc "Starts a pool for the time of the test: its name and its contexts."
  def pool(size, options \\ []) do
    name = name()
    {:ok, pids} = Py.Router.start_pool(name, size, options)
    ExUnit.Callbacks.on_exit(fn -> Py.Router.stop_pool(name) end)
    {name, pids}
  end

  @doc "Keeps a context busy in C code, past the timeout, until the pipe is released."
  def hang(context, pipe) do
    assert {:error, %Py.TimeoutError{}} =
             Py.exec(context, "open(path).close()", locals: %{path: pipe}, timeout: 50)
  end
end
