defmodule Py.LiveDashboardTest do
  # The page without a browser: its first response, what it draws of a snapshot, and what it says of nodes.
  # test/py/live_dashboard/browser_test.exs uses it as an operator does.
  use ExUnit.Case, async: false

  import Phoenix.Component
  import Phoenix.LiveViewTest, only: [rendered_to_string: 1]
  import Py.Test.Wait

  alias Py.LiveDashboard.{History, Source, Tabs}
  alias Py.Test.{Peer, Snapshot}

  @params %{sort_by: :key, sort_dir: :asc, limit: 50, search: nil}

  describe "init/1" do
    test "takes :state_values" do
      assert Py.LiveDashboard.init([]) == {:ok, %{state_values: true}}
      assert Py.LiveDashboard.init(state_values: false) == {:ok, %{state_values: false}}
    end

    test "refuses anything else" do
      assert_raise ArgumentError, ~r/unknown keys \[:values\]/, fn ->
        Py.LiveDashboard.init(values: true)
      end

      assert_raise ArgumentError, ~r/:state_values to be a boolean/, fn ->
        Py.LiveDashboard.init(state_values: "no")
      end
    end
  end

  describe "without LiveDashboard" do
    test "there is no page, and the rest compiles without a warning" do
      without = Enum.reject(:code.get_path(), &(to_string(&1) =~ ~r"/phoenix"))
      vm = Peer.start([{"ERL_LIBS", nil}], [], without)
      refute Peer.call(vm, Code, :ensure_loaded?, [Phoenix.LiveDashboard.PageBuilder])
      {:ok, _apps} = Peer.call(vm, :application, :ensure_all_started, [:elixir])
      Peer.call(vm, Code, :compiler_options, [[ignore_module_conflict: true]])
      files = ["lib/py/live_dashboard.ex" | Path.wildcard("lib/py/live_dashboard/**/*.ex")]
      assert length(files) > 4

      assert {:ok, modules, warnings} =
               Peer.call(vm, Kernel.ParallelCompiler, :compile, [
                 files,
                 [return_diagnostics: true]
               ])

      alias Py.LiveDashboard, as: Page
      assert Enum.sort(modules) == [Page.Format, Page.History, Page.Rows, Page.Source]
      assert %{compile_warnings: [], runtime_warnings: []} = warnings
    end
  end

  describe "the guide" do
    test "quotes labels and sentences as the page has them" do
      source =
        ["lib/py/live_dashboard.ex" | Path.wildcard("lib/py/live_dashboard/**/*.ex")]
        |> Enum.map_join(&File.read!/1)
        # Sentences that span lines.
        |> String.replace(~r/" <>\s+"/, "")

      labels =
        for [cell] <- Regex.scan(~r/^\| ([^|`]+) \|/m, guide(), capture: :all_but_first),
            cell not in ["sentence", "number", "column"],
            label <- String.split(cell, ", "),
            do: String.trim(label, "*") |> String.trim_leading("… ")

      assert length(labels) > 30
      assert for(label <- labels, not (source =~ label), do: label) == []
    end

    defp guide, do: File.read!("guides/operating/dashboard.md")
  end

  describe "what is drawn" do
    @html "<script>alert('x')</script>"

    defp overview(snapshot) do
      assigns = %{snapshot: snapshot, history: History.push(History.new(), snapshot)}
      rendered_to_string(~H"<Tabs.Overview.render snapshot={@snapshot} history={@history} />")
    end

    defp failures(snapshot) do
      assigns = %{failures: Py.LiveDashboard.Rows.failures(snapshot)}
      rendered_to_string(~H|<Py.LiveDashboard.Components.failures id="f" failures={@failures} />|)
    end

    test "numbers of a snapshot" do
      html =
        overview(
          Snapshot.new(%{
            python: %{version: "3.14.77"},
            permits: %{in_use: 4, max_concurrent: 5, waiting: 17},
            totals: %{calls: 1_234_567, errors: 89}
          })
        )

      assert html =~ "3.14.77"
      assert html =~ ~r/id="py-permits">4</
      assert html =~ ~r/id="py-waiting">17</
      assert html =~ "1,234,567 / 89"
    end

    test "no contexts and no rates yet are no error" do
      assert overview(Snapshot.new(%{contexts: [], interpreters: []})) =~ "0</span> contexts"
    end

    test "texts of the program, escaped" do
      failure = Snapshot.failure(%{type: @html, message: @html, context: nil})
      html = failures(Snapshot.new(%{failures: [failure]}))
      refute html =~ "<script"
      assert html =~ "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"

      html = overview(Snapshot.new(%{python: %{executable: @html}}))
      refute html =~ "<script"
      assert html =~ "&lt;script&gt;"
    end

    test "the function, the line and the context of a failure" do
      failure = Snapshot.failure(%{function: "shop.price", file: "/srv/shop.py", line: 7})
      html = failures(Snapshot.new(%{failures: [failure]}))
      assert html =~ "shop.price"
      assert html =~ "shop.py:7"
      assert html =~ "default 1"
    end

    test "a failure of bytes that are no text is valid UTF-8" do
      assert [Snapshot.failure(%{message: <<0, 255, "x">>})]
             |> then(&Snapshot.new(%{failures: &1}))
             |> failures()
             |> String.valid?()
    end
  end

  describe "the shared state" do
    setup do
      on_exit(&Py.State.clear/0)
      Py.State.clear()
    end

    test "is previewed, sorted and searched" do
      Py.State.put("config", %{model: "small"})
      Py.State.put("big", String.duplicate("x", 1_000))
      Py.State.incr("count", 41)

      assert {:ok, {[%{key: "big"}, %{key: "config"} = config, %{key: "count", value: "41"}], 3}} =
               Source.state(node(), @params, true)

      assert config.value == ~S(%{model: "small"})
      by_size = %{@params | sort_by: :bytes, sort_dir: :desc, limit: 1}
      assert {:ok, {[%{key: "big", bytes: bytes}], 3}} = Source.state(node(), by_size, true)
      assert bytes in 1_003..1_100

      assert {:ok, {[%{key: "count"}], 1}} =
               Source.state(node(), %{@params | search: "COU"}, true)
    end

    test "large values are not read, others are cut" do
      Py.State.put("large", String.duplicate("x", 100_000))
      Py.State.put("medium", String.duplicate("y", 10_000))
      assert {:ok, {[large, medium], 2}} = Source.state(node(), @params, true)
      assert large.value =~ "too large to show"
      assert String.length(medium.value) < 200
    end

    test "values can be kept from operators" do
      Py.State.put("token", "s3cret")
      assert {:ok, {[%{key: "token", value: value}], 1}} = Source.state(node(), @params, false)
      refute value =~ "s3cret"
    end

    test "keys that are no text are shown as Elixir writes them" do
      Py.State.put(<<255, 0>>, 1)
      assert {:ok, {[%{key: key}], 1}} = Source.state(node(), @params, true)
      assert key == inspect(<<255, 0>>, binaries: :as_strings)
    end
  end

  describe "this node" do
    test "is read while Python is busy" do
      {:ok, context} = Py.Context.start_link()
      task = Task.async(fn -> Py.exec(context, "while True: pass", timeout: :infinity) end)
      until_running(context)
      assert {:ok, snapshot} = Source.snapshot(node())

      assert %{state: :running, running_ms: ms} =
               Enum.find(snapshot.contexts, &(&1.pid == context))

      assert is_integer(ms)
      assert {:ok, [line]} = Source.stack(node(), context)
      assert line =~ ~r/^<exec \d+>:1: <module>$/
      Py.Context.stop(context)
      assert {:error, text} = Source.stack(node(), context)
      assert text =~ "no Python context"
      assert {:error, %Py.ContextError{}} = Task.await(task)
    end
  end

  describe "another node" do
    setup tags do
      Peer.start_distribution()
      {:ok, peer, node} = Peer.start_node(Map.get(tags, :paths, :code.get_path()))
      on_exit(fn -> if Process.alive?(peer), do: :peer.stop(peer) end)
      {:ok, peer: peer, node: node}
    end

    defp answers?(node) do
      :erpc.call(node, :erlang, :is_alive, [], 500)
    catch
      :error, {:erpc, :timeout} -> false
    end

    defp refused(node) do
      assert {:error, text} = Source.snapshot(node)

      html =
        rendered_to_string(Py.LiveDashboard.render(%{result: {:error, text}, __changed__: nil}))

      assert html =~ "This node has no statistics of Python"
      assert html =~ to_string(node)
      text
    end

    test "with Python running is read like this one", %{node: node} do
      {:ok, _apps} = :erpc.call(node, :application, :ensure_all_started, [:erlang_python], 60_000)
      :ok = :erpc.call(node, Py.State, :put, ["where", node])
      assert {:ok, %{node: ^node}} = Source.snapshot(node)
      assert {:ok, {[%{key: "where", value: value}], 1}} = Source.state(node, @params, true)
      assert value == inspect(node)
    end

    test "where the application is not running says so", %{node: node} do
      assert refused(node) =~ "is not running there"
    end

    @tag paths: []
    test "without erlang_python says so", %{node: node} do
      assert refused(node) =~ "erlang_python is not on"
      assert {:error, text} = Source.state(node, @params, true)
      assert text =~ "erlang_python is not on"
    end

    @tag paths: []
    test "with another version says which", %{node: node} do
      application = {:application, :erlang_python, vsn: ~c"0.0.7"}
      :ok = :erpc.call(node, :application, :load, [application])
      assert refused(node) =~ "runs erlang_python 0.0.7"

      # It has statistics, of another shape.
      load_snapshot(node, {:map, 1, []})
      assert refused(node) =~ "runs erlang_python 0.0.7"
    end

    @tag paths: []
    test "whose statistics fail says why", %{node: node} do
      load_snapshot(
        node,
        {:call, 1, {:remote, 1, {:atom, 1, :erlang}, {:atom, 1, :error}}, [{:atom, 1, :oops}]}
      )

      :ok = :erpc.call(node, :application, :load, [{:application, :erlang_python, vsn: ~c"9"}])
      :ok = :erpc.call(node, :application, :start, [:erlang_python])
      assert refused(node) =~ ":oops"
    end

    @tag paths: []
    test "that does not answer is given up", %{node: node} do
      pid = node |> :erpc.call(:os, :getpid, []) |> to_string()
      {_output, 0} = System.cmd("kill", ["-STOP", pid])
      on_exit(fn -> System.cmd("kill", ["-CONT", pid]) end)
      # The signal is on its way to each of its threads.
      eventually(fn -> not answers?(node) end)
      assert refused(node) =~ "did not answer within"
      {_output, 0} = System.cmd("kill", ["-CONT", pid])
    end

    @tag paths: []
    test "that is gone cannot be reached", %{peer: peer, node: node} do
      :peer.stop(peer)
      assert refused(node) =~ "cannot be reached"
    end

    # A module Py.Stats of one function, compiled without loading it here.
    defp load_snapshot(node, expression) do
      forms = [
        {:attribute, 1, :module, Py.Stats},
        {:attribute, 1, :export, [snapshot: 0]},
        {:function, 1, :snapshot, 0, [{:clause, 1, [], [], [expression]}]}
      ]

      {:ok, module, binary} = :compile.forms(forms)
      {:module, _name} = :erpc.call(node, :code, :load_binary, [module, ~c"stats.erl", binary])
    end
  end
end
