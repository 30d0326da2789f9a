defmodule Py.Values.RefusedTest do
  use Py.Test.Case, async: true

  alias Py.Test.{Itself, OtherCalendar, Plain, Wrapped}

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
    end
  end
end
