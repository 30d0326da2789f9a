defmodule Py.Test.Leftovers do
  @moduledoc false
  # What tests share and have to leave as they found it: the main interpreter's `sys.path`, pools, contexts, registered functions,
  # keys of the shared state, and the limit. Compared before the first test and after the last one.

  @doc "The shared things, as they are now."
  def take do
    %{
      sys_path: Py.eval!("list(__import__('sys').path)"),
      pools: Enum.sort(Py.Router.pools()),
      contexts: length(Py.Context.list()),
      functions: Py.Callback.counts() |> Enum.map(&elem(&1, 0)) |> Enum.sort(),
      state: Enum.sort(Py.State.keys()),
      max_concurrent: Py.Semaphore.max_concurrent()
    }
  end

  @doc "Raises if anything differs from `before`. What processes of the last test hold ends with them, after a moment."
  def check!(before) do
    Py.Test.Wait.eventually(fn -> take() == before end)
  rescue
    ExUnit.AssertionError ->
      now = take()
      differences = for {what, was} <- before, now[what] != was, do: {what, was, now[what]}

      raise "tests have left something behind, as {what, before the first test, after the last}:\n" <>
              inspect(differences, pretty: true, limit: :infinity)
  end
end
