defmodule Py.Values.ErlangTest do
  use Py.Test.Case, async: true

  alias Py.Test.Dialect

  @erlang [dialect: :erlang]

  # {term, type in Python, repr in Python, what comes back}
  @values [
    {:none, "NoneType", "None", :none},
    {nil, "NoneType", "None", :none},
    {:undefined, "NoneType", "None", :none},
    {true, "bool", "True", true},
    {false, "bool", "False", false},
    {:atom, "str", "'atom'", "atom"},
    {:日本, "str", "'日本'", "日本"},
    {:nan, "float", "nan", :nan},
    {:infinity, "float", "inf", :infinity},
    {[:neg_infinity], "list", "[-inf]", [:neg_infinity]},
    {%{infinity: {:infinity}}, "dict", "{'infinity': (inf,)}", %{"infinity" => {:infinity}}},
    {"text", "str", "'text'", "text"},
    {"", "str", "''", ""},
    {<<255, 0>>, "bytes", "b'\\xff\\x00'", <<255, 0>>},
    {{:bytes, "text"}, "bytes", "b'text'", "text"},
    {{:bytes, ""}, "bytes", "b''", ""},
    {{:bytes, ~c"text"}, "tuple", "('bytes', [116, 101, 120, 116])", {"bytes", ~c"text"}},
    {{:bytes, "a", "b"}, "tuple", "('bytes', 'a', 'b')", {"bytes", "a", "b"}},
    {{"bytes", "a"}, "tuple", "('bytes', 'a')", {"bytes", "a"}},
    {~c"abc", "list", "[97, 98, 99]", [97, 98, 99]},
    {[], "list", "[]", []},
    {{}, "tuple", "()", {}},
    {{1, [:none]}, "tuple", "(1, [None])", {1, [:none]}},
    {%{}, "dict", "{}", %{}},
    {%{model: "gpt-4"}, "dict", "{'model': 'gpt-4'}", %{"model" => "gpt-4"}},
    {%{{:bytes, "k"} => :undefined}, "dict", "{b'k': None}", %{"k" => :none}},
    {2 ** 64, "int", "18446744073709551616", 2 ** 64},
    {-(2 ** 70), "int", "-1180591620717411303424", -(2 ** 70)},
    {-0.0, "float", "-0.0", -0.0},
    # Structs are maps here.
    {1..2, "dict", "{'first': 1, 'last': 2, 'step': 1, '__struct__': 'Elixir.Range'}",
     %{"__struct__" => "Elixir.Range", "first" => 1, "last" => 2, "step" => 1}}
  ]

  # {Python, what comes back}
  @from_python [
    {"None", :none},
    {"[None, {'k': None}]", [:none, %{"k" => :none}]},
    {"{1, 'a'}", %{1 => [], "a" => []}},
    {"frozenset()", %{}},
    {"{frozenset([1])}", %{%{1 => []} => []}},
    {"b'ab'", "ab"},
    {"bytearray(b'ab')", "ab"},
    {"memoryview(b'\\xff')", <<255>>},
    {"__import__('array').array('B', [7])", <<7>>},
    {"float('nan')", :nan},
    {"__import__('datetime').date(2026, 1, 31)", "2026-01-31"},
    {"__import__('datetime').datetime(2026, 1, 31, 12, 30)", "2026-01-31 12:30:00"},
    {"__import__('datetime').time(12, 30)", "12:30:00"},
    {"__import__('datetime').timedelta(days=1, seconds=1)", "1 day, 0:00:01"},
    {"__import__('decimal').Decimal('1.10')", "1.10"},
    {"__import__('uuid').UUID(int=1)", "00000000-0000-0000-0000-000000000001"},
    {"__import__('pathlib').PurePosixPath('/a/ö')", "/a/ö"},
    {"__import__('enum').Enum('Color', 'RED').RED", "Color.RED"},
    {"__import__('enum').IntEnum('Level', 'LOW').LOW", "1"},
    {"1+2j", "(1+2j)"},
    {"range(3)", "range(0, 3)"},
    {"int", "<class 'int'>"},
    {"len", "<built-in function len>"},
    {"__import__('fractions').Fraction(1, 2)", "1/2"},
    {"[__import__('fractions').Fraction(1, 2)]", ["1/2"]},
    {"ValueError('text')", "text"},
    {"__import__('dataclasses').make_dataclass('P', ['x'])(1)", "P(x=1)"},
    {"__import__('collections').namedtuple('P', 'x y')(1, 2)", {1, 2}},
    {"__import__('collections').OrderedDict(a=1)", %{"a" => 1}},
    {"__import__('erlang').Atom('ok')", :ok},
    {"type('T', (), {'ndim': 1, 'tolist': lambda self: [1, {2}]})()", [1, %{2 => []}]},
    {"7 ** 500", 7 ** 500}
  ]

  @refused [
    {<<1::3>>, "args[0]"},
    {[1 | 2], "args[0]"},
    {[%{k: [1 | 2]}], "args[0][0].k"},
    {%{"a" => 1, a: 2}, "args[0].a"},
    {%{nil: 1, none: 2}, nil},
    {%{[] => 1}, "args[0][[]]"},
    {%{1.5 => [1 | 2]}, "args[0][1.5]"},
    {%{{:a, "b c", 1.0e100} => [1 | 2]}, ~S(args[0][{a,<<"b c">>,1e100}])},
    {%{"b c" => [1 | 2]}, ~S(args[0][<<"b c">>])},
    {%{{:"x y"} => [1 | 2]}, ~S(args[0][{'x y'}])}
  ]

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

      test "terms are seen and come back", %{ctx: ctx} do
        for {term, type, repr, back} <- @values do
          locals = %{x: term}

          assert {term, eval(ctx, "type(x).__name__", locals, @erlang)} === {term, type}

          if is_map(term) and map_size(term) > 1,
            do: assert(eval(ctx, "x == #{repr}", locals, @erlang)),
            else: assert({term, eval(ctx, "repr(x)", locals, @erlang)} === {term, repr})

          assert {term, eval(ctx, "x", locals, @erlang)} === {term, back}
          assert Dialect.call(ctx, :copy, :copy, [[term]], @erlang) === {:ok, [back]}
        end
      end

      test "values that Python makes", %{ctx: ctx} do
        # CPython before 3.12.4 gives the built-in types of sub-interpreters methods that they do not have (python/cpython
        # issue 117482): the text of an IntEnum is another one there.
        broken = eval(ctx, "'__str__' in int.__dict__")

        for {code, term} <- @from_python, not (broken and code =~ "IntEnum") do
          assert {code, eval(ctx, code, %{}, @erlang)} === {code, term}
        end
      end

      test "sets are those of the module sets", %{ctx: ctx} do
        set = eval(ctx, "{1, 2, 3}", %{}, @erlang)
        assert :sets.is_set(set)
        assert :lists.sort(:sets.to_list(set)) == [1, 2, 3]
        assert :sets.is_element(2, set)
        assert set === :sets.from_list([3, 2, 1], version: 2)
      end

      test "processes, references, ports and functions", %{ctx: ctx} do
        for term <- [self(), make_ref(), hd(Port.list()), &is_atom/1, fn -> 1 end] do
          assert eval(ctx, "x", %{x: [term, %{term => 1}]}, @erlang) === [term, %{term => 1}]
        end
      end

      test "handles are the very object", %{ctx: ctx} do
        object = eval(ctx, "object()")
        assert eval(ctx, "x[0] is y", %{x: [object], y: object}, @erlang) == true
      end

      test "exceptions", %{ctx: ctx} do
        Py.exec!(ctx, """
        def throw(error): raise error

        class BadStr(Exception):
            def __str__(self): raise RuntimeError
        """)

        for {code, reason} <- [
              {"throw(ValueError('text'))", {:ValueError, ~c"text"}},
              {"throw(ValueError('日本 🐍'))", {:ValueError, ~c"日本 🐍"}},
              {"throw(ValueError())", {:ValueError, []}},
              {"throw(ValueError('\\udc80'))", {:ValueError, ~c"\\udc80"}},
              {"{}['k']", {:KeyError, ~c"'k'"}},
              {"1 // 0", {:ZeroDivisionError, ~c"integer division or modulo by zero"}},
              {"throw(StopIteration(5))", {:stop_iteration, :none}},
              {"next(iter([]))", {:stop_iteration, :none}},
              {"throw(KeyboardInterrupt())", :interrupted},
              {"throw(SystemExit(3))", {:SystemExit, ~c"3"}},
              {"throw(BadStr())", {:BadStr, ~c"<BadStr.__str__ raised RuntimeError>"}},
              {"throw(type('N' * 300, (Exception,), {})('long'))",
               {String.duplicate("N", 300), ~c"long"}},
              {"nobody", {:NameError, ~c"name 'nobody' is not defined"}}
            ] do
          assert {code, Dialect.eval(ctx, code, @erlang)} |> normal() === {code, {:error, reason}}
          assert Dialect.eval(ctx, "1", @erlang) === {:ok, 1}
        end

        assert {:error, {:SyntaxError, text}} = Dialect.exec(ctx, "x = (", @erlang)
        assert List.to_string(text) =~ "line 1"

        assert {:error, {:ModuleNotFoundError, ~c"No module named 'nope'"}} =
                 Dialect.call(ctx, :nope, :f, [], @erlang)
      end

      test "what has no counterpart is an error", %{ctx: ctx} do
        for {term, path} <- @refused do
          assert {:error, {:conversion_error, text}} =
                   Dialect.call(ctx, :builtins, :id, [term], @erlang)

          assert is_list(text)
          if path, do: assert(List.to_string(text) =~ "cannot convert #{path}: ")
          assert Dialect.eval(ctx, "1", @erlang) === {:ok, 1}
        end

        for {code, part} <- [
              {"(a := [], a.append(a), a)[-1]", "cyclic"},
              {"['\\ud800']", "cannot convert [0]: str with lone surrogates"},
              {"{'a': 1, b'a': 2}", ~S(two keys become the same term, <<"a">>)},
              {"type('S', (), {'__str__': lambda self: 1})()", "__str__"},
              {"__import__('erlang').Atom('x' * 300)", "atom"}
            ] do
          assert {:error, {:conversion_error, text}} = Dialect.eval(ctx, code, @erlang)
          assert List.to_string(text) =~ part
        end

        deep = Enum.reduce(1..513, [], fn _, list -> [list] end)

        assert {:error, {:conversion_error, text}} =
                 Dialect.call(ctx, :builtins, :id, [deep], @erlang)

        assert List.to_string(text) =~ "nested deeper than 512"
      end

      test "timeouts and other failures have the shapes of the Erlang API", %{ctx: ctx} do
        assert Dialect.eval(ctx, "__import__('time').sleep(0.05)", timeout: 1, dialect: :erlang) ==
                 {:error, :timeout}

        {:ok, ended} = Py.Context.start_link()
        :ok = Py.Context.stop(ended)
        assert {:error, {:context_died, _reason}} = Dialect.eval(ended, "1", @erlang)
      end

      @tag :own_gil
      test "handles of an interpreter that has ended", %{ctx: ctx} do
        {:ok, ended} = Py.Context.start_link(mode: :owngil)
        object = eval(ended, "object()")
        :ok = Py.Context.stop(ended)

        assert Dialect.call(ctx, :builtins, :id, [object], @erlang) ==
                 {:error, {:context_died, :wrong_interpreter}}
      end
    end
  end

  test "numpy: tolist of what has ndim", %{contexts: %{worker: worker}} do
    assert {:ok, _module} = Py.call(worker, :importlib, :import_module, ["numpy"])

    for {code, term} <- [
          {"arange(6).reshape(2, 3)", [[0, 1, 2], [3, 4, 5]]},
          {"float32(0.5)", 0.5},
          {"int64(3)", 3},
          {"array([])", []},
          {"datetime64('NaT', 'ns')", :none},
          {"datetime64('2026-01-31', 'ns')", "2026-01-31 00:00:00"}
        ] do
      assert eval(worker, "__import__('numpy').#{code}", %{}, @erlang) === term
    end
  end

  test "new atoms are bounded: further classes are binaries" do
    result = Py.Test.AtomBound.run(100_000)
    # A few come from elsewhere: modules being loaded.
    assert result.grown in 9_900..10_100
    {atoms, binaries} = Enum.split_while(result.classes, &is_atom/1)
    assert length(atoms) in 9_900..10_000
    assert binaries != [] and Enum.all?(binaries, &is_binary/1)

    assert Enum.map(result.classes, &to_string/1) == for(n <- 1..100_000, do: "Class#{n}")

    # Atoms that exist are still used.
    assert result.known == {:error, {:Class1, ~c"text"}}
    assert result.existing
    assert result.existing_atom == {:ok, :ok}
    assert {:error, %Py.ConversionError{reason: "too many new atoms" <> _}} = result.atom
    assert result.elixir == "Another"
  end

  # Python 3.14 has another text than earlier versions.
  defp normal({code, {:error, {:ZeroDivisionError, _text}}}),
    do: {code, {:error, {:ZeroDivisionError, ~c"integer division or modulo by zero"}}}

  defp normal(other), do: other
end
