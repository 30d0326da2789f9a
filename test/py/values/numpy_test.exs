defmodule Py.Values.NumpyTest do
  use Py.Test.Case, async: true

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
end
