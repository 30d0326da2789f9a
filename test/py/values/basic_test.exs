defmodule Py.Values.BasicTest do
  use Py.Test.Case, async: true

  @huge 7 ** 5000

  # {Elixir, type in Python, repr in Python}; the same value comes back.
  @basic [
    {nil, "NoneType", "None"},
    {true, "bool", "True"},
    {false, "bool", "False"},
    {0, "int", "0"},
    {-1, "int", "-1"},
    {0x7FFFFFFFFFFFFFFF, "int", "9223372036854775807"},
    {-0x8000000000000000, "int", "-9223372036854775808"},
    {-0x8000000000000001, "int", "-9223372036854775809"},
    {0xFFFFFFFFFFFFFFFF, "int", "18446744073709551615"},
    {0x10000000000000000, "int", "18446744073709551616"},
    {0.0, "float", "0.0"},
    {-0.0, "float", "-0.0"},
    {0.1, "float", "0.1"},
    {5.0e-324, "float", "5e-324"},
    {1.7976931348623157e308, "float", "1.7976931348623157e+308"},
    {-1.7976931348623157e308, "float", "-1.7976931348623157e+308"},
    {"", "str", "''"},
    {"text", "str", "'text'"},
    {"ünïcode 日本 🐍", "str", "'ünïcode 日本 🐍'"},
    {"a\0b", "str", "'a\\x00b'"},
    {<<0xFF, 0, 1>>, "bytes", "b'\\xff\\x00\\x01'"},
    # A lone surrogate, an overlong form, a truncated sequence.
    {<<0xED, 0xA0, 0x80>>, "bytes", "b'\\xed\\xa0\\x80'"},
    {<<0xC0, 0x80>>, "bytes", "b'\\xc0\\x80'"},
    {<<0xE6, 0x97>>, "bytes", "b'\\xe6\\x97'"},
    {[], "list", "[]"},
    {[1, [2.0, nil]], "list", "[1, [2.0, None]]"},
    {~c"abc", "list", "[97, 98, 99]"},
    {{}, "tuple", "()"},
    {{1}, "tuple", "(1,)"},
    {{1, {2}, []}, "tuple", "(1, (2,), [])"},
    {%{}, "dict", "{}"},
    {%{"a" => [1]}, "dict", "{'a': [1]}"},
    {%{{1, 2} => 3}, "dict", "{(1, 2): 3}"},
    {%{nil => 1}, "dict", "{None: 1}"},
    {%{1 => 2}, "dict", "{1: 2}"},
    {%{1.5 => 2}, "dict", "{1.5: 2}"},
    {%{<<255>> => 2}, "dict", "{b'\\xff': 2}"},
    {MapSet.new(), "set", "set()"},
    {MapSet.new([1]), "set", "{1}"},
    {1..3, "range", "range(1, 4)"},
    {1..0//1, "range", "range(1, 1)"},
    {10..1//-3, "range", "range(10, 0, -3)"},
    {0..10//5, "range", "range(0, 11, 5)"},
    {0..-1//1, "range", "range(0, 0)"},
    {Range.new(2 ** 70, 2 ** 71, 2 ** 69), "range",
     "range(#{2 ** 70}, #{2 ** 71 + 1}, #{2 ** 69})"},
    {~D[2026-01-31], "date", "datetime.date(2026, 1, 31)"},
    {~D[0001-01-01], "date", "datetime.date(1, 1, 1)"},
    {~D[9999-12-31], "date", "datetime.date(9999, 12, 31)"},
    {:nan, "float", "nan"},
    {:infinity, "float", "inf"},
    {:neg_infinity, "float", "-inf"},
    {[1.5, :nan, {:infinity}], "list", "[1.5, nan, (inf,)]"},
    {~T[00:00:00], "time", "datetime.time(0, 0)"},
    {~T[23:59:59.999999], "time", "datetime.time(23, 59, 59, 999999)"},
    {~N[2026-01-31 12:30:00], "datetime", "datetime.datetime(2026, 1, 31, 12, 30)"},
    {~N[2026-01-31 12:30:00.000001], "datetime", "datetime.datetime(2026, 1, 31, 12, 30, 0, 1)"},
    {~U[2026-01-31 12:30:00Z], "datetime",
     "datetime.datetime(2026, 1, 31, 12, 30, tzinfo=datetime.timezone.utc)"},
    {Duration.new!(day: 3, second: 4, microsecond: {5, 6}), "timedelta",
     "datetime.timedelta(days=3, seconds=4, microseconds=5)"},
    {Duration.new!(second: -5), "timedelta", "datetime.timedelta(days=-1, seconds=86395)"},
    {Duration.new!(day: -2, microsecond: {-1, 6}), "timedelta",
     "datetime.timedelta(days=-3, seconds=86399, microseconds=999999)"},
    {Duration.new!([]), "timedelta", "datetime.timedelta(0)"}
  ]

  # {Elixir, type in Python, repr in Python, what comes back}
  @changed [
    {:atom, "str", "'atom'", "atom"},
    {:"日本 ö", "str", "'日本 ö'", "日本 ö"},
    {:undefined, "str", "'undefined'", "undefined"},
    {:none, "str", "'none'", "none"},
    {%{nan: :nan}, "dict", "{'nan': nan}", %{"nan" => :nan}},
    {Py.atom(:nan), "Atom", "erlang.Atom('nan')", :nan},
    {Enum, "str", "'Elixir.Enum'", "Elixir.Enum"},
    {Py.bytes("abc"), "bytes", "b'abc'", "abc"},
    {Py.bytes(""), "bytes", "b''", ""},
    {Py.float(:nan), "float", "nan", :nan},
    {Py.float(:infinity), "float", "inf", :infinity},
    {Py.float(:neg_infinity), "float", "-inf", :neg_infinity},
    {Py.float(3), "float", "3.0", 3.0},
    {Py.float(2 ** 70), "float", "1.1805916207174113e+21", 2.0 ** 70},
    {Py.float(-0.0), "float", "-0.0", -0.0},
    {Py.atom(:ok), "Atom", "erlang.Atom('ok')", :ok},
    {Py.atom(nil), "Atom", "erlang.Atom('nil')", nil},
    {Py.atom(:日本), "Atom", "erlang.Atom('日本')", :日本},
    {%{key: :value}, "dict", "{'key': 'value'}", %{"key" => "value"}},
    {{:ok, [:a]}, "tuple", "('ok', ['a'])", {"ok", ["a"]}},
    {MapSet.new([:a]), "set", "{'a'}", MapSet.new(["a"])},
    # datetime counts microseconds, and does not say how many of the digits are significant.
    {~T[10:00:00.120], "time", "datetime.time(10, 0, 0, 120000)", ~T[10:00:00.120000]},
    {~T[10:00:00.000], "time", "datetime.time(10, 0)", ~T[10:00:00]},
    {Duration.new!(week: 1, day: 1, hour: 1, minute: 1), "timedelta",
     "datetime.timedelta(days=8, seconds=3660)", Duration.new!(day: 8, second: 3660)}
  ]

  # {Python, what comes back}
  @from_python [
    {"float('nan')", :nan},
    {"float('inf')", :infinity},
    {"float('-inf')", :neg_infinity},
    {"bytearray(b'ab')", "ab"},
    {"bytearray()", ""},
    {"memoryview(b'ab\\xff')[1:]", <<"b", 255>>},
    {"memoryview(b'abcd')[::2]", "ac"},
    {"__import__('array').array('B', [1, 2])", <<1, 2>>},
    {"__import__('array').array('H', [1])", <<1::16-native>>},
    {"frozenset([1, 2])", MapSet.new([1, 2])},
    {"frozenset()", MapSet.new()},
    {"{frozenset([1]): 2}", %{MapSet.new([1]) => 2}},
    {"(1+2j)", {1.0, 2.0}},
    {"complex('nan')", {:nan, 0.0}},
    {"complex(0.0, -0.0)", {0.0, -0.0}},
    {"__import__('uuid').UUID('12345678-1234-5678-1234-567812345678')",
     "12345678-1234-5678-1234-567812345678"},
    {"__import__('pathlib').PurePosixPath('/a/b')", "/a/b"},
    {"__import__('pathlib').Path('a') / 'ö'", "a/ö"},
    {"__import__('collections').namedtuple('P', 'x y')(1, 2)", {1, 2}},
    {"__import__('collections').OrderedDict(a=1)", %{"a" => 1}},
    {"__import__('collections').defaultdict(list, {1: [2]})", %{1 => [2]}},
    {"__import__('collections').Counter('aab')", %{"a" => 2, "b" => 1}},
    {"__import__('types').MappingProxyType({'a': 1})", %{"a" => 1}},
    {"__import__('time').gmtime(0)", {1970, 1, 1, 0, 0, 0, 3, 1, 0}},
    {"type('S', (str,), {})('sub')", "sub"},
    {"type('I', (int,), {})(7)", 7},
    {"type('I', (int,), {})(-2 ** 80)", -(2 ** 80)},
    {"type('I', (int,), {'__neg__': lambda self: 'no', 'to_bytes': None})(-2 ** 80)", -(2 ** 80)},
    {"type('F', (float,), {})(1.5)", 1.5},
    {"type('L', (list,), {})([1])", [1]},
    {"type('T', (tuple,), {})([1])", {1}},
    {"type('B', (bytes,), {})(b'\\xff')", <<255>>},
    {"type('D', (dict,), {})(a=1)", %{"a" => 1}},
    {"range(5)", 0..4//1},
    {"range(0)", 0..-1//1},
    {"range(5, 5, -1)", 5..6//-1},
    {"range(10, 0, -3)", 10..1//-3},
    {"range(-2 ** 80, 2 ** 80, 2 ** 79)", Range.new(-(2 ** 80), 2 ** 80 - 1, 2 ** 79)},
    {"__import__('erlang').Atom('ok')", :ok},
    {"__import__('erlang').atom('日本')", :日本},
    {"{__import__('erlang').Atom('ok'): 1}", %{ok: 1}},
    {"[b'', '', (), [], {}, set()]", ["", "", {}, [], %{}, MapSet.new()]},
    {"__import__('datetime').timedelta(weeks=-1, hours=1)",
     Duration.new!(day: -6, second: -82_800)},
    {"__import__('datetime').timedelta.min", Duration.new!(day: -999_999_999)},
    {"__import__('datetime').date.max", ~D[9999-12-31]}
  ]

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

      test "basic values are seen and come back", %{ctx: ctx} do
        for {value, type, repr} <- @basic do
          assert {value, seen(ctx, value)} === {value, {type, repr}}
          assert round_trip(ctx, value) === value
        end
      end

      test "values that come back as others", %{ctx: ctx} do
        for {value, type, repr, back} <- @changed do
          assert {value, seen(ctx, value)} === {value, {type, repr}}
          assert {value, round_trip(ctx, value)} === {value, back}
        end
      end

      test "values that Python makes", %{ctx: ctx} do
        for {code, value} <- @from_python do
          assert {code, eval(ctx, code)} === {code, value}
          assert {code, eval(ctx, "[#{code}]")} === {code, [value]}
        end
      end

      test "integers of thousands of digits, both signs", %{ctx: ctx} do
        for n <- [@huge, -@huge, 2 ** 2048, -(2 ** 2048), 256 ** 255, 256 ** 256 - 1] do
          assert round_trip(ctx, n) === n
          assert eval(ctx, "x - 1", %{x: n}) === n - 1
        end

        assert eval(ctx, "7 ** 5000") === @huge
        assert eval(ctx, "x == -(7 ** 5000)", %{x: -@huge})
        assert eval(ctx, "type(x) is int and x.bit_length()", %{x: @huge}) == 14_037
      end

      test "nesting up to 512 levels, both ways and for every container", %{ctx: ctx} do
        for {kind, wrap, python} <- [
              {:list, &[&1], "[x]"},
              {:tuple, &{&1}, "(x,)"},
              {:map, &%{"k" => &1}, "{'k': x}"},
              {:ordered, nil, "OrderedDict(k=x)"},
              {:dataclass, nil, "D(x)"}
            ],
            {depth, fits?} <- [{511, true}, {512, true}, {513, false}] do
          term = wrap && Enum.reduce(1..depth, 0, fn _, term -> wrap.(term) end)

          cond do
            term == nil ->
              :ok

            fits? ->
              assert round_trip(ctx, term) === term
              assert Py.call(ctx, :copy, :copy, [term]) === {:ok, term}

            true ->
              assert %Py.ConversionError{reason: "nested deeper than 512" <> _} =
                       error(ctx, "x is not None", %{x: term})
          end

          if kind == :tuple do
            key = %{Enum.reduce(2..depth, 0, fn _, term -> {term} end) => 1}
            if fits?, do: assert(round_trip(ctx, key) === key)

            if not fits?,
              do: assert(%Py.ConversionError{} = error(ctx, "x is not None", %{x: key}))
          end

          if python do
            code = """
            from collections import OrderedDict
            from dataclasses import make_dataclass
            D = make_dataclass("D", ["x"])
            x = 0
            for _ in range(#{depth}): x = #{python}
            x
            """

            result = Py.exec(ctx, code, return: :last)

            if fits? do
              assert {:ok, value} = result
              if term, do: assert(value === term)
            else
              assert {:error, %Py.ConversionError{reason: "nested deeper than 512" <> _}} = result
            end
          end
        end
      end

      test "large and wide data", %{ctx: ctx} do
        list = Enum.to_list(1..100_000)
        assert round_trip(ctx, list) === list
        map = Map.new(1..20_000, &{&1, [&1]})
        assert round_trip(ctx, map) === map
        binary = :binary.copy(<<255, 0, 1>>, 1_000_000)
        assert round_trip(ctx, binary) === binary
        text = String.duplicate("aé日🐍", 100_000)
        assert round_trip(ctx, text) === text
        tuple = Tuple.duplicate(nil, 10_000)
        assert round_trip(ctx, tuple) === tuple
      end

      # Text is looked through in blocks while it is copied.
      test "long text, whatever is in it, and where", %{ctx: ctx} do
        plain = String.duplicate("0123456789abcdef", 1_500)

        for length <- [127, 128, 8_191, 8_192, 8_193, 16_384, 24_000] do
          ascii = binary_part(plain, 0, length)
          assert eval(ctx, "(x.isascii(), len(x))", %{x: ascii}) == {true, length}
          assert round_trip(ctx, ascii) === ascii

          for position <- [0, 1, 8_190, 8_191, 8_192, length - 1], position < length do
            <<before::binary-size(^position), _byte, rest::binary>> = ascii
            assert round_trip(ctx, before <> "é" <> rest) === before <> "é" <> rest
            bytes = before <> <<0xFF>> <> rest
            assert eval(ctx, "(type(x).__name__, x)", %{x: bytes}) == {"bytes", bytes}
          end
        end
      end

      test "data that changes while it is read", %{ctx: ctx} do
        Py.exec!(ctx, """
        import dataclasses
        data = [1, 2, 3]

        @dataclasses.dataclass
        class Shrink:
            x: int
            def __getattribute__(self, name):
                if name == "x": data.clear()
                return object.__getattribute__(self, name)

        data = [Shrink(1), 2, 3]
        table = {1: Shrink(1), 2: Shrink(2)}
        """)

        assert eval(ctx, "data") === [%{"x" => 1}]
        assert eval(ctx, "table") === %{1 => %{"x" => 1}, 2 => %{"x" => 2}}
      end
    end
  end

  describe "wrappers" do
    test "take only what they wrap" do
      for {wrapper, value} <- [bytes: :no, float: "1", atom: "a"] do
        assert_raise FunctionClauseError, fn -> apply(Py, wrapper, [value]) end
      end
    end
  end
end
