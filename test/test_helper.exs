# Python 3.11 has no own-GIL sub-interpreters: what tests them says so in the name of its describe block.
own_gil = if Py.info().own_gil, do: [], else: [describe: "owngil", describe: "own-GIL contexts"]

ExUnit.start(exclude: own_gil)
