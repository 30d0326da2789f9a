if Code.ensure_loaded?(Phoenix.LiveDashboard.PageBuilder) do
  defmodule Py.LiveDashboard do
    @moduledoc """
    A page about Python for `Phoenix.LiveDashboard`.

        live_dashboard "/dashboard", additional_pages: [python: Py.LiveDashboard]

    It shows permits, throughput, errors, contexts, Python's garbage collection, the shared state, callbacks and recent
    failures of the selected node, and refreshes with the dashboard. It reads snapshots (`Py.Stats.snapshot/0`), which never
    wait for Python, so the page is equally quick while Python is busy or a context is stuck.

    Options:

      * `:state_values` - `true` (the default) shows values of the shared state beside their keys. Set it to `false` where
        operators must not see them: `additional_pages: [python: {Py.LiveDashboard, state_values: false}]`

    The node that serves the page needs the application's code but need not run Python. The guide
    [The dashboard](dashboard.md) says what each number means and when to worry.

    ## Errors

    A wrong option raises `ArgumentError` when the router is compiled or the page is opened. Where a node has no statistics, the
    page shows a sentence that says why.

    This module exists when `:phoenix_live_dashboard` (0.8) is among the dependencies.
    """

    use Phoenix.LiveDashboard.PageBuilder

    alias Py.LiveDashboard.{Components, Format, History, Rows, Source, Tabs}

    # The delay of the second snapshot, which gives the first rates.
    @second_sample_ms 1_000

    @impl true
    def init(options) do
      options = Keyword.validate!(options, state_values: true)

      if not is_boolean(options[:state_values]) do
        raise ArgumentError,
              "expected :state_values to be a boolean, got: #{inspect(options[:state_values])}"
      end

      {:ok, %{state_values: options[:state_values]}}
    end

    @impl true
    def menu_link(_session, _capabilities), do: {:ok, "Python"}

    @impl true
    def mount(_params, session, socket) do
      if connected?(socket), do: Process.send_after(self(), :sample, @second_sample_ms)

      {:ok,
       socket |> assign(state_values: session.state_values, history: History.new()) |> sample()}
    end

    @impl true
    def handle_refresh(socket), do: {:noreply, sample(socket)}

    @impl true
    def handle_info(:sample, socket), do: {:noreply, sample(socket)}
    def handle_info(_other, socket), do: {:noreply, socket}

    @impl true
    def handle_event("show_context", %{"context" => id}, socket) do
      {:noreply,
       push_patch(socket, to: live_dashboard_path(socket, socket.assigns.page, context: id))}
    end

    defp sample(socket) do
      {us, result} = :timer.tc(fn -> Source.snapshot(socket.assigns.page.node) end)

      history =
        case result do
          {:ok, snapshot} -> History.push(socket.assigns.history, snapshot)
          {:error, _text} -> socket.assigns.history
        end

      assign(socket, result: result, history: history, read_us: us)
    end

    @impl true
    def render(%{result: {:error, text}} = assigns) do
      assigns = assign(assigns, :text, text)

      ~H"""
      <div id="py-unavailable" class="alert alert-warning" role="alert">
        <h5 class="alert-heading">This node has no statistics of Python</h5>
        <%= @text %>
      </div>
      """
    end

    def render(%{result: {:ok, snapshot}} = assigns) do
      assigns =
        assign(assigns,
          snapshot: snapshot,
          problems: Rows.problems(snapshot, assigns.history),
          tab: tab(assigns.page.params)
        )

      ~H"""
      <Components.style csp_nonces={@csp_nonces} />
      <ul class="nav nav-pills mt-n2 mb-4" id="py-tabs">
        <li :for={{name, label} <- tabs()} class="nav-item">
          <.link
            patch={live_dashboard_path(@socket, tab_page(@page, name))}
            class={["nav-link", name == @tab && "active"]}
          ><%= label %></.link>
        </li>
      </ul>
      <Components.problems problems={@problems} />
      <%= case @tab do %>
        <% "overview" -> %>
          <Tabs.Overview.render snapshot={@snapshot} history={@history} />
        <% "contexts" -> %>
          <Tabs.Contexts.render snapshot={@snapshot} page={@page} socket={@socket} />
        <% "memory" -> %>
          <Tabs.Memory.render snapshot={@snapshot} page={@page} history={@history} />
        <% "state" -> %>
          <Tabs.State.render snapshot={@snapshot} page={@page} values?={@state_values} />
        <% "callbacks" -> %>
          <Tabs.Callbacks.render snapshot={@snapshot} page={@page} />
      <% end %>
      <p class="text-right py-note" id="py-as-of">
        As of <%= Format.clock(@snapshot.at) %> UTC. Read in <%= Format.microseconds(@read_us) %> without waiting for Python.
      </p>
      """
    end

    # Not live_nav_bar: it does not render a tab again when only its content has changed.
    defp tabs do
      [
        {"overview", "Overview"},
        {"contexts", "Contexts"},
        {"memory", "GC and memory"},
        {"state", "Shared state"},
        {"callbacks", "Callbacks and failures"}
      ]
    end

    # Choices made on one tab (a context, an order, a search) do not apply to another.
    defp tab_page(page, name),
      do: %{page | params: page.params |> Map.take(["node"]) |> Map.put("nav", name)}

    defp tab(%{"nav" => name}),
      do: if(List.keymember?(tabs(), name, 0), do: name, else: "overview")

    defp tab(_params), do: "overview"
  end
end
