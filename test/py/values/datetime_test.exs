defmodule Py.Values.DateTimeTest do
  use Py.Test.Case, async: true

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

      test "aware datetimes keep zone, offsets and fold", %{ctx: ctx} do
        summer = berlin(~N[2026-07-01 12:00:00], "CEST", 3600)
        winter = berlin(~N[2026-01-01 12:00:00], "CET", 0)
        # 02:30 happens twice on 25 October 2026.
        first = berlin(~N[2026-10-25 02:30:00.5], "CEST", 3600)
        second = berlin(~N[2026-10-25 02:30:00.5], "CET", 0)

        for {at, seen} <- [
              {summer, {"2026-07-01T12:00:00+02:00", "Europe/Berlin", 0}},
              {winter, {"2026-01-01T12:00:00+01:00", "Europe/Berlin", 0}},
              {first, {"2026-10-25T02:30:00.500000+02:00", "Europe/Berlin", 0}},
              {second, {"2026-10-25T02:30:00.500000+01:00", "Europe/Berlin", 1}},
              {berlin(~N[2026-03-29 01:59:59], "CET", 0),
               {"2026-03-29T01:59:59+01:00", "Europe/Berlin", 0}},
              {berlin(~N[2026-03-29 03:00:00], "CEST", 3600),
               {"2026-03-29T03:00:00+02:00", "Europe/Berlin", 0}}
            ] do
          assert eval(ctx, "(x.isoformat(), x.tzinfo.key, x.fold)", %{x: at}) == seen
          assert round_trip(ctx, at) == six_digits(at)
        end

        assert eval(ctx, "b - a", %{a: first, b: second}) == Duration.new!([])
        assert eval(ctx, "b.timestamp() - a.timestamp()", %{a: first, b: second}) == 3600.0
      end

      test "fixed offsets, and zones that Python does not know", %{ctx: ctx} do
        code = "__import__('datetime').datetime.fromisoformat(x)"
        fixed = eval(ctx, code, %{x: "2026-01-31T12:00:00+05:30"})

        assert fixed == zone(~N[2026-01-31 12:00:00], "+05:30", "+05:30", 19_800, 0)

        assert round_trip(ctx, fixed) == fixed
        assert eval(ctx, "type(x.tzinfo).__name__", %{x: fixed}) == "timezone"
        assert eval(ctx, code, %{x: "2026-01-31T12:00:00-00:00:30"}).time_zone == "-00:00:30"
        assert eval(ctx, code, %{x: "2026-01-31T12:00:00+00:00"}) == ~U[2026-01-31 12:00:00Z]

        unknown = zone(~N[2026-01-31 12:00:00], "Mars/Olympus", "MST", 7200, -1800)
        assert round_trip(ctx, unknown) == unknown

        assert eval(ctx, "(x.utcoffset(), x.dst(), x.tzname())", %{x: unknown}) ==
                 {Duration.new!(second: 5400), Duration.new!(second: -1800), "MST"}

        assert eval(ctx, "__import__('pickle').loads(__import__('pickle').dumps(x)) == x", %{
                 x: unknown
               })

        # A zone that Python knows, with other rules.
        other = zone(~N[2026-01-31 12:00:00], "Europe/Berlin", "BXT", 600, 0)
        assert round_trip(ctx, other) == other

        assert %Py.ConversionError{reason: reason} =
                 error(
                   ctx,
                   "__import__('datetime').datetime(1, 1, 1, tzinfo=z(d(microseconds=1)))",
                   %{
                     z: eval(ctx, "__import__('datetime').timezone"),
                     d: eval(ctx, "__import__('datetime').timedelta")
                   }
                 )

        assert reason =~ "fractions of a second"
      end

      test "datetimes that Python makes", %{ctx: ctx} do
        code =
          "__import__('datetime').datetime(2026, 10, 25, 2, 30, fold=f, tzinfo=__import__('zoneinfo').ZoneInfo('Europe/Berlin'))"

        assert eval(ctx, code, %{f: 0}) == berlin(~N[2026-10-25 02:30:00], "CEST", 3600)
        assert eval(ctx, code, %{f: 1}) == berlin(~N[2026-10-25 02:30:00], "CET", 0)

        utc =
          "__import__('datetime').datetime(2026, 1, 1, tzinfo=__import__('zoneinfo').ZoneInfo('UTC'))"

        assert eval(ctx, utc) == ~U[2026-01-01 00:00:00Z]
        assert eval(ctx, "__import__('datetime').datetime.min") == ~N[0001-01-01 00:00:00]
        assert eval(ctx, "__import__('datetime').datetime.max") == ~N[9999-12-31 23:59:59.999999]
      end
    end
  end

  defp berlin(naive, abbreviation, saving),
    do: zone(naive, "Europe/Berlin", abbreviation, 3600, saving)

  defp zone(naive, name, abbreviation, utc_offset, std_offset) do
    naive
    |> Map.from_struct()
    |> Map.merge(%{
      time_zone: name,
      zone_abbr: abbreviation,
      utc_offset: utc_offset,
      std_offset: std_offset
    })
    |> then(&struct!(DateTime, &1))
  end

  # Python does not say how many digits of the microseconds count.
  defp six_digits(%{microsecond: {0, _}} = time), do: %{time | microsecond: {0, 0}}
  defp six_digits(%{microsecond: {value, _}} = time), do: %{time | microsecond: {value, 6}}
end
