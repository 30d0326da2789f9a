defmodule Py.Values.ObjectsTest do
  use Py.Test.Case, async: true

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

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

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
end
