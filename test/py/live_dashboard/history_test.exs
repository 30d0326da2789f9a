defmodule Py.LiveDashboard.HistoryTest do
  use ExUnit.Case, async: true

  alias Py.LiveDashboard.History
  alias Py.Test.Snapshot

  defp snapshot(seconds, changes) do
    Snapshot.new(Map.merge(%{at: seconds * 1_000, uptime_ms: seconds * 1_000}, changes))
  end

  defp history(snapshots), do: Enum.reduce(snapshots, History.new(), &History.push(&2, &1))

  test "nothing is known without a snapshot" do
    assert History.latest(History.new(), :calls) == nil
    assert History.values(History.new(), :memory) == []
  end

  test "one snapshot gives gauges but no rates" do
    history = history([snapshot(1, %{totals: %{calls: 7}, permits: %{in_use: 3}})])
    assert History.latest(history, :in_use) == 3
    assert History.latest(history, :calls) == nil
    assert History.values(history, :in_use) == [3]
    assert History.values(history, :calls) == []
  end

  test "counters become rates for each second" do
    history =
      history([
        snapshot(1, %{totals: %{calls: 10, rejected: 1, expired: 1}}),
        snapshot(3, %{totals: %{calls: 16, rejected: 3, expired: 2}}),
        snapshot(4, %{totals: %{calls: 16, rejected: 3, expired: 2}})
      ])

    assert History.values(history, :calls) == [3.0, 0.0]
    assert History.latest(history, :calls) == 0.0
    assert History.values(history, :refused) == [1.5, 0.0]
  end

  test "a snapshot that is no newer adds nothing" do
    snapshot = snapshot(1, %{totals: %{calls: 10}})
    assert history([snapshot, snapshot]) == history([snapshot])
  end

  test "history starts again after a restart" do
    history =
      history([
        snapshot(100, %{totals: %{calls: 10}}),
        snapshot(101, %{totals: %{calls: 20}}),
        Snapshot.new(%{at: 102_000, uptime_ms: 500, totals: %{calls: 1}})
      ])

    assert History.values(history, :calls) == []
    assert length(History.values(history, :memory)) == 1
  end

  test "it is bounded" do
    history =
      history(for second <- 1..100, do: snapshot(second, %{totals: %{calls: second * second}}))

    values = History.values(history, :calls)
    assert length(values) == History.size()
    assert List.last(values) == 199.0
  end
end
