defmodule Py.TelemetryTest do
  # Handlers hear of all calls of the VM.
  use ExUnit.Case, async: false

  import Py.Test.Telemetry

  doctest Py.Telemetry

  @moduletag :capture_log

  setup {Py.Test.Telemetry, :detach_after}

  test "the documented events are those of events/0, and the guide's" do
    {:docs_v1, _, _, _, %{"en" => module}, _, _} = Code.fetch_docs(Py.Telemetry)

    for text <- [module, File.read!("guides/operating/telemetry.md")] do
      rows =
        Regex.scan(~r/^\| `\[:erlang_python, :(\w+), :(\w+)\]` \|/m, text,
          capture: :all_but_first
        )

      documented =
        for [family, name] <- rows,
            do: [:erlang_python, String.to_atom(family), String.to_atom(name)]

      assert Enum.sort(documented) == Enum.sort(Py.Telemetry.events())
    end
  end

  test "each event is emitted, with what the tables say, and no other" do
    tables = tables()
    # So that calls are tracked at all.
    listen()
    emitted = traced(&provoke/0)

    assert emitted |> Enum.map(&elem(&1, 0)) |> Enum.uniq() |> Enum.sort() ==
             Enum.sort(Py.Telemetry.events())

    for {[_, family, _] = event, measurements, metadata} <- emitted, family != :stats do
      {documented_measurements, documented_metadata} = tables[event]
      assert {event, Enum.sort(Map.keys(measurements))} == {event, documented_measurements}
      assert {event, Enum.sort(Map.keys(metadata))} == {event, documented_metadata}
    end
  end

  # `{measurements, metadata}` of each event, where "the same" and the like stand for those of the row before.
  defp tables do
    {:docs_v1, _, _, _, %{"en" => module}, _, _} = Code.fetch_docs(Py.Telemetry)

    rows =
      Regex.scan(~r/^\| `\[:erlang_python, :(\w+), :(\w+)\]` \| (.*) \| (.*) \|$/m, module,
        capture: :all_but_first
      )

    {table, _last} =
      Enum.map_reduce(rows, {[], []}, fn [family, name, measurements, metadata],
                                         {last_m, last_d} ->
        event = [:erlang_python, String.to_atom(family), String.to_atom(name)]
        m = names(measurements, last_m)

        d =
          names(
            metadata,
            if(metadata =~ "as `start`", do: ~w(id index mode name pool)a, else: last_d)
          )

        # "the same" of crash is that of stop, which has a reason already.
        {{event, {m, Enum.uniq(d)}}, {m, d}}
      end)

    Map.new(table)
  end

  defp names(cell, before) do
    own =
      for [name] <- Regex.scan(~r/`(\w+)`/, cell, capture: :all_but_first),
          do: String.to_atom(name)

    own = own -- [:stop, :start]
    Enum.sort(if cell =~ ~r/the same|as `/, do: Enum.uniq(before ++ own), else: own)
  end
end
