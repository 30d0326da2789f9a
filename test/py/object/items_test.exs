defmodule Py.Object.ItemsTest do
  # Items and iteration of handles, context managers.
  use Py.Test.Case, async: true

  alias Py.Object

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

      setup %{ctx: ctx} do
        Py.exec!(ctx, """
        class Manager:
            def __init__(self, swallow=False, fails=None):
                self.swallow, self.fails, self.seen = swallow, fails, []
            def __enter__(self):
                if self.fails == "enter": raise ValueError("enter")
                self.seen.append("enter")
                return {"the": "value"}
            def __exit__(self, kind, error, traceback):
                self.seen.append([kind and kind.__name__, str(error), getattr(error, "kind", None)])
                if self.fails == "exit": raise ValueError("exit")
                return self.swallow

        ended = []
        def numbers():
            try:
                n = 0
                while True:
                    yield n
                    n += 1
            finally:
                ended.append(n)

        def slow(log):
            for n in range(3):
                log.append(n)
                yield n
                import time
                until = time.monotonic() + 0.01
                while time.monotonic() < until: pass

        def breaks():
            yield 1
            raise ValueError("midway")
        """)

        %{make: fn code -> Py.eval!(ctx, code, return: :object) end}
      end

      test "items are read, changed and removed", %{make: make, ctx: ctx} do
        map = make.("{'a': 1, 2: [3]}")
        assert {map["a"], map[2], map["b"]} == {1, [3], nil}
        assert Object.getitem(map, 2) == {:ok, [3]}
        assert {:error, %Py.Error{type: "KeyError"}} = Object.getitem(map, "b")
        assert Object.setitem(map, "b", %{"c" => 4}) == :ok
        assert get_in(map, ["b", "c"]) == 4
        assert Object.len(map) == {:ok, 3}
        assert get_and_update_in(map["a"], &{&1, &1 + 1}) == {1, map}
        assert pop_in(map["b"]) == {%{"c" => 4}, map}
        assert pop_in(map["b"]) == {nil, map}
        assert Object.to_term(map) == {:ok, %{"a" => 2, 2 => [3]}}

        list = make.("[1, 2]")
        assert {list[-1], list[2]} == {2, nil}
        assert {:error, %Py.Error{type: "IndexError"}} = Object.setitem(list, 2, 0)
        # What is no missing item is an error.
        assert_raise Py.Error, ~r/TypeError/, fn -> list["a"] end
        assert {:error, %Py.Error{type: "TypeError"}} = Object.len(make.("3"))
        assert {:ok, %Py.Object{}} = Object.getitem(make.("[[1]]"), 0, return: :object)
        assert Py.eval(ctx, "1") == {:ok, 1}
      end

      test "what Python iterates over is enumerable", %{make: make, ctx: ctx} do
        assert Enum.to_list(make.("range(250)")) == Enum.to_list(0..249)
        assert Enum.count(make.("range(250)")) == 250
        assert Enum.count(make.("(n for n in range(7))")) == 7
        assert 3 in make.("range(5)")
        assert Enum.slice(make.("range(10)"), 2, 3) == [2, 3, 4]
        assert Enum.sort(make.("{'a': 1, 'b': 2}")) == ["a", "b"]
        assert Enum.to_list(make.("[]")) == []
        assert Enum.zip(make.("range(3)"), make.("'abc'")) == [{0, "a"}, {1, "b"}, {2, "c"}]
        assert_raise Py.Error, ~r/not iterable/, fn -> Enum.to_list(make.("3")) end
        assert_raise Py.Error, ~r/midway/, fn -> Enum.to_list(make.("breaks()")) end
        assert Py.eval!(ctx, "ended") == []
      end

      test "a generator that is left early is closed", %{make: make, ctx: ctx} do
        assert Enum.take(make.("numbers()"), 2) == [0, 1]
        assert [_one] = Py.eval!(ctx, "ended")

        assert_raise RuntimeError, fn ->
          Enum.each(make.("numbers()"), fn _n -> raise "no" end)
        end

        assert [_one, _two] = Py.eval!(ctx, "ended")
        assert catch_throw(Enum.each(make.("numbers()"), &throw/1)) == 0
        assert [_one, _two, _three] = Py.eval!(ctx, "ended")
      end

      test "a slow iterator is not asked for more than comes soon", %{make: make} do
        log = make.("[]")
        slow = make.("slow") |> Py.call!([log], return: :object)
        assert Enum.take(slow, 1) == [0]
        assert Object.len(log) == {:ok, 2}
      end

      test "context managers", %{make: make, ctx: ctx, contexts: contexts} do
        seen = &Object.getattr!(&1, :seen)
        manager = make.("Manager()")
        assert Py.with(manager, fn value -> {:got, value} end) == {:got, %{"the" => "value"}}
        assert seen.(manager) == ["enter", [nil, "None", nil]]

        manager = make.("Manager()")

        assert_raise RuntimeError, "no stock", fn ->
          Py.with(manager, fn _value -> raise "no stock" end)
        end

        assert seen.(manager) == ["enter", ["CallbackError", "no stock", "error"]]

        manager = make.("Manager()")
        assert catch_throw(Py.with(manager, fn _value -> throw(:ball) end)) == :ball
        assert seen.(manager) == ["enter", ["CallbackError", ":ball", "throw"]]
        assert catch_exit(Py.with(manager, fn _value -> exit(:now) end)) == :now

        # An exception of Python comes back as what it was.
        manager = make.("Manager(swallow=True)")

        assert Py.with(manager, fn _value -> Py.eval!("{}['k']", context: ctx) end) ==
                 nil

        assert seen.(manager) == ["enter", ["KeyError", "'k'", nil]]

        # One of another interpreter is described.
        for {mode, other} <- contexts, mode != unquote(mode) do
          manager = make.("Manager(swallow=True)")
          assert Py.with(manager, fn _value -> Py.eval!("{}['k']", context: other) end) == nil
          assert ["enter", ["CallbackError", "KeyError: 'k'" <> _, "error"]] = seen.(manager)
        end

        assert_raise Py.Error, ~r/enter/, fn -> Py.with(make.("Manager(fails='enter')"), & &1) end
        assert_raise Py.Error, ~r/exit/, fn -> Py.with(make.("Manager(fails='exit')"), & &1) end
      end
    end
  end

  test "help and attributes of names, pairs and handles" do
    import ExUnit.CaptureIO

    assert capture_io(fn -> assert Py.help({:math, :gcd}) == :ok end) =~ "Greatest Common Divisor"
    assert capture_io(fn -> Py.help(:json) end) =~ "JSON"
    assert capture_io(fn -> Py.help(Py.eval!("len")) end) =~ "number of items"
    assert "dumps" in Py.dir("json")
    assert "fromisoformat" in Py.dir({:datetime, "date"})
    refute Enum.any?(Py.dir(:json), &String.starts_with?(&1, "_"))

    for fun <- [&Py.dir/1, &Py.help/1],
        do: assert_raise(Py.Error, ~r/no Python module/, fn -> fun.("no.such") end)
  end
end
