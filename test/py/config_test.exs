defmodule Py.ConfigTest do
  # The application is stopped.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog

  setup do
    capture_log(fn -> :ok = Application.stop(:erlang_python) end)

    on_exit(fn ->
      Application.delete_env(:erlang_python, :artifacts)
      Application.delete_env(:erlang_python, :artefacts)
      capture_log(fn -> {:ok, _started} = Application.ensure_all_started(:erlang_python) end)
    end)
  end

  test "the place of the artifacts, which a compilation reads, is known to the application" do
    Application.put_env(:erlang_python, :artifacts, "/srv/artifacts")
    capture_log(fn -> assert Application.start(:erlang_python) == :ok end)
    assert Py.eval("40 + 2") == {:ok, 42}
  end

  test "a key that nothing reads stops the start" do
    Application.put_env(:erlang_python, :artefacts, "/srv/artifacts")

    capture_log(fn ->
      assert {:error, reason} = Application.start(:erlang_python)
      assert inspect(reason) =~ "config :erlang_python has artefacts:"
    end)

    assert {:error, %Py.ContextError{}} = Py.eval("1")
  end
end
