defmodule Py.Telemetry.PollTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import Py.Test.Telemetry
  import Py.Test.Wait

  @moduletag :capture_log

  setup {Py.Test.Telemetry, :detach_after}

  test "polled statistics" do
    # What other tests have left behind ends.
    idle? = &(&1.pool != :default or (&1.state == :idle and &1.load == 0))
    eventually(fn -> Enum.all?(Py.stats().contexts, idle?) end)
    listen()
    [{module, function, args}] = Py.Telemetry.measurements()
    assert apply(module, function, args) == :ok
    assert_received {:stats, :node, node, metadata}
    assert metadata == %{}
    assert Enum.all?(Map.values(node), &is_number/1)
    documented = documented_node_measurements()
    assert Enum.sort(Map.keys(node)) == Enum.sort(documented ++ Map.keys(Py.stats().totals))
    assert node.contexts == length(Py.stats().contexts)
    assert_received {:stats, :context, context, %{pool: :default, index: 1, state: :idle} = who}
    assert %{running: 0, queued: 0, load: 0, running_time: 0, busy_share: share} = context
    assert share >= 0.0 and who.mode == Py.stats().mode

    assert Enum.sort(Map.keys(context)) ==
             ~w(busy_share calls errors load queued running running_time timeouts)a

    assert Enum.sort(Map.keys(who)) == ~w(id index mode name pool state)a

    assert_received {:stats, :interpreter, %{gc_runs: _, gc_collected: _, gc_time: _},
                     %{interpreter: 0, mode: :worker}}
  end

  defp documented_node_measurements do
    {:docs_v1, _, _, _, %{"en" => module}, _, _} = Code.fetch_docs(Py.Telemetry)
    [_, text] = String.split(module, "Measurements of the node:")
    [text, _] = String.split(text, "the counts of", parts: 2)
    for [name] <- Regex.scan(~r/`(\w+)`/, text, capture: :all_but_first), do: String.to_atom(name)
  end

  if Code.ensure_loaded?(Telemetry.Metrics) do
    test "metrics are of documented events and measurements" do
      metrics = Py.Telemetry.metrics()
      assert [_ | _] = metrics
      listen()
      measured = traced(&provoke/0)

      for metric <- metrics do
        assert metric.event_name in Py.Telemetry.events()
        {_, measurements, metadata} = Enum.find(measured, &(elem(&1, 0) == metric.event_name))
        value = measure(metric.measurement, measurements)
        # Known while there is one interpreter only.
        optional = List.last(metric.name) == :allocated_blocks
        assert is_number(value) or (optional and value == nil), inspect(metric.name)
        assert metric.tags -- Map.keys(metadata) == [], inspect(metric.name)
      end
    end

    defp measure(key, measurements) when is_atom(key), do: measurements[key]
    defp measure(fun, measurements), do: fun.(measurements)
  end
end
