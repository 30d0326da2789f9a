defmodule Py.LiveDashboard.Format do
  @moduledoc false
  # Numbers and texts as the dashboard page shows them. All functions are total: what is not known is a dash.

  alias Py.Text

  @unknown "–"
  # Before a unit: a number stays with it.
  @space "\u00A0"

  # Control characters, and those that turn the direction of what follows. Tabs and line ends stay.
  @unprintable for code <- Enum.concat([0..8, 11..31, 127..159, 0x202A..0x202E, 0x2066..0x2069]),
                   do: <<code::utf8>>

  @doc ~S'1234567 is "1,234,567".'
  @spec count(integer() | nil) :: String.t()
  def count(nil), do: @unknown
  def count(number) when number < 0, do: "-" <> count(-number)

  def count(number) do
    number
    |> Integer.to_string()
    |> String.reverse()
    |> String.replace(~r/\d{3}(?=\d)/, "\\0,")
    |> String.reverse()
  end

  @doc "Two counts that belong together."
  @spec counts(integer() | nil, integer() | nil) :: String.t()
  def counts(first, second), do: "#{count(first)} / #{count(second)}"

  @doc "A rate for each second, with as many digits as are worth reading."
  @spec rate(number() | nil) :: String.t()
  def rate(nil), do: @unknown
  def rate(rate) when rate >= 10, do: count(round(rate))
  def rate(rate) when rate == 0, do: "0"
  def rate(rate) when rate < 0.01, do: "<#{@space}0.01"
  def rate(rate), do: rate |> significant(2) |> decimal()

  @doc "A share of 1.0 in percent."
  @spec percent(number() | nil) :: String.t()
  def percent(nil), do: @unknown
  def percent(share) when share > 0 and share < 0.01, do: "<#{@space}1#{@space}%"
  def percent(share), do: "#{round(share * 100)}#{@space}%"

  @doc "Bytes in the unit that leaves one to three digits before the point."
  @spec bytes(non_neg_integer() | nil) :: String.t()
  def bytes(nil), do: @unknown
  def bytes(bytes) when bytes < 1024, do: "#{bytes}#{@space}B"
  def bytes(bytes), do: bytes(bytes / 1024, ["KB", "MB", "GB", "TB"])

  defp bytes(amount, [_unit | [_ | _] = larger]) when amount >= 1024,
    do: bytes(amount / 1024, larger)

  defp bytes(amount, [unit | _larger]), do: "#{decimal(Float.round(amount, 1))}#{@space}#{unit}"

  @doc "A short time, given in microseconds."
  @spec microseconds(number() | nil) :: String.t()
  def microseconds(nil), do: @unknown
  def microseconds(us) when us == 0, do: "0#{@space}µs"
  def microseconds(us) when us < 1_000, do: "#{decimal(significant(us, 3))}#{@space}µs"

  def microseconds(us) when us < 1_000_000,
    do: "#{decimal(significant(us / 1_000, 3))}#{@space}ms"

  def microseconds(us), do: "#{decimal(significant(us / 1_000_000, 3))}#{@space}s"

  @doc "A long time, given in milliseconds: its two largest units."
  @spec duration(non_neg_integer() | nil) :: String.t()
  def duration(nil), do: @unknown
  def duration(ms) when ms < 1_000, do: "#{ms}#{@space}ms"
  def duration(ms) when ms < 10_000, do: "#{decimal(Float.round(ms / 1_000, 1))}#{@space}s"

  def duration(ms) do
    case :calendar.seconds_to_daystime(div(ms, 1_000)) do
      {0, {0, 0, s}} -> "#{s}#{@space}s"
      {0, {0, m, s}} -> "#{m}#{@space}min#{@space}#{s}#{@space}s"
      {0, {h, m, _s}} -> "#{h}#{@space}h#{@space}#{m}#{@space}min"
      {d, {h, _m, _s}} -> "#{d}#{@space}d#{@space}#{h}#{@space}h"
    end
  end

  @doc "The date and time (UTC) of milliseconds since 1970."
  @spec time(integer()) :: String.t()
  def time(unix_ms) do
    unix_ms |> DateTime.from_unix!(:millisecond) |> Calendar.strftime("%Y-%m-%d %H:%M:%S")
  end

  @doc "The time of day (UTC) of milliseconds since 1970."
  @spec clock(integer()) :: String.t()
  def clock(unix_ms) do
    unix_ms |> DateTime.from_unix!(:millisecond) |> Calendar.strftime("%H:%M:%S")
  end

  @doc """
  A text of the program's users: valid UTF-8 without control characters, at most `limit` characters. What is no text is
  shown as Elixir would write it. Escaping HTML is left to the templates.
  """
  @spec text(String.t() | binary(), pos_integer()) :: String.t()
  def text(binary, limit \\ 500) do
    {head, more?} = Text.head(binary, limit)

    case :unicode.characters_to_binary(head) do
      text when is_binary(text) -> text
      {:incomplete, text, _rest} when more? -> text
      _no_text -> inspect(head, binaries: :as_strings, printable_limit: limit)
    end
    |> String.replace(@unprintable, "�")
    |> Text.cut(limit, more?)
  end

  @doc "The beginning of how Elixir writes a value, on one line."
  @spec preview(term(), pos_integer()) :: String.t()
  def preview(value, limit \\ 160) do
    value
    |> inspect(
      limit: limit,
      printable_limit: limit,
      width: :infinity,
      custom_options: [sort_maps: true]
    )
    |> String.replace(~r/\s*\n\s*/, " ")
    |> text(limit)
  end

  defp significant(number, digits) do
    before_point = if number < 1, do: 0, else: number |> trunc() |> Integer.digits() |> length()
    Float.round(number * 1.0, max(digits - before_point, 0))
  end

  defp decimal(float) do
    if float == trunc(float),
      do: float |> trunc() |> count(),
      else: :erlang.float_to_binary(float, [:short])
  end
end
