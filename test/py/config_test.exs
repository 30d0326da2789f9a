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

  test "all functions have one error while the application is not running" do
    not_running = fn result ->
      assert {:error, %Py.ContextError{reason: :not_running}} = result
    end

    pid = self()

    for options <- [[], [context: 1], [context: :ml], [context: pid]] do
      not_running.(Py.call(:math, :sqrt, [1], options))
      not_running.(Py.await(Py.async(:math, :sqrt, [1], options)))
    end

    not_running.(Py.parallel([{:math, :sqrt, [1]}]))
    not_running.(Py.Context.start_link())
    not_running.(Py.Context.new_env(1))

    for context <- [1, :ml, pid] do
      not_running.(Py.Context.info(context))
      not_running.(Py.Context.stack(context))
      not_running.(Py.Context.interrupt(context))
    end

    assert capture_log(fn -> :ok = Py.cast(:math, :sqrt, [1]) end) =~ "is not running"

    for raises <- [&Py.info/0, &Py.stats/0],
        do: assert_raise(Py.ContextError, ~r/is not running/, raises)
  end
end
