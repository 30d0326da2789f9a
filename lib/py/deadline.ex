defmodule Py.Deadline do
  @moduledoc false
  # Deadlines: how long a process may still wait. The timeout `:infinity` stays `:infinity`.

  @typedoc "A point in time, of `System.monotonic_time(:millisecond)`."
  @type t :: integer() | :infinity

  @doc """
  Returns the deadline of a timeout in milliseconds that begins now.

      iex> Py.Deadline.new(:infinity)
      :infinity
  """
  @spec new(timeout()) :: t()
  def new(:infinity), do: :infinity
  def new(timeout), do: System.monotonic_time(:millisecond) + timeout

  @doc "Returns the milliseconds until a deadline, at least 0. It is a timeout for `receive`."
  @spec remaining(t()) :: timeout()
  def remaining(:infinity), do: :infinity
  def remaining(deadline), do: max(deadline - System.monotonic_time(:millisecond), 0)

  @doc """
  Returns the milliseconds of a timeout that are left when `spent` of them have passed, at least
  0.

      iex> {Py.Deadline.rest(30, 10), Py.Deadline.rest(30, 40), Py.Deadline.rest(:infinity, 40)}
      {20, 0, :infinity}
  """
  @spec rest(timeout(), non_neg_integer()) :: timeout()
  def rest(:infinity, _spent), do: :infinity
  def rest(timeout, spent), do: max(timeout - spent, 0)
end
