defmodule Bench.Chart do
  @moduledoc false
  # Charts as SVG, readable on light and dark pages: they bring their own background and follow the reader's colours.

  @width 820
  @colours_light ~w(#1f6feb #d1570c #1a7f37 #8250df #bf3989 #6e7781)
  @colours_dark ~w(#58a6ff #f0883e #3fb950 #bc8cff #f778ba #8b949e)

  @doc "Horizontal bars: `{label, value, mark | nil}`; the mark is a line across the bar."
  @spec bars(String.t(), String.t(), [{String.t(), number(), number() | nil}]) :: String.t()
  def bars(title, subtitle, bars) do
    left = 360
    right = 70
    top = 64
    step = 24

    # One bar that is far longer than the rest would make these unreadable: it is cut, its number tells.
    limit = cut(Enum.map(bars, &elem(&1, 1)))
    scale = (@width - left - right) / limit

    body =
      for {{label, value, mark}, index} <- Enum.with_index(bars) do
        y = top + index * step
        length = min(value, limit) * scale
        shown = if value > limit, do: " »", else: ""

        [
          text(left - 8, y + 12, plain(label), "end"),
          ~s(<rect class="s0" x="#{left}" y="#{y}" width="#{f(length)}" height="16" rx="2"/>),
          text(
            left + behind(length, mark && mark * scale),
            y + 12,
            short(value) <> shown,
            "start",
            "num"
          ),
          mark && mark <= limit &&
            ~s(<line class="mark" x1="#{f(left + mark * scale)}" x2="#{f(left + mark * scale)}" y1="#{y - 3}" y2="#{y + 19}"/>)
        ]
        |> Enum.filter(& &1)
      end

    svg(title, subtitle, top + length(bars) * step + 16, body)
  end

  # The number stands behind the bar, and behind the mark where that would cross it.
  defp behind(length, mark) when is_number(mark) and mark > length - 4 and mark < length + 40,
    do: max(length, mark) + 6

  defp behind(length, _mark), do: length + 6

  defp cut(values) do
    sorted = Enum.sort(values, :desc)
    typical = Enum.at(sorted, div(length(sorted), 4))
    min(hd(sorted), 2.5 * typical)
  end

  @doc "Lines: `{name, [{x, y}]}`. The x axis has the values of x at equal distances."
  @spec lines(String.t(), String.t(), String.t(), [{String.t(), [{number(), number()}]}]) ::
          String.t()
  def lines(title, x_title, y_title, series) do
    left = 90
    top = 70
    height = 300
    right = 210

    xs =
      series
      |> Enum.flat_map(fn {_name, points} -> Enum.map(points, &elem(&1, 0)) end)
      |> Enum.uniq()
      |> Enum.sort()

    highest =
      series
      |> Enum.flat_map(fn {_name, points} -> Enum.map(points, &elem(&1, 1)) end)
      |> Enum.max()

    step = nice(highest / 5)
    ticks = for n <- 0..ceil(highest / step), do: n * step
    across = (@width - left - right) / max(length(xs) - 1, 1)
    x = fn value -> left + Enum.find_index(xs, &(&1 == value)) * across end
    y = fn value -> top + height - value / List.last(ticks) * height end

    grid =
      for tick <- ticks do
        [
          ~s(<line class="grid" x1="#{left}" x2="#{@width - right}" y1="#{f(y.(tick))}" y2="#{f(y.(tick))}"/>),
          text(left - 8, y.(tick) + 4, short(tick), "end", "num")
        ]
      end

    axis = for value <- xs, do: text(x.(value), top + height + 20, short(value), "middle", "num")

    names = [
      text((left + @width - right) / 2, top + height + 42, x_title, "middle"),
      text(left, top - 12, y_title, "middle", "num")
    ]

    lines =
      for {{_name, points}, index} <- Enum.with_index(series) do
        path = Enum.map_join(points, " ", fn {px, py} -> "#{f(x.(px))},#{f(y.(py))}" end)

        dots =
          for {px, py} <- points,
              do: ~s(<circle class="s#{index}" cx="#{f(x.(px))}" cy="#{f(y.(py))}" r="3.5"/>)

        [~s(<polyline class="l#{index}" points="#{path}"/>) | dots]
      end

    svg(title, "", top + height + 60, [
      grid,
      axis,
      names,
      lines,
      legend(series, @width - right + 24, top)
    ])
  end

  defp legend(series, x, top) do
    for {{name, _points}, index} <- Enum.with_index(series) do
      y = top + index * 22

      [
        ~s(<rect class="s#{index}" x="#{x}" y="#{y}" width="14" height="4" rx="2"/>),
        text(x + 22, y + 6, name, "start")
      ]
    end
  end

  # 1, 2 or 5 times a power of ten.
  defp nice(step) do
    power = :math.pow(10, Float.floor(:math.log10(step)))
    power * Enum.find([1, 2, 5, 10], &(&1 * power >= step))
  end

  defp svg(title, subtitle, height, body) do
    [
      ~s(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 #{@width} #{height}" width="#{@width}" height="#{height}" role="img" aria-label="#{escape(title)}">\n),
      "<style>\n",
      style("#ffffff", "#1f2328", "#59636e", "#d1d9e0", @colours_light),
      "@media (prefers-color-scheme: dark) {\n",
      style("#0d1117", "#f0f6fc", "#9198a1", "#3d444d", @colours_dark),
      "}\n</style>\n",
      ~s(<rect class="back" width="#{@width}" height="#{height}" rx="6"/>\n),
      text(20, 28, title, "start", "title"),
      "\n",
      if(subtitle == "", do: "", else: [text(20, 48, subtitle, "start", "num"), "\n"]),
      body |> List.flatten() |> Enum.intersperse("\n"),
      "\n</svg>\n"
    ]
    |> IO.iodata_to_binary()
  end

  defp style(back, ink, faint, grid, colours) do
    [
      ".back { fill: #{back} } text { font: 12px system-ui, sans-serif; fill: #{ink} } ",
      ".num { fill: #{faint} } .title { font-size: 16px; font-weight: 600 } ",
      ".grid { stroke: #{grid} } .mark { stroke: #{ink}; stroke-width: 2 }\n",
      for {colour, index} <- Enum.with_index(colours) do
        ".s#{index} { fill: #{colour} } .l#{index} { fill: none; stroke: #{colour}; stroke-width: 2 }\n"
      end
    ]
  end

  defp text(x, y, content, anchor, class \\ nil) do
    class = if class, do: ~s( class="#{class}"), else: ""
    ~s(<text x="#{f(x)}" y="#{f(y)}" text-anchor="#{anchor}"#{class}>#{escape(content)}</text>)
  end

  defp plain(label), do: String.replace(label, "`", "")

  defp escape(text),
    do:
      text
      |> String.replace("&", "&amp;")
      |> String.replace("<", "&lt;")
      |> String.replace("\"", "&quot;")

  defp f(number), do: :erlang.float_to_binary(number / 1, decimals: 1)

  defp short(value) when value >= 1_000_000, do: trim(value / 1_000_000) <> " M"
  defp short(value) when value >= 10_000, do: trim(value / 1_000) <> " k"
  defp short(value), do: trim(value)

  defp trim(value) when value >= 100, do: Integer.to_string(round(value))

  defp trim(value) when value >= 10,
    do: drop_zeros(:erlang.float_to_binary(value / 1, decimals: 1))

  defp trim(value), do: drop_zeros(:erlang.float_to_binary(value / 1, decimals: 2))

  defp drop_zeros(text), do: text |> String.trim_trailing("0") |> String.trim_trailing(".")
end
