if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard.Components do
    @moduledoc false
    # The components of the tabs. They look like LiveDashboard's own, and use no inline styles, so that a strict content
    # security policy allows them.

    use Phoenix.Component

    import Phoenix.LiveDashboard.PageBuilder, only: [hint: 1]

    alias Py.LiveDashboard.{Format, History}

    @colors %{
      green: "#4db167",
      blue: "#5d89c7",
      purple: "#754fa2",
      yellow: "#f9bc14",
      orange: "#f26d40",
      red: "#fa412d",
      gray: "#98a0b3"
    }

    attr :csp_nonces, :map, required: true

    def style(assigns) do
      ~H"""
      <style nonce={@csp_nonces.style}>
        .py-tile { display: flex; flex-direction: column; height: 100%; }
        .py-tile .banner-card-value { font-variant-numeric: tabular-nums; }
        .py-note { font-size: .8rem; color: #8a90a0; font-weight: normal; }
        .py-spark { display: block; width: 100%; height: 2.75rem; margin-top: auto; padding-top: .5rem; }
        .py-bar { display: block; width: 100%; height: 8px; border-radius: 4px; background: #edf0f7; overflow: hidden; }
        .py-bar-cell { display: flex; align-items: center; min-width: 7rem; }
        .py-bar-cell .py-bar { flex: 1; margin-right: .5rem; }
        .py-bar-cell span { width: 3.2rem; text-align: right; }
        .py-facts { margin-bottom: 0; color: #555b68; font-variant-numeric: tabular-nums; }
        .py-facts td, .py-facts th { padding: .35rem 0; border-top: 1px solid #edf0f7; font-weight: normal; vertical-align: top; }
        .py-facts tr:first-child td, .py-facts tr:first-child th { border-top: 0; }
        .py-facts tr > :first-child { padding-left: 0 !important; padding-right: 1rem; color: #8a90a0; }
        .py-facts td { text-align: right; overflow-wrap: anywhere; min-width: 8rem; }
        .py-card { background: #fff; padding: 1rem 1.25rem; height: 100%; }
        .py-card .hint, .py-tile .hint { margin-left: .15rem; }
        .py-legend { display: flex; flex-wrap: wrap; gap: .15rem .9rem; margin-top: .6rem; font-size: .85rem; }
        .py-dot { display: inline-block; width: .65rem; height: .65rem; border-radius: 2px; margin-right: .35rem; }
        .py-text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; max-height: 8rem; overflow-y: auto; }
        .tabular .dash-table td { font-variant-numeric: tabular-nums; vertical-align: middle; }
        #main .badge { transition: none; }
        .py-failures td { vertical-align: top; }
        .py-nowrap { white-space: nowrap; }
        #py-contexts-table td, #py-interpreters-table td { white-space: nowrap; }
        #py-contexts-table td, #py-contexts-table th { padding-left: .6rem; padding-right: .6rem; }
        #py-interpreters-table .py-note { white-space: normal; min-width: 10rem; }
        .py-key { width: max-content; max-width: 22rem; overflow-wrap: anywhere; font-size: .85rem; }
        #py-problems:not(:empty) { margin-bottom: 1.5rem; }
        #py-problems .alert { margin-bottom: .5rem; }
      </style>
      """
    end

    @doc "The sentences about what needs attention."
    attr :problems, :list, required: true

    def problems(assigns) do
      ~H"""
      <div id="py-problems">
        <div :for={{level, text} <- @problems} class={"alert alert-#{level} py-2"} role="alert"><%= text %></div>
      </div>
      """
    end

    @doc "A number with its recent history."
    attr :id, :string, required: true
    attr :title, :string, required: true
    attr :hint, :string, required: true
    attr :color, :atom, required: true
    attr :history, :any, required: true
    attr :key, :atom, required: true
    attr :format, :any, default: &Format.rate/1
    attr :note, :string, default: nil

    def tile(assigns) do
      values = History.values(assigns.history, assigns.key)

      assigns =
        assign(assigns,
          values: values,
          latest: History.latest(assigns.history, assigns.key),
          peak: Enum.max(values, fn -> nil end)
        )

      ~H"""
      <div class="banner-card py-tile">
        <h6 class="banner-card-title"><%= @title %> <.hint text={@hint} /></h6>
        <div class="d-flex align-items-baseline justify-content-between">
          <div class="banner-card-value" id={@id}><%= @format.(@latest) %></div>
          <div class="py-note"><%= @note || "peak #{@format.(@peak)}" %></div>
        </div>
        <.spark values={@values} color={@color} />
      </div>
      """
    end

    @doc "The recent values, the latest at the right edge. Scaled from 0 to the largest."
    attr :values, :list, required: true
    attr :color, :atom, required: true

    def spark(assigns) do
      assigns = assign(assigns, line: line(assigns.values), stroke: color(assigns.color))

      ~H"""
      <svg class="py-spark" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
        <line x1="0" y1="29.5" x2="100" y2="29.5" stroke="#e3e7f0" vector-effect="non-scaling-stroke" />
        <polygon :if={@line} points={area(@line)} fill={@stroke} fill-opacity="0.15" />
        <polyline
          :if={@line}
          points={points(@line)}
          fill="none"
          stroke={@stroke}
          stroke-width="1.5"
          stroke-linejoin="round"
          vector-effect="non-scaling-stroke"
        />
      </svg>
      """
    end

    defp line([_, _ | _] = values) do
      largest = max(Enum.max(values), 1.0e-9)
      step = 100 / (History.size() - 1)
      first = 100 - step * (length(values) - 1)

      for {value, index} <- Enum.with_index(values),
          do: {first + step * index, 29.5 - 27.5 * value / largest}
    end

    defp line(_too_few), do: nil

    defp points(line),
      do: Enum.map_join(line, " ", fn {x, y} -> "#{coordinate(x)},#{coordinate(y)}" end)

    defp area([{first, _y} | _] = line),
      do: "#{coordinate(first)},29.5 #{points(line)} 100,29.5"

    defp coordinate(number), do: :erlang.float_to_binary(number * 1.0, decimals: 2)

    @doc "A bar of the shares of a whole: `{share, color}`."
    attr :parts, :list, required: true
    attr :label, :string, default: nil

    def bar(assigns) do
      {parts, _sum} =
        Enum.map_reduce(assigns.parts, 0.0, fn {share, color}, start ->
          share = share |> max(0.0) |> min(1.0 - start)
          {{start, share, color(color)}, start + share}
        end)

      assigns = assign(assigns, parts: parts)

      ~H"""
      <svg class="py-bar" preserveAspectRatio="none" role="img" aria-label={@label}>
        <rect
          :for={{start, share, color} <- @parts}
          x={"#{coordinate(start * 100)}%"}
          width={"#{coordinate(share * 100)}%"}
          height="100%"
          fill={color}
        />
      </svg>
      """
    end

    @doc "A share in a table: a bar and its number."
    attr :share, :float, required: true

    def share(assigns) do
      ~H"""
      <div class="py-bar-cell">
        <.bar parts={[{@share, :blue}]} /><span><%= Format.percent(@share) %></span>
      </div>
      """
    end

    @doc "The color of a share: green below 0.7, yellow below 0.9, else red."
    def load_color(share) when share < 0.7, do: :green
    def load_color(share) when share < 0.9, do: :yellow
    def load_color(_share), do: :red

    @doc "A white card."
    attr :title, :string, required: true
    attr :hint, :string, default: nil
    slot :inner_block, required: true

    def panel(assigns) do
      ~H"""
      <div class="card py-card">
        <h6 class="banner-card-title mb-3"><%= @title %> <.hint :if={@hint} text={@hint} /></h6>
        <%= render_slot(@inner_block) %>
      </div>
      """
    end

    @doc "A list of names and values: `{name, value}`."
    attr :facts, :list, required: true
    attr :id, :string, default: nil

    def facts(assigns) do
      ~H"""
      <table class="table py-facts" id={@id}>
        <tbody>
          <tr :for={{name, value} <- @facts}><th scope="row"><%= name %></th><td><%= value %></td></tr>
        </tbody>
      </table>
      """
    end

    @doc "A coloured dot with a text, to explain a bar."
    attr :color, :atom, required: true
    slot :inner_block, required: true

    def legend(assigns) do
      ~H"""
      <span>
        <svg class="py-dot" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" fill={color(@color)} /></svg><%= render_slot(
          @inner_block
        ) %>
      </span>
      """
    end

    @doc "The state of a context."
    attr :state, :atom, required: true

    def state(assigns) do
      ~H"""
      <span class={"badge badge-#{badge(@state)}"}><%= state_label(@state) %></span>
      """
    end

    @doc "The name of a state."
    def state_label(:in_callback), do: "in callback"
    def state_label(state), do: Atom.to_string(state)

    defp badge(:running), do: "success"
    defp badge(:in_callback), do: "info"
    defp badge(:idle), do: "secondary"
    defp badge(:starting), do: "primary"
    defp badge(:stuck), do: "danger"
    defp badge(_dead), do: "dark"

    def state_color(:running), do: :green
    def state_color(:in_callback), do: :blue
    def state_color(:idle), do: :gray
    def state_color(:starting), do: :purple
    def state_color(:stuck), do: :red
    def state_color(_dead), do: :orange

    @doc "The latest failures."
    attr :failures, :list, required: true
    attr :id, :string, required: true
    attr :places, :boolean, default: true

    def failures(assigns) do
      ~H"""
      <p :if={@failures == []} class="text-muted">No failures since the application was started.</p>
      <div :if={@failures != []} class="card tabular-card mb-4">
        <div class="card-body p-0">
          <div class="dash-table-wrapper">
            <table class="table dash-table py-failures" id={@id}>
              <thead>
                <tr>
                  <th>Time (UTC)</th><th>Kind</th><th>Type</th><th>Function</th><th :if={@places}>Context</th><th>Message</th>
                </tr>
              </thead>
              <tbody>
                <tr :for={failure <- @failures}>
                  <td class="py-nowrap"><%= Format.time(failure.at) %></td>
                  <td class="py-nowrap">
                    <span class={"badge badge-#{kind_badge(failure.kind)}"}><%= failure.kind %></span>
                    <span :if={failure.times > 1} class="py-note">× <%= failure.times %></span>
                  </td>
                  <td><%= failure.type %></td>
                  <td>
                    <span class="text-monospace"><%= failure.what %></span>
                    <div :if={failure.line} class="py-note"><%= failure.line %></div>
                  </td>
                  <td :if={@places}><%= places(failure.places) %></td>
                  <td><div class="py-text text-monospace"><%= failure.message %></div></td>
                </tr>
              </tbody>
            </table>
          </div>
        </div>
      </div>
      """
    end

    defp places([]), do: "–"
    defp places(places) when length(places) <= 3, do: Enum.join(places, ", ")
    defp places([first | others]), do: "#{first} and #{length(others)} others"

    defp kind_badge(:python), do: "danger"
    defp kind_badge(:timeout), do: "warning"
    defp kind_badge(:overloaded), do: "warning"
    defp kind_badge(:context), do: "dark"
    defp kind_badge(_other), do: "secondary"

    defp color(name), do: Map.fetch!(@colors, name)
  end
end
