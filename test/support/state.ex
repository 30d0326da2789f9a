defmodule Py.Test.State do
  @moduledoc false
  # Setups of tests of the shared state.

  alias Py.State

  @doc "Clears the state before and after the test, and restores its bound."
  def clear(_tags) do
    # Left by tests of other modules.
    State.clear()

    ExUnit.Callbacks.on_exit(fn ->
      Py.Native.state_set_max(Py.Config.get(:max_state_entries))
      State.clear()
    end)
  end

  @doc "Imports `erlang` in the context of the test, if it has one."
  def import_erlang(%{ctx: ctx}) do
    if ctx, do: Py.exec!(ctx, "import erlang")
    :ok
  end
end
