# What needs own-GIL contexts has the tag `:own_gil`, or says so in the name of its describe block. Python 3.11 has none.
without_own_gil = [:own_gil, describe: "owngil", describe: "own-GIL contexts"]
info = Py.info()

if not info.own_gil do
  IO.puts(
    "Excluding tests of own-GIL contexts: CPython #{info.version} has no sub-interpreters with a GIL of their own"
  )
end

[major, minor | _rest] = info.version |> String.split(".") |> Enum.map(&Integer.parse/1)
ctypes? = {elem(major, 0), elem(minor, 0)} >= {3, 13}

if info.own_gil and not ctypes? do
  IO.puts("Excluding tests of ctypes in own-GIL contexts: it loads there from CPython 3.13 on")
end

ExUnit.start(
  exclude:
    if(info.own_gil, do: [], else: without_own_gil) ++
      if(ctypes?, do: [], else: [ctypes: :owngil])
)

before = Py.Test.Leftovers.take()

# After a failure, what its test left behind says nothing.
ExUnit.after_suite(fn %{failures: failures} ->
  if failures == 0, do: Py.Test.Leftovers.check!(before)
end)
