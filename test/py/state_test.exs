defmodule Py.StateTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.State

  doctest Py.State

  setup do
    State.clear()
    on_exit(&State.clear/0)
  end

  test "entries from Elixir" do
    assert State.fetch("k") == :error
    assert State.get("k") == nil
    assert State.get("k", :default) == :default

    values =
      [
        nil,
        true,
        0,
        -1,
        2 ** 200,
        -(2 ** 63),
        1.5,
        "text",
        <<255, 0>>,
        <<5::3>>,
        [1, [2]],
        {:a, self()}
      ] ++
        [
          %{a: 1},
          MapSet.new([1]),
          ~D[2026-01-31],
          make_ref(),
          &String.length/1,
          List.duplicate("x", 10_000)
        ]

    for value <- values do
      assert State.put("k", value) == :ok
      assert State.fetch("k") == {:ok, value}
    end

    assert State.delete("k")
    refute State.delete("k")
    assert State.put(:atom, 1) == :ok
    assert State.get("atom") == 1
    assert State.put(<<255>>, 2) == :ok
    assert Enum.sort(State.keys()) == ["atom", <<255>>]
    assert State.info() == %{entries: 2, max_entries: nil}
    assert State.clear() == :ok
    assert State.keys() == []

    for key <- [nil, 1, ~c"list"],
        do: assert_raise(ArgumentError, ~r/expected a key/, fn -> State.get(key) end)
  end

  test "counters from Elixir" do
    assert State.incr("n") == 1
    assert State.incr("n", 41) == 42
    assert State.decr("n", 2) == 40
    assert State.decr("n") == 39
    assert State.incr("n", 2 ** 100) == 39 + 2 ** 100
    assert State.fetch("n") == {:ok, 39 + 2 ** 100}
    assert State.decr("n", 2 ** 100) == 39
    assert State.incr("min", -(2 ** 63)) == -(2 ** 63)
    assert State.decr("min") == -(2 ** 63) - 1
    State.put("text", "x")
    assert_raise ArgumentError, ~r/"text" is not an integer/, fn -> State.incr("text") end
    assert State.get("text") == "x"
    assert_raise ArgumentError, ~r/integer amount/, fn -> State.incr("n", 1.5) end
    assert_raise ArgumentError, ~r/integer amount/, fn -> State.decr("n", "1") end
  end

  test "the bound refuses new keys only, on both sides" do
    Py.Native.state_set_max(2)
    on_exit(fn -> Py.Native.state_set_max(nil) end)
    assert State.put("a", 1) == :ok
    assert State.incr("b") == 1
    assert State.put("c", 1) == {:error, :full}
    assert_raise ArgumentError, ~r/max_state_entries/, fn -> State.incr("c") end
    assert State.put("a", 2) == :ok
    assert State.incr("b") == 2
    assert State.info() == %{entries: 2, max_entries: 2}

    for code <- ["erlang.state_set('c', 1)", "erlang.state_incr('c')"] do
      assert {:error, %Py.Error{type: "RuntimeError", message: message}} =
               Py.exec("import erlang\n#{code}")

      assert message =~ "max_state_entries"
    end

    State.delete("a")
    assert State.put("c", 1) == :ok
  end

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      setup do
        {:ok,
         context: start_supervised!({Py.Context, mode: unquote(mode), preload: "import erlang"})}
      end

      test "Python and Elixir see the same entries", %{context: context} do
        State.put("config", %{"model" => "m", "timeout" => 30_000, "list" => [1, nil, {true}]})

        assert Py.eval!(context, "erlang.state_get('config')['list'][2]") == {true}
        assert Py.eval!(context, "erlang.state_get('nothing')") == nil
        assert Py.eval!(context, "erlang.state_get('nothing', 7)") == 7

        assert Py.exec(
                 context,
                 "erlang.state_set('from', {'python': (1, 2**100, None, b'\\xff')})"
               ) == :ok

        assert State.get("from") == %{"python" => {1, 2 ** 100, nil, <<255>>}}
        assert Py.eval!(context, "erlang.state_get('from')['python'][1] == 2**100")
        assert Enum.sort(Py.eval!(context, "erlang.state_keys()")) == ["config", "from"]

        assert Py.eval!(context, "[erlang.state_delete('from'), erlang.state_delete('from')]") ==
                 [true, false]

        assert State.fetch("from") == :error

        State.put(<<255>>, "bytes")
        assert Py.eval!(context, "erlang.state_get(b'\\xff')") == "bytes"
        assert Py.eval!(context, "b'\\xff' in erlang.state_keys()")
        assert Py.exec(context, "erlang.state_clear()") == :ok
        assert State.keys() == []
      end

      test "big integers, from both sides", %{context: context} do
        for number <- [2 ** 64, -(2 ** 64), 10 ** 5_000, -(10 ** 5_000), 2 ** 63 - 1, -(2 ** 63)] do
          State.put("n", number)
          assert Py.eval!(context, "erlang.state_get('n')") == number
          assert Py.exec(context, "erlang.state_set('m', -erlang.state_get('n'))") == :ok
          assert State.get("m") == -number
          assert Py.eval!(context, "erlang.state_incr('m', erlang.state_get('n'))") == 0
        end
      end

      test "counters in Python", %{context: context} do
        assert Py.eval!(context, "erlang.state_incr('n')") == 1
        assert Py.eval!(context, "erlang.state_incr('n', 2**70)") == 1 + 2 ** 70
        assert Py.eval!(context, "erlang.state_decr('n', 2**70)") == 1
        assert Py.eval!(context, "erlang.state_decr('n')") == 0
        State.put("text", "x")
        State.put("true", true)

        for {code, text} <- [
              {"erlang.state_incr('text')", "\"text\" is not an integer"},
              {"erlang.state_incr('true')", "not an integer"},
              {"erlang.state_incr('n', 1.5)", "must be an int"},
              {"erlang.state_incr('n', True)", "must be an int"},
              {"erlang.state_incr(1)", "str or bytes"},
              {"erlang.state_get(None)", "str or bytes"},
              {"erlang.state_incr()", "1 to 2 arguments"},
              {"erlang.state_set('x')", "2 to 2 arguments"}
            ] do
          assert {:error, %Py.Error{type: "TypeError", message: message}} = Py.eval(context, code)
          assert message =~ text
        end

        assert {:error, %Py.Error{type: "TypeError"}} =
                 Py.exec(context, "a = []; a.append(a); erlang.state_set('x', a)")

        assert State.fetch("x") == :error
        assert State.get("n") == 0
      end

      test "64 processes and 8 Python threads lose no update", %{context: context} do
        Py.exec!(context, """
        import threading
        def count():
            for _ in range(2_000):
                erlang.state_incr("total")
                erlang.state_decr("down", 2)
        def run():
            threads = [threading.Thread(target=count) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """)

        python = Py.async("__main__", :run, [], context: context)

        elixir =
          for _ <- 1..64 do
            Task.async(fn ->
              for _ <- 1..500 do
                State.incr("total")
                State.decr("down", 2)
              end
            end)
          end

        Task.await_many(elixir, 60_000)
        assert Py.await(python) == {:ok, nil}
        assert State.get("total") == 64 * 500 + 8 * 2_000
        assert State.get("down") == -2 * (64 * 500 + 8 * 2_000)
      end

      test "outlives contexts", %{context: context} do
        Py.exec!(context, "erlang.state_set('kept', [1])")
        Process.exit(context, :kill)
        assert State.get("kept") == [1]
        new = start_supervised!({Py.Context, mode: unquote(mode)}, id: :new)
        assert Py.eval!(new, "__import__('erlang').state_get('kept')") == [1]
      end

      test "large values", %{context: context} do
        large = :binary.copy(<<255, 1>>, 5_000_000)
        State.put("large", large)
        assert Py.eval!(context, "len(erlang.state_get('large'))") == byte_size(large)

        assert Py.exec(context, "erlang.state_set('back', erlang.state_get('large')[::-1])") ==
                 :ok

        assert byte_size(State.get("back")) == byte_size(large)
        # A binary that does not begin at a byte.
        <<_::1, unaligned::binary-size(1_000_000), _::7>> = :binary.copy(<<255>>, 1_000_001)
        State.put("unaligned", unaligned)
        assert Py.eval!(context, "set(erlang.state_get('unaligned'))") == MapSet.new([255])
      end
    end
  end

  test "many readers and writers of one value" do
    State.put("v", {0, "0"})
    Py.exec!(Py.context(1), "import erlang")

    writers =
      for n <- 1..8,
          do: Task.async(fn -> for k <- 1..500, do: State.put("v", {n * k, "#{n * k}"}) end)

    readers =
      for _ <- 1..4 do
        Task.async(fn ->
          for _ <- 1..500 do
            {n, text} = Py.eval!(Py.context(1), "erlang.state_get('v')")
            true = text == "#{n}"
          end
        end)
      end

    Task.await_many(writers ++ readers, 60_000)
    assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
  end
end
