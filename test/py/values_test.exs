defmodule Py.ValuesTest do
  use Py.Case, async: true

  alias Py.Test.{All, Celsius, Except, Itself, Only, OtherCalendar, Plain, Wrapped}

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

  # {Python, type of the handle}
  @handles [
    {"object()", "object"},
    {"len", "builtin_function_or_method"},
    {"int", "type"},
    {"__import__('math')", "module"},
    {"(n for n in [])", "generator"},
    {"{}.keys()", "dict_keys"},
    {"__import__('fractions').Fraction(1, 2)", "fractions.Fraction"},
    {"__import__('threading').Lock()", ~r/lock$/},
    {"ValueError('x')", "ValueError"},
    {"__import__('types').SimpleNamespace()", "types.SimpleNamespace"}
  ]

  # {Elixir, path, part of the reason}
  @refused [
    {<<1::3>>, "", "bitstring"},
    {[1 | 2], "", "improper list"},
    {[1, [2 | 3]], "[1]", "improper list"},
    {%{a: [%{"b" => <<1::1>>}]}, ".a[0].b", "bitstring"},
    {%{"two words" => <<1::1>>}, ~s(["two words"]), "bitstring"},
    {{1, <<1::1>>}, "[1]", "bitstring"},
    {MapSet.new([<<1::1>>]), "{…}", "bitstring"},
    {%{"a" => 1, a: 2}, ".a", "same Python key"},
    {%{1 => 1, 1.0 => 2}, nil, "same Python key"},
    {%{true => 1, 1 => 2}, nil, "same Python key"},
    {%{0.0 => 1, -0.0 => 2}, nil, "same Python key"},
    {%{{1, :a} => 1, {1.0, "a"} => 2}, nil, "same Python key"},
    {MapSet.new([:a, "a"]), "{…}", "same Python value"},
    {MapSet.new([1, 1.0]), "{…}", "same Python value"},
    {%{[1] => 2}, "[[1]]", "unhashable"},
    {%{%{} => 2}, nil, "unhashable"},
    {MapSet.new([[1]]), "{…}", "unhashable"},
    {MapSet.new([MapSet.new()]), "{…}", "unhashable"},
    {[%Plain{}], "[0]", "Py.Test.Plain has no Python counterpart"},
    {%{user: {1, %Plain{}}}, ".user[1]", "Py.Test.Plain"},
    {%{"a b" => %Plain{}}, ~s(["a b"]), "Py.Test.Plain"},
    {%{"a b": %Plain{}}, ~s([:"a b"]), "Py.Test.Plain"},
    {%{"two words": <<1::1>>}, ~s([:"two words"]), "bitstring"},
    {%{{1.5, Enum, :ok} => <<1::1>>}, ~s([{1.5, Enum, :ok}]), "bitstring"},
    {MapSet.new([%Plain{}]), "{…}", "Py.Test.Plain"},
    {%Itself{}, "", "returned the struct itself"},
    {%Wrapped{value: [%Plain{}]}, "[0]", "Py.Test.Plain"},
    {%{%Wrapped{value: 1} => 1, %Wrapped{value: %Wrapped{value: 1}} => 2}, nil,
     "same once encoded"},
    {MapSet.new([%Wrapped{value: 1}, 1]), "{…}", "same once encoded"},
    {%Py.TimeoutError{}, "", "Py.TimeoutError"},
    {%Date{year: 0, month: 1, day: 1}, "", "year"},
    {~D[-0001-01-01], "", "year"},
    {%Date{year: 10_000, month: 1, day: 1}, "", "year"},
    {%Date{year: 2026, month: 2, day: 30}, "", "day"},
    {%Date{year: 2026, month: "x", day: 30}, "", "'str'"},
    {%{__struct__: Date}, "", "missing field"},
    {%Date{year: 2026, month: 1, day: 1, calendar: OtherCalendar}, "", "ISO calendar"},
    {%{~T[12:00:00] | calendar: OtherCalendar}, "", "ISO calendar"},
    {%{~N[2026-01-01 12:00:00] | calendar: OtherCalendar}, "", "ISO calendar"},
    {%{~U[2026-01-01 12:00:00Z] | calendar: OtherCalendar}, "", "ISO calendar"},
    {%{~T[12:00:00] | second: 60}, "", "second"},
    {Duration.new!(month: 1), "", "years or months"},
    {Duration.new!(year: 1), "", "years or months"},
    {Duration.new!(day: 10 ** 12), "", "too long"},
    {Duration.new!(day: 10 ** 9), "", "too long"},
    {Duration.new!(week: 10 ** 18), "", "too long"},
    {Py.float(10 ** 400), "", "too large"}
  ]

  # {Python, path, part of the reason}
  @refused_from_python [
    {"'\\ud800'", "", "lone surrogates"},
    {"['a', '\\udc80']", "[1]", "lone surrogates"},
    {"{'\\ud800': 1}", nil, "lone surrogates"},
    {"{'a': 1, b'a': 2}", "", ~S(two keys become the same term, "a")},
    {"{1: {b'a', 'a'}}", "[1]", ~S(two keys become the same term, "a")},
    {"{2: 1, (1, 'a'): 2, (1, b'a'): 3}", "", ~S(two keys become the same term, {1, "a"})},
    {"(a := [], a.append(a), a)[-1]", ~r/^(\[0\]){16}…(\[0\]){16}$/, "cyclic"},
    {"(a := {}, a.update(a=a), a)[-1]", ~r/^a(\.a){15}…(\.a){16}$/, "cyclic"},
    {"(a := [], a.append({'k': (a,)}), a)[-1]", ~r/^\[0\]\.k\[0\]/, "cyclic"},
    {"__import__('datetime').time(1, tzinfo=__import__('datetime').timezone.utc)", "",
     "time zone"},
    {"[__import__('erlang').Atom('x' * 256)]", "[0]", "255 characters"},
    {"__import__('erlang').Pid(b'no pid')", "", "damaged"},
    {"__import__('erlang').Pid.__new__(__import__('erlang').Pid)", "", "damaged"},
    {"(m := memoryview(b'x'), m.release(), [m])[-1]", "[0]", "released memoryview"}
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

      test "objects without a counterpart are handles of the same object", %{ctx: ctx} do
        for {code, type} <- @handles do
          assert %Py.Object{} = object = eval(ctx, code)
          if is_binary(type), do: assert(object.type == type), else: assert(object.type =~ type)

          assert eval(ctx, "x is y[0] and y[0] is y[1]['k']", %{
                   x: object,
                   y: {object, %{k: object}}
                 })
        end

        assert %Py.Object{ref: ref} = object = eval(ctx, "object()")

        assert eval(ctx, "(x is y, {x: 1}[y])", %{x: object, y: %{object | ref: ref}}) ==
                 {true, 1}

        assert %MapSet{} = set = eval(ctx, "{x}", %{x: object})
        assert [%Py.Object{type: "object"}] = MapSet.to_list(set)

        assert eval(ctx, "x.a.append(2) or x.a", %{x: eval(ctx, "type('O', (), {'a': [1]})()")}) ==
                 [1, 2]
      end

      test "what has no Python counterpart is an error with a path", %{ctx: ctx} do
        for {value, path, reason} <- @refused do
          assert %Py.ConversionError{} = error = error(ctx, "x", %{x: value})
          assert {value, error.reason, error.reason =~ reason} == {value, error.reason, true}
          if path, do: assert({value, error.path} == {value, "locals.x" <> path})

          assert {:error, %Py.ConversionError{} = error} =
                   Py.call(ctx, :builtins, :id, [1, value])

          if path, do: assert({value, error.path} == {value, "args[1]" <> path})

          assert {:error, %Py.ConversionError{} = error} =
                   Py.call(ctx, :builtins, :dict, [], kwargs: %{k: value})

          if path, do: assert({value, error.path} == {value, "kwargs.k" <> path})
        end
      end

      test "what has no term is an error with a path", %{ctx: ctx} do
        for {code, path, reason} <- @refused_from_python do
          assert %Py.ConversionError{} = error = error(ctx, code)
          assert {code, error.reason, error.reason =~ reason} == {code, error.reason, true}

          cond do
            is_binary(path) -> assert {code, error.path} == {code, path}
            path -> assert error.path =~ path
            true -> :ok
          end
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

      test "keys of every kind", %{ctx: ctx} do
        ref = make_ref()

        map = %{
          nil => 1,
          "text" => 2,
          <<254>> => 3,
          7 => 4,
          2.5 => 5,
          {1, {"a"}} => 6,
          self() => 7,
          ref => 8,
          ~D[2026-01-31] => 9,
          (1..3) => 10
        }

        assert round_trip(ctx, map) === map
        assert eval(ctx, "len(x)", %{x: map}) == 10
        assert eval(ctx, "x[p]", %{x: map, p: self()}) == 7
      end

      test "keyword arguments of the same name are an error", %{ctx: ctx} do
        assert {:error, error} = Py.call(ctx, :builtins, :dict, [], kwargs: %{"a" => 1, a: 2})
        assert %Py.ConversionError{path: "kwargs.a"} = error
        assert error.reason =~ "same name"

        assert {:error, %Py.ConversionError{reason: reason}} =
                 Py.call(ctx, :builtins, :dict, [], kwargs: %{1 => 2})

        assert reason =~ "names of keyword arguments"

        assert Py.call(ctx, :builtins, :dict, [], kwargs: %{"b" => 1, a: 2}) ==
                 {:ok, %{"a" => 2, "b" => 1}}
      end

      test "structs cross by Py.Encoder, wherever they are", %{ctx: ctx} do
        assert round_trip(ctx, %All{}) == %{"name" => "n", "age" => 1, "password" => "p"}
        assert round_trip(ctx, %Only{}) == %{"name" => "n", "age" => 1}
        assert round_trip(ctx, %Except{age: 2}) == %{"name" => "n", "age" => 2}
        assert round_trip(ctx, %Celsius{degrees: 20}) === 20.0
        assert round_trip(ctx, %Wrapped{value: %Wrapped{value: ~D[2026-01-31]}}) == ~D[2026-01-31]

        nested = %{
          list: [%Celsius{degrees: 1}, {%Celsius{degrees: 2}}],
          set: MapSet.new([%Celsius{degrees: 3}, ~D[2026-01-31]]),
          only: %Only{name: %Celsius{degrees: 4}},
          bytes: Py.bytes("b"),
          range: 1..2,
          pid: self()
        }

        assert round_trip(ctx, nested) === %{
                 "list" => [1.0, {2.0}],
                 "set" => MapSet.new([3.0, ~D[2026-01-31]]),
                 "only" => %{"name" => 4.0, "age" => 1},
                 "bytes" => "b",
                 "range" => 1..2,
                 "pid" => self()
               }

        assert round_trip(ctx, %{%Celsius{degrees: 1} => :v}) == %{1.0 => "v"}

        assert Py.call(ctx, :builtins, :dict, [], kwargs: [c: %Celsius{degrees: 5}]) ==
                 {:ok, %{"c" => 5.0}}

        assert {:ok, 6.0} =
                 Py.await(Py.async(:builtins, :abs, [%Celsius{degrees: -6}], context: ctx))
      end

      test "a call that Py.Encoder has a part in counts once, as a success", %{ctx: ctx} do
        counts = fn -> ctx |> Py.Context.info() |> elem(1) |> Map.take([:calls, :errors]) end
        %{calls: calls, errors: errors} = counts.()
        assert Py.call(ctx, :builtins, :abs, [%Celsius{degrees: -7}]) == {:ok, 7.0}
        # Asynchronous work is encoded before it is submitted.
        task = Py.async(:builtins, :abs, [%Celsius{degrees: -8}], context: ctx)
        assert Py.await(task) == {:ok, 8.0}
        assert counts.() == %{calls: calls + 2, errors: errors}
      end

      test "aware datetimes keep zone, offsets and fold", %{ctx: ctx} do
        summer = berlin(~N[2026-07-01 12:00:00], "CEST", 3600)
        winter = berlin(~N[2026-01-01 12:00:00], "CET", 0)
        # 02:30 happens twice on 25 October 2026.
        first = berlin(~N[2026-10-25 02:30:00.5], "CEST", 3600)
        second = berlin(~N[2026-10-25 02:30:00.5], "CET", 0)

        for {at, seen} <- [
              {summer, {"2026-07-01T12:00:00+02:00", "Europe/Berlin", 0}},
              {winter, {"2026-01-01T12:00:00+01:00", "Europe/Berlin", 0}},
              {first, {"2026-10-25T02:30:00.500000+02:00", "Europe/Berlin", 0}},
              {second, {"2026-10-25T02:30:00.500000+01:00", "Europe/Berlin", 1}},
              {berlin(~N[2026-03-29 01:59:59], "CET", 0),
               {"2026-03-29T01:59:59+01:00", "Europe/Berlin", 0}},
              {berlin(~N[2026-03-29 03:00:00], "CEST", 3600),
               {"2026-03-29T03:00:00+02:00", "Europe/Berlin", 0}}
            ] do
          assert eval(ctx, "(x.isoformat(), x.tzinfo.key, x.fold)", %{x: at}) == seen
          assert round_trip(ctx, at) == six_digits(at)
        end

        assert eval(ctx, "b - a", %{a: first, b: second}) == Duration.new!([])
        assert eval(ctx, "b.timestamp() - a.timestamp()", %{a: first, b: second}) == 3600.0
      end

      test "fixed offsets, and zones that Python does not know", %{ctx: ctx} do
        code = "__import__('datetime').datetime.fromisoformat(x)"
        fixed = eval(ctx, code, %{x: "2026-01-31T12:00:00+05:30"})

        assert fixed == zone(~N[2026-01-31 12:00:00], "+05:30", "+05:30", 19_800, 0)

        assert round_trip(ctx, fixed) == fixed
        assert eval(ctx, "type(x.tzinfo).__name__", %{x: fixed}) == "timezone"
        assert eval(ctx, code, %{x: "2026-01-31T12:00:00-00:00:30"}).time_zone == "-00:00:30"
        assert eval(ctx, code, %{x: "2026-01-31T12:00:00+00:00"}) == ~U[2026-01-31 12:00:00Z]

        unknown = zone(~N[2026-01-31 12:00:00], "Mars/Olympus", "MST", 7200, -1800)
        assert round_trip(ctx, unknown) == unknown

        assert eval(ctx, "(x.utcoffset(), x.dst(), x.tzname())", %{x: unknown}) ==
                 {Duration.new!(second: 5400), Duration.new!(second: -1800), "MST"}

        assert eval(ctx, "__import__('pickle').loads(__import__('pickle').dumps(x)) == x", %{
                 x: unknown
               })

        # A zone that Python knows, with other rules.
        other = zone(~N[2026-01-31 12:00:00], "Europe/Berlin", "BXT", 600, 0)
        assert round_trip(ctx, other) == other

        assert %Py.ConversionError{reason: reason} =
                 error(
                   ctx,
                   "__import__('datetime').datetime(1, 1, 1, tzinfo=z(d(microseconds=1)))",
                   %{
                     z: eval(ctx, "__import__('datetime').timezone"),
                     d: eval(ctx, "__import__('datetime').timedelta")
                   }
                 )

        assert reason =~ "fractions of a second"
      end

      test "datetimes that Python makes", %{ctx: ctx} do
        code =
          "__import__('datetime').datetime(2026, 10, 25, 2, 30, fold=f, tzinfo=__import__('zoneinfo').ZoneInfo('Europe/Berlin'))"

        assert eval(ctx, code, %{f: 0}) == berlin(~N[2026-10-25 02:30:00], "CEST", 3600)
        assert eval(ctx, code, %{f: 1}) == berlin(~N[2026-10-25 02:30:00], "CET", 0)

        utc =
          "__import__('datetime').datetime(2026, 1, 1, tzinfo=__import__('zoneinfo').ZoneInfo('UTC'))"

        assert eval(ctx, utc) == ~U[2026-01-01 00:00:00Z]
        assert eval(ctx, "__import__('datetime').datetime.min") == ~N[0001-01-01 00:00:00]
        assert eval(ctx, "__import__('datetime').datetime.max") == ~N[9999-12-31 23:59:59.999999]
      end

      test "decimals", %{ctx: ctx} do
        for {sign, coef, exp, text} <- [
              {1, 0, 0, "0"},
              {-1, 0, -2, "-0.00"},
              {1, 12_345, -2, "123.45"},
              {-1, 1, 3, "-1E+3"},
              {1, :inf, 0, "Infinity"},
              {-1, :inf, 0, "-Infinity"},
              {1, :NaN, 0, "NaN"}
            ] do
          decimal = struct!(Decimal, sign: sign, coef: coef, exp: exp)
          assert eval(ctx, "(type(x).__name__, str(x))", %{x: decimal}) == {"Decimal", text}
          assert round_trip(ctx, decimal) === decimal
        end

        long = struct!(Decimal, sign: -1, coef: @huge, exp: -100)
        assert round_trip(ctx, long) === long

        assert eval(ctx, "__import__('decimal').Decimal('1.10')") ===
                 struct!(Decimal, sign: 1, coef: 110, exp: -2)
      end

      test "enums and dataclasses", %{ctx: ctx} do
        Py.exec!(ctx, """
        import dataclasses, enum, typing

        class Color(enum.Enum):
            RED = 1
            POINT = (1, 2)

        class Level(enum.IntEnum):
            LOW = 3

        class Word(str, enum.Enum):
            HI = "hi"

        class Access(enum.Flag):
            R = 1
            W = 2

        @dataclasses.dataclass
        class Point:
            x: int
            y: object = None
            kind: typing.ClassVar = "class variable"

        @dataclasses.dataclass(frozen=True, slots=True)
        class Slots:
            a: int

        class Loop(enum.Enum):
            ME = 1

        Loop.ME._value_ = Loop.ME
        """)

        assert eval(ctx, "[Color.RED, Color.POINT, Level.LOW, Word.HI, Access.R | Access.W]") ===
                 [1, {1, 2}, 3, "hi", 3]

        assert eval(ctx, "Point(1, Point(2, [Color.RED]))") ===
                 %{"x" => 1, "y" => %{"x" => 2, "y" => [1]}}

        assert eval(ctx, "{Slots(1): 2}") === %{%{"a" => 1} => 2}
        assert %Py.Object{type: "type"} = eval(ctx, "Point")
        assert %Py.ConversionError{path: "y[0]"} = error(ctx, "Point(1, ['\\ud800'])")
        assert %Py.ConversionError{reason: "nested deeper" <> _} = error(ctx, "Loop.ME")
        assert %Py.ConversionError{reason: reason} = error(ctx, "Point.__new__(Point)")
        assert reason =~ "has no attribute 'x'"
      end

      test "processes, references, ports and functions are the same terms again", %{ctx: ctx} do
        port = hd(Port.list())
        base = 5
        closure = fn n -> n + base end
        far = :erlang.list_to_pid(~c"<0.1000.3>")

        for {term, type} <- [
              {self(), "Pid"},
              {far, "Pid"},
              {make_ref(), "Ref"},
              {port, "Port"},
              {&String.upcase/1, "Function"},
              {closure, "Function"}
            ] do
          assert round_trip(ctx, term) === term
          assert round_trip(ctx, %{term => [{term}]}) === %{term => [{term}]}
          assert round_trip(ctx, MapSet.new([term, 1])) === MapSet.new([term, 1])

          assert eval(ctx, "(type(x).__name__, type(x).__module__.split('.')[0])", %{x: term}) ==
                   {type, "erlang"}

          assert eval(
                   ctx,
                   "(x == y, x is not y, hash(x) == hash(y), len({x, y}), x != 1, x in {y: 1})",
                   %{x: term, y: term}
                 ) ==
                   {true, true, true, 1, true, true}

          assert eval(ctx, "repr(x)", %{x: term}) =~ ~r/^<erlang.#{type} [0-9a-f.]+>$/

          assert eval(ctx, "isinstance(x, getattr(__import__('erlang'), t))", %{x: term, t: type})
          pickled = eval(ctx, "__import__('pickle').dumps([x, x])", %{x: term})

          assert eval(ctx, "__import__('pickle').loads(x)", %{x: Py.bytes(pickled)}) === [
                   term,
                   term
                 ]

          assert eval(ctx, "__import__('copy').deepcopy(x)", %{x: term}) === term
        end

        assert round_trip(ctx, closure).(1) == 6
        assert eval(ctx, "x == y", %{x: make_ref(), y: make_ref()}) == false
        assert eval(ctx, "repr(x)", %{x: far}) == "<erlang.Pid 1000.3>"

        assert %Py.Error{type: "TypeError", message: message} =
                 error(ctx, "__import__('erlang').Pid('x')")

        assert message =~ "cannot be made from Python"

        assert %Py.Error{type: "AttributeError"} =
                 error(ctx, "setattr(x, '_external', b'')", %{x: self()})
      end

      test "erlang.Atom is a str that comes back as an atom", %{ctx: ctx} do
        assert eval(ctx, "(isinstance(x, str), x == 'ok', hash(x) == hash('ok'), x + '!', x)", %{
                 x: Py.atom(:ok)
               }) ==
                 {true, true, true, "ok!", :ok}

        assert eval(ctx, "__import__('pickle').loads(__import__('pickle').dumps(x))", %{
                 x: Py.atom(:ok)
               }) == :ok

        assert round_trip(ctx, %{Py.atom(:a) => Py.atom(:b)}) == %{a: :b}

        assert %Py.ConversionError{path: "locals.x.a"} =
                 error(ctx, "x", %{
                   x: %{"a" => 1, Py.atom(:a) => 2}
                 })

        # A name that no atom had.
        name = "made by Python #{System.unique_integer([:positive])}"
        atom = eval(ctx, "__import__('erlang').atom(n)", %{n: name})
        assert is_atom(atom) and Atom.to_string(atom) == name
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

  # Stand-ins with the names and attributes of pandas: it is not in every environment.
  @pandas """
  import datetime as dt
  NaTType = type("NaTType", (dt.datetime,), {"__module__": "pandas._libs.tslibs.nattype", "year": float("nan")})
  NAType = type("NAType", (), {"__module__": "pandas._libs.missing"})
  Timestamp = type("Timestamp", (dt.datetime,), {"nanosecond": 0})
  Timedelta = type("Timedelta", (dt.timedelta,), {"nanoseconds": 0})
  nat, na, stamp, delta = NaTType(1, 1, 1), NAType(), Timestamp(2026, 1, 31), Timedelta(1)
  late, long = Timestamp(2026, 1, 31), Timedelta(1)
  late.nanosecond = long.nanoseconds = 1
  """

  describe "pandas:" do
    for mode <- modes() do
      @tag mode: mode
      test "missing values are nil, nanoseconds are refused (#{mode})", %{ctx: ctx} do
        Py.exec!(ctx, @pandas)
        assert eval(ctx, "[{'a': nat, 'b': na}]") == [%{"a" => nil, "b" => nil}]
        assert eval(ctx, "[stamp, delta]") == [~N[2026-01-31 00:00:00], Duration.new!(day: 1)]

        for code <- ["late", "long"] do
          assert %Py.ConversionError{path: "[0]", reason: reason} = error(ctx, "[#{code}]")
          assert reason =~ ".floor('us')"
        end
      end
    end
  end

  describe "numpy:" do
    @describetag mode: :worker

    setup %{ctx: ctx} do
      assert {:ok, %Py.Object{}} = Py.call(ctx, :importlib, :import_module, ["numpy"])
      Py.exec!(ctx, "import numpy as np")
    end

    test "scalars and arrays", %{ctx: ctx} do
      for {code, value} <- [
            {"np.int64(-5)", -5},
            {"np.uint64(2 ** 64 - 1)", 2 ** 64 - 1},
            {"np.int8(1)", 1},
            {"np.float64(-0.0)", -0.0},
            {"np.float32(0.5)", 0.5},
            {"np.float16('inf')", :infinity},
            {"np.bool_(True)", true},
            {"np.str_('text')", "text"},
            {"np.bytes_(b'b')", "b"},
            {"np.complex128(1 - 2j)", {1.0, -2.0}},
            {"np.complex64(1 - 2j)", {1.0, -2.0}},
            {"np.datetime64('2026-01-31')", ~D[2026-01-31]},
            {"np.timedelta64(90, 's')", Duration.new!(second: 90)},
            {"np.array(7)", 7},
            {"np.array([])", []},
            {"np.zeros((0, 3))", []},
            {"np.arange(6).reshape(2, 3)", [[0, 1, 2], [3, 4, 5]]},
            {"np.array([[1.5, np.nan]])", [[1.5, :nan]]},
            {"np.array(['a', 'b'])", ["a", "b"]},
            {"np.array([{'k': {1}}, None], dtype=object)", [%{"k" => MapSet.new([1])}, nil]},
            {"np.array([(1, 2.5)], dtype=[('a', 'i4'), ('b', 'f8')])", [{1, 2.5}]},
            {"{np.int64(1): [np.float32(2)]}", %{1 => [2.0]}}
          ] do
        assert {code, eval(ctx, code)} === {code, value}
      end
    end

    test "times: date-times and durations, or an error, never numbers", %{ctx: ctx} do
      for {code, value} <- [
            {"np.datetime64('2026-01-31T01:02:03.000004000', 'ns')",
             ~N[2026-01-31 01:02:03.000004]},
            {"np.datetime64('NaT', 'D')", nil},
            {"np.datetime64('NaT', 'ns')", nil},
            {"np.array(['2026-01-31', 'NaT'], dtype='M8[ns]')", [~N[2026-01-31 00:00:00], nil]},
            {"np.timedelta64(1_000, 'ns')", Duration.new!(microsecond: {1, 6})},
            {"np.array([], dtype='M8[ns]')", []},
            {"np.array([('2026-01-31', 1.5)], dtype=[('at', 'M8[ns]'), ('x', 'f4')])",
             [{~N[2026-01-31 00:00:00], 1.5}]},
            {"np.array([('2026-01-31', 1)], dtype=[('at', 'M8[ns]'), ('x', 'i4')])[0]",
             {~N[2026-01-31 00:00:00], 1}},
            {"np.zeros((1, 1), dtype=[('in', [('at', 'M8[ns]', (2,))]), ('s', 'U2')])",
             [[{{[~N[1970-01-01 00:00:00], ~N[1970-01-01 00:00:00]]}, ""}]]},
            {"np.array([np.datetime64('2026-01-31', 'ns'), 1], dtype=object)",
             [~N[2026-01-31 00:00:00], 1]}
          ] do
        assert {code, eval(ctx, code)} === {code, value}
      end

      for {code, says} <- [
            {"np.datetime64('2026-01-31T00:00:00.000000001')", ".astype('M8[us]')"},
            {"np.array([[0, 1]], dtype='M8[ns]')", ".astype('M8[us]')"},
            {"np.timedelta64(1, 'ns')", ".astype('m8[us]')"},
            {"np.timedelta64(1, 'Y')", ".astype('i8')"},
            {"np.datetime64('20000-01-01')", ".astype('i8')"},
            {"np.array([(1,)], dtype=[('at', 'M8[ns]')])", ".astype('M8[us]')"}
          ] do
        assert %Py.ConversionError{path: "[0]", reason: reason} = error(ctx, "[#{code}]")
        assert reason =~ says
      end
    end

    test "handles with return: :object, and what floats cannot hold", %{ctx: ctx} do
      assert {:ok, %Py.Object{type: "numpy.ndarray"} = array} =
               Py.eval(ctx, "np.arange(3)", return: :object)

      assert eval(ctx, "int(x.sum())", %{x: array}) == 3

      if eval(ctx, "np.finfo(np.longdouble).bits > 64") do
        assert %Py.ConversionError{path: "[0]", reason: reason} = error(ctx, "[np.longdouble(1)]")
        assert reason =~ "numpy.longdouble has no exact counterpart"
      end
    end
  end

  describe "handles of other interpreters" do
    test "work on every worker context", %{contexts: %{worker: worker}} do
      other = start_supervised!({Py.Context, mode: :worker}, id: :other)
      object = eval(worker, "object()")

      assert eval(other, "[id(x), repr(x)]", %{x: object}) ==
               eval(worker, "[id(x), repr(x)]", %{x: object})
    end

    @tag :own_gil
    test "are refused by own-GIL contexts and those of them", %{contexts: contexts} do
      %{worker: worker, owngil: owngil} = contexts
      other = start_supervised!({Py.Context, mode: :owngil}, id: :other)

      for {from, to} <- [{owngil, worker}, {worker, owngil}, {owngil, other}, {other, owngil}] do
        object = eval(from, "object()")

        for value <- [object, [object], %{k: {object}}, %{object => 1}, MapSet.new([object])] do
          assert {:error, %Py.ContextError{reason: :wrong_interpreter}} =
                   Py.eval(to, "x", locals: %{x: value})

          assert {:error, %Py.ContextError{reason: :wrong_interpreter}} =
                   Py.call(to, :builtins, :id, [value])
        end

        assert Py.eval(to, "1") == {:ok, 1}
        assert eval(from, "type(x).__name__", %{x: object}) == "object"
      end
    end

    @tag :own_gil
    test "outlive their interpreter as errors", %{contexts: %{worker: worker}} do
      {:ok, ended} = Py.Context.start_link(mode: :owngil)
      object = eval(ended, "object()")
      assert Py.Context.stop(ended) == :ok

      assert {:error, %Py.ContextError{reason: :wrong_interpreter}} =
               Py.call(worker, :builtins, :id, [object])

      assert {:error, %Py.ContextError{reason: :wrong_interpreter}} = Py.call(object, :__repr__)
      assert inspect(object) =~ "#Py.Object<object "
    end
  end

  describe "Py.Encoder" do
    test "refuses to derive unknown fields" do
      for {options, message} <- [
            {[only: [:name, :nope]], ~r/has no field \[:nope\]/},
            {[only: [:name], except: [:name]], ~r/either :only or :except/}
          ] do
        code =
          quote do
            defmodule unquote(Module.concat(__MODULE__, "Bad#{:erlang.phash2(options)}")) do
              @derive {Py.Encoder, unquote(options)}
              defstruct [:name]
            end
          end

        assert_raise ArgumentError, message, fn -> Code.eval_quoted(code) end
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

  defp berlin(naive, abbreviation, saving),
    do: zone(naive, "Europe/Berlin", abbreviation, 3600, saving)

  defp zone(naive, name, abbreviation, utc_offset, std_offset) do
    naive
    |> Map.from_struct()
    |> Map.merge(%{
      time_zone: name,
      zone_abbr: abbreviation,
      utc_offset: utc_offset,
      std_offset: std_offset
    })
    |> then(&struct!(DateTime, &1))
  end

  # Python does not say how many digits of the microseconds count.
  defp six_digits(%{microsecond: {0, _}} = time), do: %{time | microsecond: {0, 0}}
  defp six_digits(%{microsecond: {value, _}} = time), do: %{time | microsecond: {value, 6}}
end
