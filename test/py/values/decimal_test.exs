defmodule Py.Values.DecimalTest do
  use Py.Test.Case, async: true

  @huge 7 ** 5000

  for mode <- modes() do
    describe "#{mode}:" do
      @describetag mode: mode

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
    end
  end
end
