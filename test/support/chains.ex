defmodule Py.Test.Chains do
  @moduledoc false
  # Chains of nested calls: `down(n)` in Python calls `name` in Elixir, which calls `down(n - 1)` on the context it is
  # given, and so on: `n` levels.

  import Py.Test.Callback, only: [register: 2]

  # Each level leaves a mark before and after its callback; the result lists threads and interpreters, deepest last.
  @down """
  import erlang, sys, threading
  marks = []
  def down(name, n):
      marks.append(("in", n))
      here = (threading.get_ident(), id(sys.modules))
      below = erlang.call(name, n) if n else []
      marks.append(("out", n))
      return [here] + below
  """

  @doc "Registers a function that calls `down` in Python, on `contexts` in turn."
  def register_down(name, contexts) do
    for ctx <- contexts, do: Py.exec!(ctx, @down)
    # Level by level over the contexts, round and round.
    register(name, fn n ->
      ctx = Enum.at(contexts, rem(n, length(contexts)))
      Py.call!(ctx, "__main__", :down, [name, n - 1], timeout: 60_000)
    end)
  end

  @doc "Starts a chain of `n` levels on a context."
  def down(ctx, name, n, options \\ []) do
    Py.call(ctx, "__main__", :down, [name, n], [timeout: 60_000] ++ options)
  end

  @doc "Runs `work` with at most `max` permits."
  def in_permits(max, work) do
    {_in_use, before} = Py.Native.permits_used()
    ExUnit.Callbacks.on_exit(fn -> Py.Native.set_max_permits(before) end)
    Py.Native.set_max_permits(max)
    work.()
    Py.Native.set_max_permits(before)
  end
end
