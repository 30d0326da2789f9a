defmodule Py.LiveDashboard.NumbersTest do
  # The numbers of permits and requests have the same names and values in all windows: `Py.info`, `Py.stats`, `Py.Semaphore`,
  # `Py.Context.info`, telemetry, the dashboard, and the Erlang API, which has names of its own for some of them.
  use ExUnit.Case, async: false

  import Phoenix.Component, only: [sigil_H: 2]
  import Phoenix.LiveViewTest, only: [rendered_to_string: 1]
  import Py.Test.Telemetry
  import Py.Test.Wait

  alias Py.LiveDashboard.{History, Rows, Tabs}
  alias Py.Semaphore

  @permits [:in_use, :max_concurrent, :waiting]
  @context [:running, :queued, :load]

  # What changes between two reads of an idle context.
  @moving [:uptime_ms, :busy_share]

  setup {Py.Test.Telemetry, :detach_after}

  setup do
    eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    eventually(fn -> Enum.all?(Py.stats().contexts, &(&1.running == 0 and &1.load == 0)) end)
    listen([[:erlang_python, :stats, :node], [:erlang_python, :stats, :context]])
    :ok
  end

  # The permits as each window has them.
  defp permits_seen do
    [Semaphore.info(), Py.stats().permits, Map.take(Py.info(), @permits), node_measured(@permits)] ++
      [
        %{
          in_use: Semaphore.in_use(),
          max_concurrent: Semaphore.max_concurrent(),
          waiting: Semaphore.waiting()
        },
        %{
          in_use: :py_semaphore.current(),
          max_concurrent: :py_semaphore.max_concurrent(),
          waiting: :py_nif.get_debug_counters().waiting
        },
        permits_drawn()
      ]
  end

  # The requests of a context, as each window has them.
  defp requests_seen(pid) do
    id = in_stats(pid).id
    {:ok, info} = Py.Context.info(pid)
    Py.Telemetry.measure()
    assert_received {:stats, :context, measured, %{id: ^id}}
    flush()
    {[row], 1} = Rows.contexts(%{Py.stats() | contexts: [in_stats(pid)]}, page())
    for window <- [info, in_stats(pid), measured, row], do: Map.take(window, @context)
  end

  defp in_stats(pid), do: Enum.find(Py.stats().contexts, &(&1.pid == pid))

  defp page, do: %{sort_by: :queued, sort_dir: :desc, limit: nil, search: nil}

  defp node_measured(keys) do
    Py.Telemetry.measure()
    assert_received {:stats, :node, measured, %{}}
    flush()
    Map.take(measured, keys)
  end

  defp flush do
    receive do
      {:stats, _name, _measurements, _metadata} -> flush()
    after
      0 -> :ok
    end
  end

  # The numbers of the panel on the overview.
  defp permits_drawn do
    snapshot = Py.stats()
    assigns = %{snapshot: snapshot, history: History.push(History.new(), snapshot)}

    html =
      rendered_to_string(~H"<Tabs.Overview.render snapshot={@snapshot} history={@history} />")

    [_, in_use, max] = Regex.run(~r{id="py-permits">(\d+)</span>\s+of (\d+) in use}, html)
    [_, waiting] = Regex.run(~r{id="py-waiting">(\d+)</span> waiting}, html)
    [in_use, max, waiting] = Enum.map([in_use, max, waiting], &String.to_integer/1)
    %{in_use: in_use, max_concurrent: max, waiting: waiting}
  end

  # A request whose callback returns when it is told to.
  defp occupy(context) do
    test = self()

    function = fn ->
      send(test, {:called, self()})
      receive do: (:go -> 1)
    end

    task = Task.async(fn -> Py.eval(context, "f()", locals: %{f: function}) end)
    pid = task.pid
    assert_receive {:called, ^pid}, 5_000
    task
  end

  test "at rest" do
    expected = %{in_use: 0, max_concurrent: Semaphore.max_concurrent(), waiting: 0}
    assert Enum.uniq(permits_seen()) == [expected]

    for pid <- Py.Context.list() do
      assert Enum.uniq(requests_seen(pid)) == [%{running: 0, queued: 0, load: 0}]
    end

    assert node_measured([:running, :queued]) == %{running: 0, queued: 0}
    assert :py_nif.get_debug_counters().queued == 0
  end

  test "under load" do
    Semaphore.set_max_concurrent(2)
    busy = start_supervised!(Py.Context, id: :busy)
    other = start_supervised!(Py.Context, id: :other)

    # One runs and one is next: they have the permits. Two stand in the line of the context.
    running = occupy(busy)
    queued = for n <- 1..3, do: Py.async(:operator, :neg, [n], context: busy)
    # It waits for a permit at an idle context. Another one has given up.
    waiting = Py.async(:operator, :neg, [4], context: other)
    assert {:error, %Py.OverloadedError{}} = Py.eval(other, "1", wait: 1)

    assert Enum.uniq(permits_seen()) == [%{in_use: 2, max_concurrent: 2, waiting: 1}]
    assert Enum.uniq(requests_seen(busy)) == [%{running: 1, queued: 3, load: 4}]
    assert Enum.uniq(requests_seen(other)) == [%{running: 0, queued: 0, load: 1}]
    assert node_measured([:running, :queued]) == %{running: 1, queued: 3}
    assert %{in_use: 2, waiting: 1, queued: 3} = :py_nif.get_debug_counters()

    send(running.pid, :go)
    assert Task.await(running) == {:ok, 1}
    assert Py.await_many(queued ++ [waiting]) == for(n <- 1..4, do: {:ok, -n})
    assert eventually(fn -> Semaphore.info() == %{in_use: 0, max_concurrent: 2, waiting: 0} end)
    assert Enum.uniq(requests_seen(busy)) == [%{running: 0, queued: 0, load: 0}]
  end

  test "Py.Context.info is the entry of the snapshot" do
    start_supervised!({Py.Pool, name: :numbers, size: 1})
    [in_pool] = Py.Router.contexts(:numbers)
    named = start_supervised!({Py.Context, name: :numbers_named})
    Process.exit(in_pool, :kill)

    restarted =
      eventually(fn ->
        case Py.Router.contexts(:numbers) do
          [^in_pool] -> nil
          [pid] -> Process.alive?(pid) and pid
        end
      end)

    for {pid, who} <- [
          {hd(Py.Router.contexts()), %{pool: :default, index: 1, name: nil}},
          {restarted, %{pool: :numbers, index: 1, name: nil, restarts: 1}},
          {named, %{pool: nil, index: nil, name: :numbers_named, restarts: 0}}
        ] do
      {:ok, info} = Py.Context.info(pid)
      assert Map.drop(info, @moving) == Map.drop(in_stats(pid), @moving)
      assert Map.take(info, Map.keys(who)) == who
      assert info.pid == pid
    end
  end

  test "the types have the keys" do
    {:ok, info} = Py.Context.info(1)
    stats = Py.stats()

    for {type, map} <- [
          context: info,
          permits: stats.permits,
          snapshot: stats,
          totals: stats.totals,
          os: stats.os,
          state: stats.state,
          python: stats.python,
          latency: info.latency,
          interpreter: hd(stats.interpreters),
          callback: hd(stats.callbacks)
        ] do
      assert {type, Enum.sort(Map.keys(map))} == {type, documented(type)}
    end

    assert @permits == documented(:permits)
  end

  defp documented(type) do
    {:ok, types} = Code.Typespec.fetch_types(Py.Stats)

    {_kind, {^type, {:type, _, :map, fields}, []}} =
      Enum.find(types, &match?({_, {^type, _, _}}, &1))

    Enum.sort(for {:type, _, :map_field_exact, [{:atom, _, key}, _value]} <- fields, do: key)
  end

  test "the guide's table has each number" do
    [_, section] =
      "guides/operating/telemetry.md"
      |> File.read!()
      |> String.split("## The numbers and where to find them\n")

    [section | _] = String.split(section, "\n## ")
    names = Regex.scan(~r/^\| `(\w+)` \|/m, section, capture: :all_but_first) |> List.flatten()
    assert Enum.sort(names) == Enum.sort(Enum.map(@permits ++ @context ++ [:max_queue], &"#{&1}"))
  end
end
