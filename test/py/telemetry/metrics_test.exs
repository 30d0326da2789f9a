defmodule Py.Telemetry.MetricsTest do
  use ExUnit.Case, async: true

  if Code.ensure_loaded?(Telemetry.Metrics) do
    test "no two metrics have one name" do
      names = Enum.map(Py.Telemetry.metrics(), & &1.name)
      assert names == Enum.uniq(names)
    end
  end
end
