defmodule Py.Values.KeysTest do
  use Py.Test.Case, async: true

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

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

      test "keyword arguments of the same name, or of none, are an error", %{ctx: ctx} do
        assert {:error, error} = Py.call(ctx, :builtins, :dict, [], kwargs: %{"a" => 1, a: 2})
        assert %Py.ConversionError{path: "kwargs.a"} = error
        assert error.reason =~ "same name"

        assert {:error, %Py.ConversionError{path: "kwargs[1]", reason: reason}} =
                 Py.call(ctx, :builtins, :dict, [], kwargs: %{1 => 2})

        assert reason =~ "names of keyword arguments"

        assert Py.call(ctx, :builtins, :dict, [], kwargs: %{"b" => 1, a: 2}) ==
                 {:ok, %{"a" => 2, "b" => 1}}
      end
    end
  end
end
