defmodule Py.LiveDashboard.RowsTest do
  use ExUnit.Case, async: true

  alias Py.LiveDashboard.{History, Rows}
  alias Py.Test.Snapshot

  @params %{sort_by: :label, sort_dir: :asc, limit: 50, search: nil}

  defp params(changes), do: Map.merge(@params, Map.new(changes))
  defp labels({rows, _total}), do: Enum.map(rows, & &1.label)

  defp contexts(contexts), do: Snapshot.new(%{contexts: Enum.map(contexts, &Snapshot.context/1)})

  describe "understood?/1" do
    test "a snapshot of this version is" do
      assert Rows.understood?(Snapshot.new(%{failures: [Snapshot.failure()]}))
      assert Rows.understood?(Py.Stats.snapshot())
    end

    test "what lacks something the page reads is not" do
      snapshot = Snapshot.new()
      refute Rows.understood?(Map.delete(snapshot, :permits))
      refute Rows.understood?(update_in(snapshot.permits, &Map.delete(&1, :waiting)))
      refute Rows.understood?(%{snapshot | contexts: [%{id: 1}]})
      refute Rows.understood?(%{snapshot | failures: :none})
      refute Rows.understood?(%{snapshot | contexts: [%{Snapshot.context() | latency: %{}}]})
      refute Rows.understood?(%{snapshot | interpreters: [Snapshot.interpreter(%{sample: %{}})]})
      refute Rows.understood?(:undef)
    end

    test "what has more is" do
      assert Rows.understood?(Map.put(Snapshot.new(), :new_in_the_next_version, 1))
    end
  end

  describe "contexts" do
    setup do
      {:ok,
       snapshot:
         contexts([
           %{id: 1, pool: :default, index: 1, calls: 5, latency: %{p50_us: 3.0}},
           %{id: 2, pool: :default, index: 10, calls: 9, state: :running},
           %{id: 3, pool: :default, index: 2, calls: 7, latency: %{p50_us: 1.0}},
           %{id: 4, name: :models, mode: :owngil, calls: 1},
           %{id: 5, pool: nil}
         ])}
    end

    test "are named by name, place or number", %{snapshot: snapshot} do
      assert labels(Rows.contexts(snapshot, @params)) ==
               ["context 5", "default 1", "default 2", "default 10", "models"]
    end

    test "are sorted, what is unknown last in both directions", %{snapshot: snapshot} do
      by_calls = Rows.contexts(snapshot, params(sort_by: :calls, sort_dir: :desc))
      assert labels(by_calls) == ["default 10", "default 2", "default 1", "models", "context 5"]

      for {direction, first} <- [
            asc: ["default 2", "default 1"],
            desc: ["default 1", "default 2"]
          ] do
        rows = Rows.contexts(snapshot, params(sort_by: :p50_us, sort_dir: direction))
        assert rows |> labels() |> Enum.take(2) == first
      end
    end

    test "are searched by name, mode and state; the total is of what was found", %{
      snapshot: snapshot
    } do
      assert {[%{id: 4}], 1} = Rows.contexts(snapshot, params(search: "MODELS"))
      assert {[%{id: 4}], 1} = Rows.contexts(snapshot, params(search: "owngil"))
      assert {[%{id: 2}], 1} = Rows.contexts(snapshot, params(search: "running"))
      assert {[_one], 3} = Rows.contexts(snapshot, params(search: "default", limit: 1))
      assert {[], 0} = Rows.contexts(snapshot, params(search: "nothing"))
    end

    test "a table without a limit has all", %{snapshot: snapshot} do
      assert {rows, 5} = Rows.contexts(snapshot, params(limit: nil))
      assert length(rows) == 5
    end

    test "one has its failures, and is gone when it has ended", %{snapshot: snapshot} do
      failures =
        for {id, message} <- [{1, "mine"}, {2, "other"}, {nil, "nobody's"}],
            do: Snapshot.failure(%{context: id, message: message})

      snapshot = %{snapshot | failures: failures}

      assert %{label: "default 1", failures: [%{message: "mine"}], p50_us: 3.0} =
               Rows.context(snapshot, 1)

      assert Rows.context(snapshot, 99) == nil
    end

    test "are counted by state, and their mean load", %{snapshot: snapshot} do
      assert Rows.states(snapshot) == [running: 1, idle: 4]
      assert Rows.busy_share(contexts([%{busy_share: 1.0}, %{busy_share: 0.5}])) == 0.75
      assert Rows.busy_share(contexts([])) == nil
    end

    test "a name of bytes that are no text is shown, and valid" do
      {[row], 1} = Rows.contexts(contexts([%{name: <<255, 254>>}]), @params)
      assert String.valid?(row.label)
    end
  end

  describe "interpreters" do
    test "show the labels of their contexts and means" do
      snapshot =
        Snapshot.new(%{
          contexts: [
            Snapshot.context(%{id: 1, name: :models}),
            Snapshot.context(%{id: 2, interpreter: 7})
          ],
          interpreters: [
            Snapshot.interpreter(%{
              id: 0,
              contexts: [1],
              gc_runs: 4,
              gc_time_us: 10.0,
              sample:
                Snapshot.sample(%{
                  age_ms: 12,
                  gc: for(n <- [5, 2, 1], do: %{collections: n, collected: 0, uncollectable: n})
                })
            }),
            Snapshot.interpreter(%{id: 7, mode: :owngil, contexts: [2, 3]})
          ]
        })

      assert {[main, own], 2} = Rows.interpreters(snapshot, @params)

      assert %{label: "main", context_labels: ["models"], generations: [5, 2, 1]} =
               main

      assert %{uncollectable: 8, blocks: 100_000, age_ms: 12} = main

      assert %{label: "own-GIL 7", context_labels: ["context 2", "context 3"]} = own

      assert %{generations: nil, blocks: nil, age_ms: nil, uncollectable: nil} = own
    end
  end

  describe "callbacks and failures" do
    test "functions have a mean time, those without calls none" do
      snapshot =
        Snapshot.new(%{
          callbacks: [
            Snapshot.callback(%{name: nil}),
            Snapshot.callback(%{name: "price", calls: 4, errors: 1, time_us: 100})
          ]
        })

      assert {[passed, price], 2} = Rows.callbacks(snapshot, @params)
      assert %{label: "functions passed as arguments", mean_us: nil} = passed
      assert %{label: "price", mean_us: 25.0, errors: 1} = price
      assert {[%{label: "price"}], 1} = Rows.callbacks(snapshot, params(search: "pri"))
    end

    test "failures keep their order and name their context" do
      failures = [
        Snapshot.failure(%{context: 2, message: "<b>\0"}),
        Snapshot.failure(%{context: 77, context_name: "default 1"}),
        Snapshot.failure(%{context: 78, context_name: nil}),
        Snapshot.failure(%{context: nil, context_name: nil, kind: :overloaded})
      ]

      assert [
               %{places: ["default 2"], message: "<b>�", times: 1},
               %{places: ["context 78 (ended)", "default 1 (ended)"], times: 2},
               %{places: [], kind: :overloaded}
             ] = Rows.failures(Snapshot.new(%{failures: failures}))
    end

    test "failures name what failed, and where" do
      failures = [
        Snapshot.failure(%{function: "math.sqrt", file: "/srv/app/model.py", line: 12}),
        Snapshot.failure(%{function: nil, operation: :exec, file: "<exec 3>", line: 1}),
        Snapshot.failure(%{function: nil, operation: :exec, file: "<exec 5>", line: 1}),
        Snapshot.failure(%{function: nil, operation: nil, file: nil, line: nil})
      ]

      assert [
               %{what: "math.sqrt", line: "model.py:12"},
               %{what: "exec", line: "<exec 3>:1", times: 2},
               %{what: "–", line: nil}
             ] = Rows.failures(Snapshot.new(%{failures: failures}))
    end

    test "equal failures that follow each other are one row" do
      failures =
        for {at, context, message} <- [
              {5, 2, "a"},
              {4, 1, "a"},
              {3, 2, "a"},
              {2, 1, "b"},
              {1, 1, "a"}
            ],
            do: Snapshot.failure(%{at: at, context: context, message: message})

      assert [
               %{at: 5, message: "a", times: 3, places: ["default 1", "default 2"]},
               %{at: 2, message: "b", times: 1},
               %{at: 1, message: "a", times: 1}
             ] = Rows.failures(Snapshot.new(%{failures: failures}))
    end
  end

  describe "state/2" do
    @sizes [{"b", 10}, {"a10", 30}, {"a2", 20}, {<<255>>, 1}]

    test "sorts by key and by size" do
      assert {[%{key: "a2"}, %{key: "a10"}, %{key: "b"}, %{key: <<255>>}], 4} =
               Rows.state(@sizes, params(sort_by: :key))

      assert {[%{bytes: 30}, %{bytes: 20}], 4} =
               Rows.state(@sizes, params(sort_by: :bytes, sort_dir: :desc, limit: 2))
    end

    test "searches in keys, which stay as they are" do
      assert {[%{key: "a2"}, %{key: "a10"}], 2} =
               Rows.state(@sizes, params(sort_by: :key, search: "A"))
    end
  end

  describe "problems/2" do
    defp problems(snapshot, history \\ History.new()), do: Rows.problems(snapshot, history)

    test "there are none in an idle VM" do
      assert problems(Snapshot.new()) == []
      assert problems(contexts([])) == []
    end

    test "a stuck context comes first" do
      snapshot =
        contexts([
          %{name: :long, state: :running, running_ms: 61_000},
          %{name: :reports, state: :stuck, running_ms: 2_000}
        ])

      assert [{:danger, stuck}, {:info, long}] = problems(snapshot)
      assert stuck =~ "reports is stuck"
      assert long =~ "long has run the same request"
    end

    test "a request that runs for seconds is none" do
      assert problems(contexts([%{state: :running, running_ms: 9_000}])) == []
      assert problems(contexts([%{state: :running, running_ms: nil}])) == []
    end

    test "dead contexts are named" do
      assert [{:danger, "Ended and not replaced yet: a, b."}] =
               problems(contexts([%{name: :a, state: :dead}, %{name: :b, state: :dead}]))
    end

    test "the limit is one when somebody waits for it" do
      assert problems(Snapshot.new(%{permits: %{in_use: 5, max_concurrent: 5}})) == []

      assert [{:warning, text}] =
               problems(Snapshot.new(%{permits: %{in_use: 5, max_concurrent: 5, waiting: 3}}))

      assert text =~ "all 5 permits are in use (max_concurrent), 3 waiting"
    end

    test "refused work is one while it is refused" do
      snapshots =
        for {second, rejected} <- [{1, 0}, {2, 4}, {3, 4}],
            do: Snapshot.new(%{at: second * 1_000, totals: %{rejected: rejected}})

      [first, refused, quiet] = snapshots |> Enum.scan(History.new(), &History.push(&2, &1))
      assert problems(Snapshot.new(), first) == []
      assert [{:warning, text}] = problems(Snapshot.new(), refused)
      assert text =~ "refused: 4 per second"
      assert problems(Snapshot.new(), quiet) == []
    end

    test "full shared state is one" do
      assert problems(Snapshot.new(%{state: %{entries: 9, max_entries: 10}})) == []

      assert [{:warning, text}] =
               problems(Snapshot.new(%{state: %{entries: 10, max_entries: 10}}))

      assert text =~ "it has 10 entries (max_state_entries)"
    end
  end
end
