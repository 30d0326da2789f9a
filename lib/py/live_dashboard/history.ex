defmodule Py.LiveDashboard.History do
  @moduledoc false
  # The latest snapshots of a page, reduced to what rates and small charts need.

  @size 60
  @counters [:calls, :errors, :timeouts, :refused, :callbacks]
  @gauges [:in_use, :waiting, :memory, :cpu]

  @typep point :: %{required(atom()) => number() | nil}
  @opaque t :: %{last: map() | nil, points: [point()]}

  @doc "The number of points that are kept."
  @spec size() :: pos_integer()
  def size, do: @size

  @spec new() :: t()
  def new, do: %{last: nil, points: []}

  @doc """
  Adds a snapshot. Its counters become rates per second since the snapshot before it. After a restart of the VM, when counters
  are smaller than before, the history starts again.
  """
  @spec push(t(), Py.Stats.snapshot()) :: t()
  def push(%{last: last, points: points}, snapshot) do
    now = measure(snapshot)

    cond do
      last == nil or restarted?(last, now) -> %{last: now, points: [point(nil, now)]}
      now.at <= last.at -> %{last: last, points: points}
      true -> %{last: now, points: Enum.take([point(last, now) | points], @size)}
    end
  end

  @doc "The latest value of a rate or a gauge; `nil` when it is not known yet."
  @spec latest(t(), atom()) :: number() | nil
  def latest(%{points: []}, _key), do: nil
  def latest(%{points: [point | _]}, key), do: Map.fetch!(point, key)

  @doc "All known values of a rate or a gauge, oldest first."
  @spec values(t(), atom()) :: [number()]
  def values(%{points: points}, key) do
    for point <- Enum.reverse(points), value = Map.fetch!(point, key), do: value
  end

  defp measure(%{totals: totals, permits: permits, os: os} = snapshot) do
    %{
      at: snapshot.at,
      uptime: snapshot.uptime_ms,
      calls: totals.calls,
      errors: totals.errors,
      timeouts: totals.timeouts,
      refused: totals.rejected + totals.expired,
      callbacks: totals.callbacks,
      in_use: permits.in_use,
      waiting: permits.waiting,
      memory: os.memory_bytes,
      cpu: os.cpu_share
    }
  end

  defp restarted?(last, now) do
    now.uptime < last.uptime or Enum.any?(@counters, &(now[&1] < last[&1]))
  end

  defp point(last, now) do
    rates = for key <- @counters, into: %{}, do: {key, last && rate(last, now, key)}
    Map.merge(rates, Map.take(now, @gauges))
  end

  defp rate(last, now, key), do: (now[key] - last[key]) * 1_000 / (now.at - last.at)
end
