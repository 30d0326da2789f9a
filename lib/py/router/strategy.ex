defmodule Py.Router.Strategy do
  @moduledoc """
  The way a pool chooses the context of a call.

  Built in: `:affinity` (default) gives a process a context in turn at its first call and stays with it, so that a process
  finds its variables again; contexts on which a request has run for more than 5 ms are passed over at that choice.
  `:round_robin` takes the next context for every call; `:least_busy` the one with the fewest requests, the first of several.
  With the latter two a process meets several contexts, each with a namespace of the process.

  Whatever the strategy, no call goes to a stuck context while there is another. A process that stays with a stuck context
  moves, and loses the variables it had there; one that was bound by `Py.Router.bind_context/2` does not.

  `config :erlang_python, strategy: …` sets that of the default pool.

  Your own is a module:

      defmodule First do
        @behaviour Py.Router.Strategy
        def pick(_pool, _size, _load), do: 0
      end

      Py.Router.start_pool(:reports, 2, strategy: First)
  """

  @doc """
  The context of a call, from 0 to `size - 1`.

  Runs in the calling process, on every call: keep it cheap. `load` gives the requests on a context, running ones included.
  Anything but such a number raises in the caller.
  """
  @callback pick(
              pool :: atom(),
              size :: pos_integer(),
              load :: (non_neg_integer() -> non_neg_integer())
            ) ::
              non_neg_integer()
end
