defmodule Py.Stats.Counters do
  @moduledoc false
  # Counts of events on the Elixir side. Like the native counts they outlive the application.

  @names [
    :cast_failures,
    :contexts_started,
    :contexts_crashed,
    :contexts_abandoned,
    # For all functions passed to Python as arguments.
    :callback_calls,
    :callback_errors,
    :callback_time
  ]

  @type name :: unquote(Enum.reduce(@names, &{:|, [], [&1, &2]}))

  @doc "Creates the counters, unless they are there from an earlier start."
  @spec init() :: :ok
  def init do
    if :persistent_term.get(__MODULE__, nil) == nil do
      :persistent_term.put(__MODULE__, :counters.new(length(@names), []))
    end

    :ok
  end

  @doc "Adds to a counter."
  @spec add(name(), integer()) :: :ok
  def add(name, amount \\ 1)

  @doc "The value of a counter."
  @spec get(name()) :: integer()
  def get(name)

  for {name, index} <- Enum.with_index(@names, 1) do
    def add(unquote(name), amount), do: :counters.add(counters(), unquote(index), amount)
    def get(unquote(name)), do: :counters.get(counters(), unquote(index))
  end

  defp counters, do: :persistent_term.get(__MODULE__)
end
