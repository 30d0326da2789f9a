defmodule Py.Test.Leftovers do
  @moduledoc false
  # What outlives tests in the main interpreter, and they have to leave as they found it: `sys.path`, the names in `builtins`,
  # and the working directory. Compared before the first test and after the last one. Pools, registered functions and the
  # shared state are not compared: a test that restarts the application, or clears the state, would hide what others leave.

  # The last value that `sys.displayhook` has printed is `_`.
  @code "(lambda os, sys, builtins: (sys.path[:], sorted({*dir(builtins)} - {'_'}), os.getcwd()))" <>
          "(__import__('os'), __import__('sys'), __import__('builtins'))"

  @doc "Reads them."
  def take do
    {sys_path, builtins, folder} = Py.eval!(@code, context: worker())
    %{sys_path: sys_path, builtins: builtins, folder: [folder]}
  end

  defp worker,
    do: Enum.find(Py.Context.list(), &match?({:ok, %{mode: :worker}}, Py.Context.info(&1)))

  @doc "Restores `sys.path` of the main interpreter after the test."
  def restore_sys_path do
    %{sys_path: path} = take()

    ExUnit.Callbacks.on_exit(fn ->
      Py.exec!(worker(), "import sys\nsys.path[:] = path", locals: %{path: path})
    end)
  end

  @doc "Raises if anything differs from `before`."
  def check!(before) do
    now = take()

    differences =
      for {what, was} <- before, now[what] != was do
        %{what => %{added: now[what] -- was, removed: was -- now[what]}}
      end

    if differences != [] do
      raise "tests have left something behind in the main interpreter:\n" <>
              inspect(differences, pretty: true, limit: :infinity)
    end
  end
end
