defmodule GuidesTest do
  # Guides change the limit, start pools and register functions.
  use ExUnit.Case, async: false

  setup do
    limit = Py.Semaphore.max_concurrent()

    on_exit(fn ->
      Py.Semaphore.set_max_concurrent(limit)
      Py.State.clear()
    end)
  end

  for guide <- Path.wildcard("guides/*.md"), do: doctest_file(guide)
end
