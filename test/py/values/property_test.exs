defmodule Py.Values.PropertyTest do
  use Py.Test.Case, async: true

  import Py.Property

  alias Py.ValuesModel
  alias Py.Test.Dialect

  @moduletag timeout: 120_000

  for mode <- modes(), dialect <- [:elixir, :erlang] do
    describe "#{mode}, #{dialect} dialect:" do
      @describetag mode: mode, dialect: dialect

      test "terms come back as the tables say", %{ctx: ctx, dialect: dialect} do
        check(term(dialect), &compare(ctx, &1, dialect), numtests: 400)
      end

      test "maps with keys of every kind", %{ctx: ctx, dialect: dialect} do
        entry = map({key(dialect), scalar(dialect)}, & &1)
        check(map(list(entry), &Map.new/1), &compare(ctx, &1, dialect), numtests: 300)
      end

      test "keys that Python may take for the same", %{ctx: ctx, dialect: dialect} do
        check(
          map(list(one_of(ValuesModel.similar())), &Map.new(&1, fn key -> {key, 1} end)),
          &compare(ctx, &1, dialect),
          numtests: 300
        )
      end

      test "integers of up to thousands of digits", %{ctx: ctx, dialect: dialect} do
        check(big(), &compare(ctx, &1, dialect), numtests: 200)

        # Arithmetic in Python, so that two wrongs do not make a right.
        check(map({big(), big()}, & &1), fn {a, b} ->
          {{a + b, a * b, a < b},
           eval(ctx, "(a + b, a * b, a < b)", %{a: a, b: b}, dialect: dialect)}
        end)
      end

      test "floats", %{ctx: ctx, dialect: dialect} do
        check(any_float(), &compare(ctx, &1, dialect), numtests: 300)
      end

      test "binaries, text or not", %{ctx: ctx, dialect: dialect} do
        check(
          map(list(frequency([{3, text()}, {1, binary()}])), &IO.iodata_to_binary/1),
          &compare(ctx, &1, dialect),
          numtests: 300
        )
      end

      test "nesting around the bound of 512 levels", %{ctx: ctx, dialect: dialect} do
        wraps = [&[&1], &{&1}, &%{"k" => &1}, &[0, &1], &{&1, "x"}]

        deep =
          bind(one_of([1, 2, 511, 512, 513, 600]), fn depth ->
            map(:proper_types.vector(depth, integer(0, length(wraps) - 1)), fn choices ->
              {depth, choices}
            end)
          end)

        check(
          deep,
          fn {depth, choices} ->
            term = Enum.reduce(choices, 0, &Enum.at(wraps, &1).(&2))

            {if(depth <= 512, do: {:ok, term}, else: :error),
             round_trip_result(ctx, term, dialect)}
          end,
          numtests: 60
        )
      end
    end
  end

  for mode <- modes() do
    test "#{mode}: sets", %{contexts: contexts} do
      ctx = contexts[unquote(mode)]
      check(map(list(key(:elixir)), &MapSet.new/1), &compare(ctx, &1, :elixir), numtests: 300)
    end

    test "#{mode}: Python agrees on what text is", %{contexts: contexts} do
      ctx = contexts[unquote(mode)]

      check(text(), fn text ->
        {{String.to_charlist(text), text},
         eval(ctx, "([ord(c) for c in x], b.decode())", %{x: text, b: Py.bytes(text)})}
      end)
    end

    test "#{mode}: dates and times", %{contexts: contexts} do
      ctx = contexts[unquote(mode)]

      # Seconds of the years 1 to 9999.
      check(
        map({integer(-62_135_596_800, 253_402_300_799), integer(0, 999_999)}, & &1),
        fn {seconds, micro} ->
          utc =
            seconds
            |> DateTime.from_unix!()
            |> Map.put(:microsecond, if(micro == 0, do: {0, 0}, else: {micro, 6}))

          naive = DateTime.to_naive(utc)
          term = {utc, naive, DateTime.to_date(utc), DateTime.to_time(utc)}

          {{term, NaiveDateTime.to_iso8601(naive)},
           eval(ctx, "(x, x[1].isoformat())", %{x: term})}
        end
      )

      check(integer(-86_399_999_999_999, 86_399_999_999_999), fn micro ->
        duration = Duration.new!(microsecond: {micro, 6})
        back = eval(ctx, "(x, x // type(x)(microseconds=1))", %{x: duration})
        {part, rest} = {div(micro, 1_000_000), rem(micro, 1_000_000)}
        days = div(part, 86_400)

        expected =
          Duration.new!(
            day: days,
            second: rem(part, 86_400),
            microsecond: {rest, if(rest == 0, do: 0, else: 6)}
          )

        {{expected, micro}, back}
      end)
    end

    test "#{mode}: ranges", %{contexts: contexts} do
      ctx = contexts[unquote(mode)]
      step = frequency([{1, integer(-9, -1)}, {1, integer(1, 9)}])

      check(map({integer(-50, 50), integer(-50, 50), step}, & &1), fn {first, last, step} ->
        range = first..last//step
        {{range, Enum.to_list(range)}, eval(ctx, "(x, list(x))", %{x: range})}
      end)
    end
  end

  defp compare(ctx, term, dialect),
    do: {ValuesModel.round_trip(term, dialect), round_trip_result(ctx, term, dialect)}

  defp round_trip_result(ctx, term, dialect) do
    case Dialect.eval(ctx, "x", locals: %{x: term}, dialect: dialect) do
      {:ok, back} -> {:ok, back}
      {:error, %Py.ConversionError{}} -> :error
      {:error, {:conversion_error, _text}} -> :error
    end
  end

  ## Terms

  defp term(dialect), do: sized(&term(&1, dialect))

  defp term(0, dialect), do: scalar(dialect)

  defp term(size, dialect) do
    smaller = lazy(fn -> term(div(size, 3), dialect) end)

    collections = [
      {3, scalar(dialect)},
      {2, list(smaller)},
      {2, map(list(smaller), &List.to_tuple/1)},
      {2, map(list({key(dialect), smaller}), &Map.new/1)}
    ]

    frequency(
      if dialect == :elixir,
        do: [{1, map(list(key(dialect)), &MapSet.new/1)} | collections],
        else: collections
    )
  end

  defp key(dialect) do
    frequency([
      {6, scalar(dialect)},
      {2, map(list(scalar(dialect)), &List.to_tuple/1)},
      {1, map({scalar(dialect), map({scalar(dialect)}, & &1)}, & &1)}
    ])
  end

  defp scalar(dialect) do
    frequency([
      {3, integer()},
      {1, big()},
      {2, any_float()},
      {3, text()},
      {1, binary()},
      {2, one_of(ValuesModel.atoms())},
      {1, one_of([self(), make_ref(), &String.upcase/1, &Enum.map/2])},
      {1, if(dialect == :elixir, do: wrapped(), else: map(text(), &{:bytes, &1}))}
    ])
  end

  defp wrapped do
    frequency([
      {1, map(text(), &Py.bytes/1)},
      {1, map(one_of([:a, :ok, nil, true, :"日本 ö"]), &Py.atom/1)}
    ])
  end

  defp text do
    point =
      frequency([
        {6, integer(?a, ?e)},
        {1, integer(0, 127)},
        {1, integer(0x80, 0xD7FF)},
        {1, integer(0xE000, 0x10FFFF)}
      ])

    map(list(point), &List.to_string/1)
  end

  # Bytes make the digits: up to some 5,000 of them.
  defp big do
    bytes = frequency([{5, integer(7, 10)}, {3, integer(100, 300)}, {1, integer(1000, 2100)}])

    map({bytes, integer(0, 2 ** 64), one_of([1, -1]), one_of([-1, 0, 1])}, fn {bytes, seed, sign,
                                                                               off} ->
      high = rem(seed, 255) + 1
      sign * (high * 256 ** (bytes - 1) + seed * 31 ** bytes) + off
    end)
  end

  defp any_float do
    frequency([
      {2, float()},
      {1,
       one_of([
         0.0,
         -0.0,
         1.0,
         -1.0,
         5.0e-324,
         2.2250738585072014e-308,
         1.7976931348623157e308,
         2.0 ** 53,
         2.0 ** 64
       ])},
      {2, map(integer(0, 2 ** 64 - 1), &bits/1)}
    ])
  end

  # NaN and the infinities have no float here.
  defp bits(integer) do
    case <<integer::64>> do
      <<float::float-64>> -> float
      _nan -> 0.5
    end
  end
end
