defmodule Py.LiveDashboard.FormatTest do
  use ExUnit.Case, async: true

  alias Py.LiveDashboard.Format

  # Numbers stay with their units: no-break spaces.
  defp plain(text), do: String.replace(text, "\u00A0", " ")

  test "counts have separators" do
    assert for(number <- [0, 999, 1_000, 1_234_567, -1_234], do: Format.count(number)) ==
             ["0", "999", "1,000", "1,234,567", "-1,234"]

    assert Format.count(nil) == "–"
  end

  test "rates have the digits that are worth reading" do
    rates = [0, 0.0, 0.001, 0.034, 0.5, 3.26, 9.96, 10.4, 1_234.6]

    assert Enum.map(rates, &plain(Format.rate(&1))) ==
             ["0", "0", "< 0.01", "0.03", "0.5", "3.3", "10", "10", "1,235"]

    assert Format.rate(nil) == "–"
  end

  test "shares are percents, and little is not nothing" do
    assert Enum.map([0.0, 0.004, 0.005, 0.256, 1.0], &plain(Format.percent(&1))) ==
             ["0 %", "< 1 %", "< 1 %", "26 %", "100 %"]

    assert Format.percent(nil) == "–"
  end

  test "bytes change units at 1024" do
    bytes = [0, 1023, 1024, 1536, 1024 ** 2, 3 * 1024 ** 3, 5 * 1024 ** 5]

    assert Enum.map(bytes, &plain(Format.bytes(&1))) ==
             ["0 B", "1023 B", "1 KB", "1.5 KB", "1 MB", "3 GB", "5,120 TB"]

    assert Format.bytes(nil) == "–"
  end

  test "short times" do
    assert Enum.map(
             [0, 0.0, 0.25, 12, 345.67, 1_500, 2_345_678.9],
             &plain(Format.microseconds(&1))
           ) ==
             ["0 µs", "0 µs", "0.25 µs", "12 µs", "346 µs", "1.5 ms", "2.35 s"]

    assert Format.microseconds(nil) == "–"
  end

  test "long times have two units" do
    second = 1_000
    minute = 60 * second
    hour = 60 * minute

    times = [0, 999, 1_200, 12_345, 2 * minute, 3 * hour + 5 * minute, 49 * hour]

    assert Enum.map(times, &plain(Format.duration(&1))) ==
             ["0 ms", "999 ms", "1.2 s", "12 s", "2 min 0 s", "3 h 5 min", "2 d 1 h"]

    assert Format.duration(nil) == "–"
  end

  test "points in time are of UTC" do
    at = DateTime.to_unix(~U[2026-11-22 23:05:07.891Z], :millisecond)
    assert Format.time(at) == "2026-11-22 23:05:07"
    assert Format.clock(at) == "23:05:07"
  end

  describe "text/2" do
    test "leaves HTML to the templates" do
      assert Format.text("<script>alert('1')</script>") == "<script>alert('1')</script>"
    end

    test "shortens by characters" do
      assert Format.text("äöü", 3) == "äöü"
      assert Format.text("äöüß", 3) == "äöü…"
    end

    test "does not walk through what it cuts off" do
      text = Format.text(String.duplicate("ä", 1_000_000) <> <<255>>, 10)
      assert text == String.duplicate("ä", 10) <> "…"
      # 16 bytes a character are looked at: here the last one is half a character.
      assert Format.text("x" <> String.duplicate("ä", 100), 4) == "xäää…"
    end

    test "is always valid UTF-8" do
      assert Format.text(<<255, "abc">>) == inspect(<<255, "abc">>, binaries: :as_strings)
      assert Format.text(<<"ä"::binary, 0xC3>>) |> String.valid?()
    end

    test "shows neither control characters nor those that turn the direction" do
      assert Format.text("a\0b\e[31m") == "a�b�[31m"
      assert Format.text("a\u202Eb\u2066c") == "a�b�c"
      assert Format.text("a\n\tb") == "a\n\tb"
    end
  end

  describe "preview/2" do
    test "is how Elixir writes a value, on one line" do
      assert Format.preview(%{a: [1, nil], b: "x\ny"}) == ~S(%{a: [1, nil], b: "x\ny"})
    end

    test "is short, whatever the value" do
      for value <- [
            Enum.to_list(1..100_000),
            String.duplicate("x", 100_000),
            Map.new(1..10_000, &{&1, &1})
          ] do
        assert String.length(Format.preview(value, 50)) <= 51
      end
    end

    defmodule Broken do
      defstruct [:x]

      defimpl Inspect do
        def inspect(_broken, _options), do: raise("cannot be inspected")
      end
    end

    test "survives a struct that cannot be inspected" do
      assert Format.preview(%Broken{}) =~ "Inspect.Error"
    end

    defmodule Secret do
      @derive {Inspect, except: [:password]}
      defstruct [:user, :password]
    end

    test "respects what a struct hides" do
      preview = Format.preview(%Secret{user: "ada", password: "hunter2"})
      assert preview =~ "ada"
      refute preview =~ "hunter2"
    end
  end
end
