defmodule Py.Stats.Counters do
  @moduledoc false
  # Counts of what happens on this side of the native boundary. They outlive the application, as the native ones do.

  @names [
    :cast_failures,
    :contexts_started,
    :contexts_crashed,
    :contexts_abandoned,
    # Functions passed to Python as arguments, which have no entry of their own.
    :callback_calls,
    :callback_errors,
    :callback_time
  ]

  @type name :: unquote(Enum.reduce(@names, &{:|, [], [&1, &2]}))

  @spec init() :: :ok
  def init do
    if :persistent_term.get(__MODULE__, nil) == nil do
      :persistent_term.put(__MODULE__, :counters.new(length(@names), []))
    end

    :ok
  end

  @spec add(name(), integer()) :: :ok
  def add(name, amount \\ 1)

  for {name, index} <- Enum.with_index(@names, 1) do
    def add(unquote(name), amount), do: :counters.add(counters(), unquote(index), amount)
    def get(unquote(name)), do: :counters.get(counters(), unquote(index))
  end

  defp counters, do: :persistent_term.get(__MODULE__)
end
