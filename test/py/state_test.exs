defmodule Py.StateTest do
  use Py.Test.Case

  import Py.Test.Wait

  alias Py.State
  alias Py.Test.Dialect

  doctest Py.State

  setup {Py.Test.State, :clear}
  setup {Py.Test.State, :import_erlang}

  # Values that come back from the state as they went in.
  @values [
    nil,
    true,
    false,
    :atom,
    0,
    -1,
    2 ** 63 - 1,
    2 ** 63,
    -(2 ** 63),
    -(2 ** 63) - 1,
    2 ** 64,
    3 ** 500,
    -(3 ** 500),
    1.5,
    "",
    "text, ünï",
    <<0, 255>>,
    <<1::3>>,
    [],
    [1 | 2],
    ~c"list",
    {},
    {1, [2, {3}]},
    %{},
    %{"b" => %{{1} => [2]}},
    MapSet.new([1]),
    ~D[2026-01-31],
    1..3,
    &String.upcase/1
  ]

  describe "from Elixir" do
    test "put, get, fetch, delete" do
      for value <- @values do
        assert State.put("k", value) == :ok
        assert State.get("k") === value
        assert State.fetch("k") === {:ok, value}
        assert State.info().entries == 1
      end

      for value <- [
            self(),
            make_ref(),
            fn ->
              value = 1
              value
            end
          ] do
        assert State.put("k", value) == :ok
        assert State.get("k") === value
      end

      assert State.delete("k") == true
      assert State.delete("k") == false
      assert State.fetch("k") == :error
      assert State.get("k") == nil
      assert State.get("k", :default) == :default
      # A stored nil is not a missing one.
      State.put("k", nil)
      assert State.get("k", :default) == nil
    end

    test "keys and clear" do
      assert State.keys() == []
      keys = for n <- 1..500, do: "key #{n}"
      for key <- keys, do: State.put(key, key)
      assert Enum.sort(State.keys()) == Enum.sort(keys)
      assert State.info() == %{entries: 500, max_entries: nil}
      assert State.clear() == :ok
      assert State.keys() == []
      assert State.info().entries == 0
    end

    test "keys are text or bytes, atoms stand for their text" do
      State.put(:name, 1)
      assert State.get("name") == 1
      assert State.incr("name") == 2
      assert State.get(:name) == 2
      State.put("", 3)
      State.put(<<255>>, 4)
      assert Enum.sort(State.keys()) == ["", "name", <<255>>]
      assert State.delete(:name)
      assert State.get(<<255>>) == 4

      for key <- [nil, 1, ~c"list", {1}, <<1::3>>] do
        assert_raise ArgumentError, ~r/expected a key as a string or an atom/, fn ->
          State.get(key)
        end

        assert_raise ArgumentError, fn -> State.put(key, 1) end
        assert_raise ArgumentError, fn -> State.incr(key) end
        assert_raise ArgumentError, fn -> State.delete(key) end
      end
    end

    test "incr and decr" do
      assert State.incr("n") == 1
      assert State.incr("n", 5) == 6
      assert State.decr("n") == 5
      assert State.decr("n", 10) == -5
      assert State.decr("new") == -1
      assert State.get("n") == -5
      # Over both ends of 64 bits and back.
      State.put("n", 2 ** 63 - 1)
      assert State.incr("n") == 2 ** 63
      assert State.decr("n") == 2 ** 63 - 1
      State.put("n", -(2 ** 63))
      assert State.decr("n") == -(2 ** 63) - 1
      assert State.incr("n") == -(2 ** 63)
      assert State.incr("n", 2 ** 200) == 2 ** 200 - 2 ** 63
      assert State.incr("n", -(2 ** 200)) == -(2 ** 63)
      assert State.incr("big", 3 ** 500) == 3 ** 500
      assert State.get("big") == 3 ** 500
    end

    test "only integers count" do
      for value <- [nil, true, 1.0, "1", [1], %{}] do
        State.put("n", value)

        assert_raise ArgumentError, ~s(the shared value of "n" is not an integer), fn ->
          State.incr("n")
        end

        assert_raise ArgumentError, fn -> State.decr("n", 2) end
        assert State.get("n") === value
      end

      for by <- [1.0, nil, "1", true] do
        assert_raise ArgumentError, ~r/expected an integer amount/, fn -> State.incr("m", by) end
        assert_raise ArgumentError, ~r/expected an integer amount/, fn -> State.decr("m", by) end
      end

      assert State.fetch("m") == :error
    end

    test "a bound on entries" do
      Py.Native.state_set_max(2)
      assert State.put("a", 1) == :ok
      assert State.incr("b") == 1
      assert State.put("c", 1) == {:error, :full}
      assert_raise ArgumentError, ~r/the shared state is full/, fn -> State.incr("c") end
      # Those that are there may change, and make room.
      assert State.put("a", 2) == :ok
      assert State.incr("b") == 2
      assert State.info() == %{entries: 2, max_entries: 2}
      assert State.delete("a")
      assert State.put("c", 1) == :ok
      Py.Native.state_set_max(nil)
      assert State.put("d", 1) == :ok
    end
  end

  for mode <- modes() do
    describe "#{mode}: from Python" do
      @describetag mode: mode

      test "set, get, delete, keys, clear", %{ctx: ctx} do
        assert eval(ctx, "erlang.state_get('k')") == nil
        assert eval(ctx, "erlang.state_get('k', 7)") == 7
        assert eval(ctx, "erlang.state_set('k', [1, {'a': None}])") == nil
        assert eval(ctx, "erlang.state_get('k', 7)") == [1, %{"a" => nil}]
        assert State.get("k") == [1, %{"a" => nil}]
        assert eval(ctx, "erlang.state_keys()") == ["k"]
        assert eval(ctx, "(erlang.state_delete('k'), erlang.state_delete('k'))") == {true, false}
        assert State.fetch("k") == :error
        Py.exec!(ctx, "for n in range(100): erlang.state_set(str(n), n)")
        assert State.info().entries == 100
        assert eval(ctx, "sorted(erlang.state_keys()) == sorted(map(str, range(100)))") == true
        assert eval(ctx, "erlang.state_clear()") == nil
        assert State.keys() == []
        # A stored None is not a missing one.
        assert eval(ctx, "erlang.state_set('k', None) or erlang.state_get('k', 7)") == nil
      end

      test "values are those of any call", %{ctx: ctx} do
        for value <- @values, value not in [:atom, <<1::3>>, [1 | 2]] do
          State.put("k", value)
          assert eval(ctx, "erlang.state_get('k')") == value
          # And back.
          State.delete("k")
          assert eval(ctx, "erlang.state_set('k', x)", %{x: value}) == nil
          assert State.get("k") == value
        end

        for value <- [self(), make_ref(), %Py.Test.Plain{}] do
          State.put("k", value)
          assert State.get("k") == value
        end

        assert eval(ctx, "erlang.state_set('k', x)", %{x: self()}) == nil
        assert eval(ctx, "erlang.state_get('k')") == self()
        State.put("f", &(&1 + 1))
        assert eval(ctx, "erlang.state_get('f')(41)") == 42
        State.put("a", :atom)
        assert eval(ctx, "erlang.state_get('a')") == "atom"
        assert eval(ctx, "erlang.state_set('k', float('inf'))") == nil
        assert State.get("k") == :infinity
        assert eval(ctx, "erlang.state_set('k', True)") == nil
        assert State.get("k") == true
      end

      test "values without a counterpart are a TypeError, and the entry stays", %{ctx: ctx} do
        for {value, text} <- [
              {<<1::3>>, "bitstring"},
              {[1 | 2], "improper list"},
              {%Py.Test.Plain{}, "struct"}
            ] do
          State.put("k", value)

          assert %Py.Error{type: "TypeError", message: message} =
                   error(ctx, "erlang.state_get('k')")

          assert message =~ text
          assert State.get("k") == value
        end

        State.put("k", 1)
        Py.exec!(ctx, "loop = []\nloop.append(loop)")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.state_set('k', loop)")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.state_set('k', '\\udc00')")
        assert State.get("k") == 1
      end

      test "keys", %{ctx: ctx} do
        State.put(:name, 1)
        State.put(<<255, 0>>, 2)
        assert eval(ctx, "erlang.state_get('name'), erlang.state_get(b'name')") == {1, 1}
        assert eval(ctx, "erlang.state_get(b'\\xff\\0')") == 2
        assert eval(ctx, "sorted(map(repr, erlang.state_keys()))") == ["'name'", "b'\\xff\\x00'"]
        assert eval(ctx, "erlang.state_get(erlang.atom('name'))") == 1
        assert eval(ctx, "erlang.state_set('ünï', 3) or erlang.state_get('ünï'.encode())") == 3

        for call <- ["get(1)", "set(None, 1)", "delete(('a',))", "incr(1.5)", "decr([])"] do
          assert %Py.Error{
                   type: "TypeError",
                   message: "keys of the shared state are str or bytes"
                 } =
                   error(ctx, "erlang.state_#{call}")
        end

        for call <- ["get()", "get(1, 2, 3)", "set('k')", "keys(1)", "clear(1)", "incr()"] do
          assert %Py.Error{type: "TypeError", message: message} =
                   error(ctx, "erlang.state_#{call}")

          assert message =~ "takes"
        end
      end

      test "incr and decr", %{ctx: ctx} do
        assert eval(ctx, "erlang.state_incr('n'), erlang.state_incr('n', 5)") == {1, 6}
        assert eval(ctx, "erlang.state_decr('n'), erlang.state_decr('n', 10)") == {5, -5}
        assert eval(ctx, "erlang.state_decr('new')") == -1
        assert eval(ctx, "erlang.state_incr('n', 2**63)") == 2 ** 63 - 5
        assert State.get("n") == 2 ** 63 - 5
        assert eval(ctx, "erlang.state_incr('n', -2**63)") == -5
        assert eval(ctx, "erlang.state_incr('big', 3**500)") == 3 ** 500
        assert eval(ctx, "erlang.state_decr('big', 3**500)") == 0
        assert State.get("big") == 0
      end

      test "only integers count, and True is none", %{ctx: ctx} do
        for code <- ["True", "False", "None", "1.0", "'1'", "[1]"] do
          Py.exec!(ctx, "erlang.state_set('n', #{code})")
          value = State.get("n")

          for call <- ["state_incr('n')", "state_decr('n', 2)"] do
            assert %Py.Error{type: "TypeError", message: message} = error(ctx, "erlang.#{call}")
            assert message == ~s(the shared value of "n" is not an integer)
          end

          assert_raise ArgumentError, fn -> State.incr("n") end
          assert State.get("n") === value

          assert %Py.Error{type: "TypeError", message: message} =
                   error(ctx, "erlang.state_incr('m', #{code})")

          assert message =~ "must be an int"
        end

        assert State.fetch("m") == :error
      end

      test "a bound on entries", %{ctx: ctx} do
        Py.Native.state_set_max(1)
        Py.exec!(ctx, "erlang.state_set('a', 1)")

        for call <- ["state_set('b', 1)", "state_incr('b')"] do
          assert %Py.Error{type: "RuntimeError", message: message} = error(ctx, "erlang.#{call}")
          assert message =~ "the shared state is full"
        end

        assert eval(ctx, "erlang.state_incr('a')") == 2
        assert State.put("b", 1) == {:error, :full}
      end

      test "in the Erlang dialect", %{ctx: ctx} do
        options = [context: ctx, dialect: :erlang]
        assert Dialect.eval("erlang.state_set('k', (None, {'a': 1}))", options) == {:ok, :none}
        assert State.get("k") == {:none, %{"a" => 1}}
        assert Dialect.eval("erlang.state_get('k')", options) == {:ok, {:none, %{"a" => 1}}}
        assert Dialect.eval("erlang.state_incr('n', 2)", options) == {:ok, 2}
      end

      test "survives its contexts", %{mode: mode} do
        ctx = start_supervised!({Py.Context, mode: mode, name: :crashing}, id: :crashing)

        Py.exec!(
          ctx,
          "import erlang\nerlang.state_set('kept', {'list': [1, 'two'], 'big': 2**70})"
        )

        Process.exit(ctx, :kill)
        assert eventually(fn -> Process.whereis(:crashing) not in [nil, ctx] end)
        new = Process.whereis(:crashing)
        value = %{"list" => [1, "two"], "big" => 2 ** 70}
        assert State.get("kept") == value

        assert eventually(fn ->
                 Py.eval(new, "__import__('erlang').state_get('kept')") == {:ok, value}
               end)
      end

      test "large values", %{ctx: ctx} do
        data = :crypto.strong_rand_bytes(10_000_000)
        State.put("large", data)
        assert eval(ctx, "erlang.state_get('large')") == data
        Py.exec!(ctx, "erlang.state_set('back', bytes(range(256)) * 40_000)")

        assert State.get("back") ==
                 :binary.copy(:binary.list_to_bin(Enum.to_list(0..255)), 40_000)

        list = Enum.to_list(1..200_000)
        State.put("list", list)
        assert eval(ctx, "sum(erlang.state_get('list'))") == Enum.sum(list)
      end

      test "a large map costs its time slices and is weighed in the end", %{ctx: ctx} do
        map = Map.new(1..50_000, &{&1, {&1, "text"}})
        before = reductions()
        State.put("map", map)
        # A whole time slice has 4,000.
        assert reductions() - before > 3_000
        before = reductions()
        assert State.get("map") == map
        assert reductions() - before > 3_000
        assert eval(ctx, "len(erlang.state_get('map'))") == 50_000
        assert eventually(fn -> weight("map") > 50_000 * 5 * 8 end)
        State.put("map", 1)
        assert weight("map") == 3 + 8
      end

      test "a part of a binary that starts within a byte, read again and again", %{ctx: ctx} do
        <<_::1, part::binary-size(1_000_000), _::7>> = :crypto.strong_rand_bytes(1_000_001)
        State.put("part", [part])
        assert eval(ctx, "erlang.state_get('part')[0] == part", %{part: part}) == true

        read = """
        import os
        def resident():
            with open("/proc/self/statm") as file: return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        def read(times):
            for _ in range(times): erlang.state_get("part")
        """

        Py.exec!(ctx, read)
        Py.call!(ctx, "__main__", :read, [20])
        before = Py.call!(ctx, "__main__", :resident)
        Py.call!(ctx, "__main__", :read, [200])
        assert Py.call!(ctx, "__main__", :resident) - before < 50_000_000
      end

      test "nothing leaks", %{ctx: ctx} do
        Py.exec!(ctx, """
        import gc, sys
        def blocks():
            gc.collect()
            return sys.getallocatedblocks()
        def work(times):
            for n in range(times):
                erlang.state_set("k", ["text", n, {"a": (1, None)}])
                erlang.state_get("k")
                erlang.state_incr("n", 2**60)
                try: erlang.state_incr("k")
                except TypeError: pass
        """)

        work = fn -> Py.call!(ctx, "__main__", :work, [20_000]) end
        work.()
        before = Py.call!(ctx, "__main__", :blocks)
        work.()
        assert eventually(fn -> Py.call!(ctx, "__main__", :blocks) < before + 500 end)
        assert State.get("n") == 40_000 * 2 ** 60
        assert mailbox() == []
      end
    end
  end

  @tag :own_gil
  test "one state for all contexts", %{contexts: contexts} do
    for {mode, ctx} <- contexts do
      Py.exec!(
        ctx,
        "import erlang\nerlang.state_set('#{mode}', '#{mode}')\nerlang.state_incr('n')"
      )
    end

    for {_mode, ctx} <- contexts do
      assert Py.eval!(ctx, "erlang.state_get('worker'), erlang.state_get('owngil')") ==
               {"worker", "owngil"}
    end

    assert State.get("n") == 2
  end

  @tag :own_gil
  test "objects of one interpreter are an error in another", %{contexts: contexts} do
    Py.exec!(
      contexts.owngil,
      "import erlang\nclass Thing: pass\nthing = Thing()\nerlang.state_set('thing', thing)"
    )

    assert Py.eval!(contexts.owngil, "erlang.state_get('thing') is thing") == true
    assert %Py.Object{} = State.get("thing")

    assert %Py.Error{type: "TypeError", message: message} =
             error(contexts.worker, "__import__('erlang').state_get('thing')")

    assert message =~ "another interpreter"
  end

  defp reductions, do: self() |> Process.info(:reductions) |> elem(1)
  defp weight(key), do: State.sizes() |> List.keyfind!(key, 0) |> elem(1)
end
