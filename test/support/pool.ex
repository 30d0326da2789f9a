defmodule Py.Test.Pool do
  @moduledoc false
  # The default pool in another mode, for what uses it without naming a context.

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
end
