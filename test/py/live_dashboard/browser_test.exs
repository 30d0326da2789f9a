defmodule Py.LiveDashboard.BrowserTest do
  # The page as an operator uses it: a real browser, the application of dev.exs served by another VM, with its load.
  use ExUnit.Case, async: false

  import Py.Test.Browser
  import Py.Test.Wait, only: [eventually: 1]

  alias Py.Test.{Browser, Peer}

  @moduletag :in_browser
  @moduletag timeout: 180_000

  @pictures "_build/screenshots"
  @script "<script>window.injected = true</script>"

  @tabs [
    # {label, file, what only this tab shows}
    {"Overview", "overview", "#py-calls"},
    {"Contexts", "contexts", "#py-contexts-table tbody tr"},
    {"GC and memory", "memory", "#py-interpreters-table tbody tr"},
    {"Shared state", "state", "#py-state-table tbody tr"},
    {"Callbacks and failures", "callbacks", "#py-failures tbody tr"}
  ]

  setup_all do
    vm = Peer.start([])
    {:ok, _started} = Peer.call(vm, :application, :ensure_all_started, [:elixir])
    Peer.call(vm, Code, :require_file, [Path.expand("dev.exs")])
    {:ok, _pid} = Peer.call(vm, Dev, :start, [[port: 0]])
    url = "http://127.0.0.1:#{Peer.call(vm, Dev, :port, [])}/dashboard/python"
    {:ok, browser} = Browser.start_link()
    {:ok, vm: vm, url: url, browser: browser}
  end

  setup %{browser: browser, url: url} do
    open(browser, url)
    # A new snapshot every second, from the next connection on.
    refresh_every(browser, 1)
    open(browser, url)
    :ok
  end

  # The page keeps the interval of each tab in a cookie, from its answer on. One of an earlier test may be there.
  defp refresh_every(browser, seconds) do
    fill(browser, "#refresh-interval-select", "#{seconds}")

    wait(browser, """
    document.cookie.split('; ').some(cookie => cookie.startsWith('_refresh_data=') &&
      Object.values(JSON.parse(atob(cookie.slice('_refresh_data='.length)))).includes('#{seconds}'))
    """)
  end

  defp open(browser, url) do
    visit(browser, url)
    wait(browser, "document.querySelector('[data-phx-main].phx-connected') != null")
  end

  defp tab(browser, label) do
    click(browser, "#py-tabs a", label)
    wait(browser, "document.querySelector('#py-tabs .active')?.innerText.trim() == '#{label}'")
  end

  # The number in an element that shows one, without its separators.
  defp number(browser, selector) do
    browser |> text(selector) |> String.replace(",", "") |> Float.parse() |> elem(0)
  end

  defp value(browser, fact) do
    eval(browser, """
    [...document.querySelectorAll('.py-facts tr')].find(row => row.cells[0].innerText.trim() == '#{fact}')
      ?.cells[1].innerText.trim()
    """)
  end

  defp frames(browser), do: length(events(browser, "Network.webSocketFrameReceived"))

  test "rates come before the first refresh", %{browser: browser, url: url} do
    # Longer than `wait` waits.
    refresh_every(browser, 30)
    open(browser, url)
    wait(browser, "/[0-9]/.test(document.querySelector('#py-calls').innerText)")
    assert number(browser, "#py-calls") > 0
  end

  test "every tab loads over the live socket, without an error", %{browser: browser} do
    eval(browser, "window.sameDocument = true")

    # A few points in the charts, for the pictures.
    wait(browser, "document.querySelector('.py-spark polyline')?.points.length >= 5")

    for {label, file, shown} <- @tabs do
      before = frames(browser)
      tab(browser, label)
      wait(browser, "document.querySelector('#{shown}') != null")
      assert frames(browser) > before or label == "Overview"
      assert eval(browser, "window.sameDocument")
      path = Path.join(@pictures, file <> ".png")
      screenshot(browser, path)
      assert <<0x89, "PNG", _rest::binary>> = File.read!(path)
    end

    # The policy of dev.exs forbids inline styles and scripts, and what breaks it is an error of the console.
    assert errors(browser) == []
  end

  test "numbers change while load runs", %{browser: browser} do
    wait(browser, "/[0-9]/.test(document.querySelector('#py-calls').innerText)")
    wait(browser, "parseFloat(document.querySelector('#py-calls').innerText) > 0")
    [calls, _errors] = browser |> value("Calls / errors") |> String.split(" / ")

    eventually(fn ->
      [more, _errors] = browser |> value("Calls / errors") |> String.split(" / ")
      more != calls
    end)

    assert number(browser, "#py-permits") >= 0
    assert value(browser, "Version") =~ ~r/^3\.\d+\.\d+/
  end

  test "a context's details open by its row, and close", %{browser: browser} do
    tab(browser, "Contexts")
    click(browser, "#py-contexts-table tbody tr td")
    wait(browser, "document.querySelector('#py-details') != null")
    name = text(browser, "#py-contexts-table tbody tr td")
    assert text(browser, "#py-details h5") =~ name
    assert value(browser, "Mode") == "worker"
    click(browser, "#py-details a", "Close")
    wait(browser, "document.querySelector('#py-details') == null")
    assert text(browser, "#py-tabs .active") == "Contexts"

    # LiveDashboard's own window about the process that owns it.
    click(browser, "#py-contexts-table tbody tr")
    click(browser, "#py-details p a")
    wait(browser, "document.querySelector('.dash-modal')?.innerText.includes('Py.Context')")
  end

  test "contexts are sorted and searched", %{browser: browser} do
    tab(browser, "Contexts")
    names = "#py-contexts-table tbody td:first-child"

    assert [
             "default 1",
             "default 2",
             "default 3",
             "default 4",
             "parsers 1",
             "parsers 2",
             "reports"
           ] = texts(browser, names)

    click(browser, "#py-contexts-table th a", "Context")
    eventually(fn -> hd(texts(browser, names)) == "reports" end)
    fill(browser, "#py-contexts-table input[name=search]", "PARS")
    eventually(fn -> texts(browser, names) == ["parsers 2", "parsers 1"] end)
  end

  test "the state table is sorted and searched", %{browser: browser, vm: vm} do
    for {key, value} <- [{"zebra", 1}, {"zeal", [1, 2, 3]}, {"zero", String.duplicate("x", 500)}],
        do: Peer.call(vm, Py.State, :put, [key, value])

    tab(browser, "Shared state")
    keys = "#py-state-table tbody td:first-child"
    fill(browser, "#py-state-table input[name=search]", "ZE")
    eventually(fn -> texts(browser, keys) == ["zeal", "zebra", "zero"] end)
    click(browser, "#py-state-table th a", "Size")
    eventually(fn -> texts(browser, keys) == ["zero", "zeal", "zebra"] end)
    click(browser, "#py-state-table th a", "Size")
    eventually(fn -> texts(browser, keys) == ["zebra", "zeal", "zero"] end)

    assert texts(browser, "#py-state-table tbody td:last-child") |> Enum.take(2) == [
             "1",
             "[1, 2, 3]"
           ]

    assert text(browser, "#py-state-table") =~ "entries out of 3"

    # It follows what happens to the entries.
    Peer.call(vm, Py.State, :delete, ["zebra"])
    eventually(fn -> texts(browser, keys) == ["zeal", "zero"] end)
  end

  test "what looks like HTML stays text", %{browser: browser, vm: vm} do
    Peer.call(vm, Py.State, :put, [@script, @script])

    tab(browser, "Shared state")
    fill(browser, "#py-state-table input[name=search]", "script")
    eventually(fn -> texts(browser, "#py-state-table tbody td:first-child") == [@script] end)
    assert texts(browser, "#py-state-table tbody td:last-child") == [inspect(@script)]

    tab(browser, "Callbacks and failures")

    raise_it = "raise type('<b>Error', (Exception,), {})(text)"

    # The load fails often, too, and only the latest failures are kept: fail until it is seen.
    eventually(fn ->
      {:error, _error} = Peer.call(vm, Py, :exec, [raise_it, [locals: %{text: @script}]])
      Enum.any?(texts(browser, "#py-failures td:last-child"), &(&1 =~ @script))
    end)

    assert "<b>Error" in texts(browser, "#py-failures td:nth-child(3)")

    assert eval(browser, "window.injected") == nil
    assert eval(browser, "document.querySelectorAll('#main script, #main b').length") == 0
    assert errors(browser) == []
  end

  test "a killed context is seen and recovers", %{browser: browser, vm: vm} do
    tab(browser, "Contexts")

    row =
      "[...document.querySelectorAll('#py-contexts-table tbody tr')].find(row => row.cells[0].innerText.trim() == 'default 3')"

    wait(browser, row)
    restarts = "parseInt(#{row}.cells[11].innerText)"
    before = eval(browser, restarts)
    id = eval(browser, "#{row}.id")

    {:ok, pid} = Peer.call(vm, Py.Router, :get_context, [3])
    Peer.call(vm, Process, :exit, [pid, :kill])

    wait(browser, "#{row} && #{restarts} == #{before + 1}")
    assert eval(browser, "#{row}.id") != id
    wait(browser, "parseInt(#{row}.cells[5].innerText.replaceAll(',', '')) > 0")

    tab(browser, "Overview")
    eventually(fn -> value(browser, "Contexts started / crashed") =~ ~r"/ [1-9]" end)
    assert text(browser, "#py-contexts") == "7"
  end

  # Under load it may be refused: then once more.
  defp stick(vm) do
    code = "import time; time.sleep(3)"

    case Peer.call(vm, Py, :exec, [code, [context: :reports, timeout: 500]]) do
      {:error, %Py.TimeoutError{}} -> :ok
      {:error, %Py.OverloadedError{}} -> stick(vm)
    end
  end

  test "a stuck context is announced, and the page stays live", %{browser: browser, vm: vm} do
    stuck = "document.querySelector('#py-problems').innerText.includes('reports is stuck')"
    task = Task.async(fn -> stick(vm) end)
    wait(browser, stuck)
    shown = text(browser, "#py-as-of")
    eventually(fn -> text(browser, "#py-as-of") != shown end)
    assert Task.await(task, 30_000) == :ok
    tab(browser, "Contexts")
    # The load makes it stuck now and then, too: it is well again in between.
    wait(browser, "!#{stuck}")
  end

  test "a tab and a context can be linked to", %{browser: browser, url: url} do
    open(browser, url <> "?nav=contexts&context=2")
    assert text(browser, "#py-tabs .active") == "Contexts"
    assert text(browser, "#py-details h5") =~ "default 2"
    open(browser, url <> "?nav=contexts&context=999999")
    assert text(browser, "#py-details h5") == "This context has ended"
    open(browser, url <> "?nav=nothing&context=x")
    assert text(browser, "#py-tabs .active") == "Overview"
  end

  test "the metrics page draws the definitions of Py.Telemetry", %{browser: browser, url: url} do
    open(browser, String.replace_suffix(url, "python", "metrics"))
    wait(browser, "document.body.innerText.includes('erlang_python.call.stop.duration')")
    wait(browser, "document.querySelectorAll('.uplot canvas').length > 0")
  end

  test "another node is chosen, and says when it has no Python", %{
    browser: browser,
    vm: vm,
    url: url
  } do
    Peer.call(vm, Peer, :start_distribution, [])
    {:ok, peer, node} = Peer.call(vm, Peer, :start_node, [[]])
    # LiveDashboard sends a module of its own there, which needs Elixir.
    ebin = :elixir |> Application.app_dir("ebin") |> to_charlist()
    :ok = Peer.call(vm, :erpc, :call, [node, :code, :add_paths, [[ebin]]])

    open(browser, url)
    fill(browser, "#node-select", to_string(node))
    wait(browser, "document.querySelector('#py-unavailable') != null")
    assert text(browser, "#py-unavailable") =~ "erlang_python is not on #{node}"

    fill(browser, "#node-select", to_string(Peer.call(vm, Node, :self, [])))
    wait(browser, "document.querySelector('#py-calls') != null")
    Peer.call(vm, :peer, :stop, [peer])
  end
end
