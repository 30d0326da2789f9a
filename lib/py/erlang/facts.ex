defmodule Py.Erlang.Facts do
  @moduledoc false
  # Memory, garbage collection and counts.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect

  alias Py.Erlang.{Calls, Context}

  def memory_stats, do: Py.Memory.stats(options())

  def gc(generation), do: badarg_on_raise(fn -> Py.Memory.collect(generation, options()) end)

  # Tracing is one for the process, and CPython 3.14 crashes when an own-GIL interpreter ends meanwhile.
  def tracemalloc_start(frames) when is_integer(frames) and frames > 0 do
    if Enum.any?(Py.Context.list(), &(Context.info(&1, :mode) == {:ok, :owngil})),
      do: {:error, {:not_supported, :owngil}},
      else: done(Calls.call(:tracemalloc, :start, [frames]))
  end

  def tracemalloc_start(other), do: badarg("a positive number of frames", other)

  def tracemalloc_stop, do: done(Calls.call(:tracemalloc, :stop, []))

  def execution_mode,
    do: if(Py.Interpreter.capabilities().free_threaded, do: :free_threaded, else: :gil)

  # The counts of the running contexts since their start, added up, and what is in use.
  def debug_counters do
    counters =
      for context <- Py.Context.list(), {:ok, info} <- [Py.Context.info(context)], do: info

    total = fn key -> counters |> Enum.map(&Map.fetch!(&1, key)) |> Enum.sum() end

    [:calls, :errors, :timeouts, :interrupts, :orphans, :queued]
    |> Map.new(&{&1, total.(&1)})
    |> Map.merge(Map.take(Py.info(), [:in_use, :waiting]))
    |> Map.merge(%{contexts: length(counters), state_entries: Py.State.info().entries})
  end
end
