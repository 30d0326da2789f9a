defmodule Py.Erlang.Facts do
  @moduledoc false
  # The functions of `py` and `py_nif` that report memory, garbage collection, and counts.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect

  alias Py.Erlang.{Calls, Context}

  @doc """
  Returns the statistics of the garbage collector, and of `tracemalloc` while it is tracing.
  """
  def memory_stats, do: Py.Memory.stats(options())

  @doc "Runs the garbage collector. Raises `badarg` for a generation other than 0, 1 and 2."
  def gc(generation), do: badarg_on_raise(fn -> Py.Memory.collect(generation, options()) end)

  @doc """
  Starts `tracemalloc`. Refused while own-GIL contexts run: there is one tracing for the whole
  process, and CPython 3.14 crashes when an own-GIL interpreter ends while it is on.
  """
  def tracemalloc_start(frames) when is_integer(frames) and frames > 0 do
    if Enum.any?(Py.Context.list(), &(Context.info(&1, :mode) == {:ok, :owngil})),
      do: {:error, {:not_supported, :owngil}},
      else: done(Calls.call(:tracemalloc, :start, [frames]))
  end

  def tracemalloc_start(other), do: badarg("a positive number of frames", other)

  @doc "Stops `tracemalloc`."
  def tracemalloc_stop, do: done(Calls.call(:tracemalloc, :stop, []))

  @doc "Returns whether this Python was built with a GIL."
  def execution_mode,
    do: if(Py.Interpreter.capabilities().free_threaded, do: :free_threaded, else: :gil)

  @doc "Returns the counts of the contexts that run, added up, and what is in use now."
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
