defmodule Py.EncoderTest do
  use Py.Test.Case, async: true

  alias Py.Test.{All, Celsius, Except, Only, Wrapped}

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

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
end
