defmodule Py.Deadline do
  @moduledoc false
  # How long a process may still wait. `:infinity` stays `:infinity`.

  @typedoc "A point in time, of `System.monotonic_time(:millisecond)`."
  @type t :: integer() | :infinity

  @doc "The point in time at which a timeout in milliseconds, from now, is over."
  @spec new(timeout()) :: t()
  def new(:infinity), do: :infinity
  def new(timeout), do: System.monotonic_time(:millisecond) + timeout

  @doc "The milliseconds until a deadline; 0 when it is over."
  @spec remaining(t()) :: timeout()
  def remaining(:infinity), do: :infinity
  def remaining(deadline), do: max(deadline - System.monotonic_time(:millisecond), 0)

  @doc "The milliseconds of a timeout that are left when `spent` have passed."
  @spec rest(timeout(), non_neg_integer()) :: timeout()
  def rest(:infinity, _spent), do: :infinity
  def rest(timeout, spent), do: max(timeout - spent, 0)
end
