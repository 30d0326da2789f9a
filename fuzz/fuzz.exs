# Generated values through the converter: script/fuzz runs it.

defmodule Fuzz do
  @moduledoc false

  alias Fuzz.Python
  alias Fuzz.Terms

  @batch 50

  @doc "Tries `count` values, made from `seed`; returns how many were refused, or the smallest input that fails."
  @spec run(pos_integer(), integer()) :: {:ok, non_neg_integer()} | {:error, String.t()}
  def run(count, seed) do
    modes = if Py.info().own_gil, do: [:worker, :owngil], else: [:worker]

    contexts =
      for mode <- modes do
        {:ok, context} = Py.Context.start_link(mode: mode)
        Py.exec!(context, "import dataclasses, datetime, decimal, enum")
        # What numpy has in common with lists, where it is not installed or cannot be loaded.
        Py.exec!(
          context,
          "try:\n    from numpy import array\nexcept ImportError:\n    array = list"
        )

        context
      end

    kinds =
      for context <- contexts, dialect <- [:elixir, :erlang], module <- [Terms, Python] do
        {module, context, dialect}
      end

    result = batches(kinds, Stream.cycle(kinds), count, seed)
    Enum.each(contexts, &Py.Context.stop/1)
    result
  end

  defp batches(_kinds, turns, count, seed) do
    turns
    |> Stream.take(ceil(count / @batch))
    |> Stream.with_index()
    |> Enum.reduce_while({:ok, 0}, fn {kind, index}, {:ok, refused} ->
      :rand.seed(:exsss, {seed, index, 0})

      case batch(kind) do
        {:ok, more} -> {:cont, {:ok, refused + more}}
        {:error, text} -> {:halt, {:error, "batch #{index}: #{text}"}}
      end
    end)
  end

  # At once what the tables have a value for, one by one what they refuse.
  defp batch({module, _context, dialect} = kind) do
    values = for _ <- 1..@batch, do: module.generate(dialect)
    expected = Enum.map(values, &{&1, module.expected(&1, dialect)})
    {good, refused} = Enum.split_with(expected, &match?({_value, {:ok, _}}, &1))
    {inputs, outputs} = Enum.unzip(good)
    same? = module.got(inputs, kind) == {:ok, Enum.map(outputs, &elem(&1, 1))}
    suspects = if same?, do: refused, else: expected

    case Enum.find(suspects, fn {value, _expected} -> fails?(kind, value) end) do
      nil when same? -> {:ok, length(refused)}
      nil -> {:error, "values that pass one by one fail in a list: #{inspect(inputs)}"}
      {value, _expected} -> {:error, describe(kind, reduce(kind, value))}
    end
  end

  defp fails?({module, _context, dialect} = kind, value) do
    case {module.expected(value, dialect), module.got([value], kind)} do
      {{:ok, expected}, got} -> got !== {:ok, [expected]}
      {:error, got} -> got != :error
    end
  end

  # The first smaller value that fails too, until none does.
  defp reduce({module, _context, _dialect} = kind, value) do
    case Enum.find(module.smaller(value), &fails?(kind, &1)) do
      nil -> value
      smaller -> reduce(kind, smaller)
    end
  end

  defp describe({module, context, dialect} = kind, value) do
    {:ok, %{mode: mode}} = Py.Context.info(context)

    """
    #{inspect(module)}, #{mode}, #{dialect} dialect
      input    #{inspect(value, limit: :infinity)}
      expected #{inspect(module.expected(value, dialect), limit: :infinity)}
      got      #{inspect(module.got([value], kind), limit: :infinity)}
    """
  end

  @doc "The answer to code: a value, or a refused conversion. Anything else ends the run."
  @spec eval(String.t(), keyword()) :: {:ok, term()} | :error
  def eval(code, options) do
    case Py.Test.Dialect.eval(code, options) do
      {:ok, value} -> {:ok, value}
      {:error, %Py.ConversionError{}} -> :error
      {:error, {:conversion_error, _text}} -> :error
      {:error, other} -> raise "neither a value nor a conversion error: #{inspect(other)}"
    end
  end
end

defmodule Fuzz.Random do
  @moduledoc false

  def pick(list), do: Enum.random(list)
  def many(most, fun), do: for(_ <- 1..:rand.uniform(most + 1)//1, do: fun.()) |> tl()

  def integer do
    case :rand.uniform(4) do
      1 -> :rand.uniform(20) - 10
      2 -> pick([1, -1]) * 2 ** pick([31, 32, 59, 60, 63, 64, 128]) + pick([-1, 0, 1])
      3 -> :rand.uniform(2 ** 62)
      4 -> pick([1, -1]) * :binary.decode_unsigned(:rand.bytes(:rand.uniform(300)))
    end
  end

  def float do
    case <<:rand.uniform(2 ** 64) - 1::64>> do
      <<float::float-64>> -> pick([float, 0.0, -0.0, 1.0, 5.0e-324, 2.0 ** 53, 0.1])
      _nan -> 0.5
    end
  end

  # Python counts microseconds, and does not say how many digits are significant.
  def datetime do
    moment = DateTime.from_unix!(:rand.uniform(315_537_897_600) - 62_135_596_801)
    micro = pick([0, :rand.uniform(999_999)])
    %{moment | microsecond: if(micro == 0, do: {0, 0}, else: {micro, 6})}
  end

  def range do
    pick([1, 3, -2]) |> then(&Range.new(:rand.uniform(20) - 10, :rand.uniform(20) - 10, &1))
  end

  def duration do
    {seconds, micro} = {:rand.uniform(2 * 86_400 * 1_000) - 86_400_000, :rand.uniform(999_999)}
    days = Integer.floor_div(seconds, 86_400)
    # As `timedelta` has it, but for the sign of its parts.
    if days < 0,
      do: Duration.new!(day: days + 1),
      else:
        Duration.new!(day: days, second: Integer.mod(seconds, 86_400), microsecond: {micro, 6})
  end

  def text, do: many(8, &point/0) |> List.to_string()

  defp point do
    case :rand.uniform(4) do
      1 -> :rand.uniform(128) - 1
      2 -> 0x7F + :rand.uniform(0xD7FF - 0x7F)
      3 -> 0xDFFF + :rand.uniform(0x10FFFF - 0xDFFF)
      4 -> pick(~c"aé'\"\\\n")
    end
  end
end

defmodule Fuzz.Terms do
  @moduledoc false
  # Terms into Python and back.

  import Fuzz.Random

  alias Py.ValuesModel

  def generate(dialect), do: term(dialect, 3)
  def expected(term, dialect), do: ValuesModel.round_trip(term, dialect)

  def got(terms, {_module, context, dialect}),
    do: Fuzz.eval("x", context: context, locals: %{x: terms}, dialect: dialect)

  def smaller(list) when is_list(list),
    do: list ++ for(i <- indexes(list), do: List.delete_at(list, i)) ++ inside(list)

  def smaller(tuple) when is_tuple(tuple) do
    list = Tuple.to_list(tuple)
    list ++ for(smaller <- smaller(list) -- list, is_list(smaller), do: List.to_tuple(smaller))
  end

  def smaller(%MapSet{} = set),
    do: Enum.to_list(set) ++ for(item <- set, do: MapSet.delete(set, item))

  def smaller(%_{}), do: []

  def smaller(map) when is_map(map) do
    Map.keys(map) ++
      Map.values(map) ++
      for({key, _} <- map, do: Map.delete(map, key)) ++
      for {key, value} <- map, smaller <- smaller(value), do: Map.put(map, key, smaller)
  end

  def smaller(binary) when is_binary(binary) and binary != "" do
    half = div(byte_size(binary), 2)
    <<first::binary-size(^half), rest::binary>> = binary
    Enum.uniq([first, rest]) -- [binary]
  end

  def smaller(integer) when is_integer(integer) and integer != 0, do: [0, div(integer, 2)]
  def smaller(_scalar), do: []

  defp indexes(list), do: Enum.take(0..length(list), length(list))

  defp inside(list) do
    for i <- indexes(list), smaller <- smaller(Enum.at(list, i)) do
      List.replace_at(list, i, smaller)
    end
  end

  defp term(dialect, 0), do: scalar(dialect)

  defp term(dialect, depth) do
    inner = fn -> term(dialect, depth - :rand.uniform(depth)) end

    case :rand.uniform(8) do
      1 -> many(5, inner)
      2 -> many(5, inner) |> List.to_tuple()
      3 -> many(5, fn -> {key(dialect), inner.()} end) |> Map.new()
      4 when dialect == :elixir -> many(5, fn -> key(dialect) end) |> MapSet.new()
      _scalar -> scalar(dialect)
    end
  end

  defp key(dialect) do
    case :rand.uniform(6) do
      1 -> many(3, fn -> scalar(dialect) end) |> List.to_tuple()
      2 -> pick(ValuesModel.similar())
      _scalar -> scalar(dialect)
    end
  end

  defp scalar(dialect) do
    case :rand.uniform(8) do
      n when n <= 2 ->
        integer()

      3 ->
        float()

      n when n <= 5 ->
        text()

      6 ->
        :rand.bytes(:rand.uniform(12) - 1)

      7 ->
        pick(ValuesModel.atoms())

      8 when dialect == :elixir ->
        pick([
          fn -> Py.bytes(text()) end,
          fn -> pick([Py.atom(:ok), Py.atom(:"日本 ö"), self()]) end,
          &datetime/0,
          fn -> DateTime.to_naive(datetime()) end,
          fn -> DateTime.to_date(datetime()) end,
          fn -> DateTime.to_time(datetime()) end,
          &duration/0,
          &range/0
        ]).()

      8 ->
        pick([{:bytes, text()}, self(), &String.upcase/1])
    end
  end
end

defmodule Fuzz.Python do
  @moduledoc false
  # Values that Python makes: trees of `{kind, content}`, which have a source and a term.

  import Fuzz.Random

  @floats %{nan: "float('nan')", infinity: "float('inf')", neg_infinity: "-float('inf')"}

  def generate(dialect), do: tree(dialect, 3)

  def expected(tree, dialect), do: {:ok, term(tree, dialect)}

  def got(trees, {_module, context, dialect}),
    do: Fuzz.eval(source({:list, trees}), context: context, dialect: dialect)

  def smaller({kind, items}) when kind in [:list, :tuple],
    do:
      items ++
        for(i <- 0..(length(items) - 1)//1, do: {kind, List.delete_at(items, i)}) ++
        for(
          {item, i} <- Enum.with_index(items),
          smaller <- smaller(item),
          do: {kind, List.replace_at(items, i, smaller)}
        )

  def smaller({:dict, entries}),
    do: Enum.map(entries, &elem(&1, 1)) ++ for(entry <- entries, do: {:dict, entries -- [entry]})

  def smaller({:int, n}) when n != 0, do: [{:int, 0}, {:int, div(n, 2)}]

  def smaller({:str, text}) when text != "",
    do: [{:str, ""}, {:str, String.slice(text, 1..-1//1)}]

  def smaller({kind, <<_first, rest::binary>>}) when kind in [:bytes, :bytearray, :memoryview],
    do: [{kind, ""}, {kind, rest}]

  def smaller(_scalar), do: []

  defp tree(dialect, 0), do: scalar(dialect)

  defp tree(dialect, depth) do
    inner = fn -> tree(dialect, depth - :rand.uniform(depth)) end

    case :rand.uniform(8) do
      7 when dialect == :elixir -> {:dataclass, inner.()}
      1 -> {:list, many(5, inner)}
      2 -> {:tuple, many(5, inner)}
      3 -> {:dict, many(5, fn -> {text(), inner.()} end) |> Enum.uniq_by(&elem(&1, 0))}
      4 -> {pick([:set, :frozenset]), many(5, &integer/0) |> Enum.uniq()}
      _scalar -> scalar(dialect)
    end
  end

  defp scalar(dialect) do
    case :rand.uniform(12) do
      7 -> {:special, pick(Map.keys(@floats))}
      8 when dialect == :elixir -> {:complex, {float(), pick([float(), :nan, :infinity])}}
      9 -> {pick([:date, :time, :naive]), datetime()}
      10 -> {:decimal, {pick([1, -1]), :rand.uniform(2 ** 40), pick([0, -1, -2])}}
      11 -> {:enum, integer()}
      12 -> {pick([:numpy, :range]), many(5, fn -> :rand.uniform(2 ** 50) end)}
      n when n in [1, 8] -> {:int, integer()}
      2 -> {:float, float()}
      3 -> {:str, text()}
      4 -> {pick([:bytes, :bytearray, :memoryview]), :rand.bytes(:rand.uniform(12) - 1)}
      5 -> {:bool, pick([true, false])}
      6 -> {:none, nil}
    end
  end

  defp source({:none, _}), do: "None"
  defp source({:bool, bool}), do: if(bool, do: "True", else: "False")
  defp source({:int, n}), do: if(n < 0, do: "-0x#{hex(-n)}", else: "0x#{hex(n)}")
  # Its bits: no two readings of a decimal fraction meet here.
  defp source({:float, float}) do
    "__import__('struct').unpack('>d', bytes.fromhex('#{Base.encode16(<<float::float>>)}'))[0]"
  end

  defp source({:special, name}), do: Map.fetch!(@floats, name)
  defp source({:complex, {re, im}}), do: "complex(#{source(number(re))}, #{source(number(im))})"

  defp source({kind, at}) when kind in [:date, :time, :naive] do
    method = %{date: ".date()", time: ".time()", naive: ""}[kind]

    "datetime.datetime.fromisoformat('#{at |> DateTime.to_naive() |> NaiveDateTime.to_iso8601()}')#{method}"
  end

  defp source({:decimal, parts}), do: "decimal.Decimal('#{decimal_text(parts)}')"
  defp source({:enum, n}), do: "enum.Enum('Kind', {'ONE': #{source({:int, n})}}).ONE"
  defp source({:numpy, items}), do: "array(#{source({:list, Enum.map(items, &{:int, &1})})})"
  defp source({:range, items}), do: "range(#{length(items)})"

  defp source({:dataclass, item}),
    do: "dataclasses.make_dataclass('Point', ['x'])(#{source(item)})"

  defp source({:str, text}), do: "bytes.fromhex('#{Base.encode16(text)}').decode()"
  defp source({:bytes, data}), do: "bytes.fromhex('#{Base.encode16(data)}')"
  defp source({kind, data}) when is_binary(data), do: "#{kind}(#{source({:bytes, data})})"
  defp source({:list, items}), do: "[#{Enum.map_join(items, ", ", &source/1)}]"
  defp source({:tuple, items}), do: "(#{Enum.map_join(items, "", &(source(&1) <> ","))})"

  defp source({:dict, entries}) do
    "{#{Enum.map_join(entries, ", ", fn {key, value} -> "#{source({:str, key})}: #{source(value)}" end)}}"
  end

  defp source({kind, items}), do: "#{kind}(#{source({:list, Enum.map(items, &{:int, &1})})})"

  defp number(float) when is_float(float), do: {:float, float}
  defp number(name), do: {:special, name}

  defp decimal_text({sign, coefficient, exponent}) do
    digits = coefficient |> Integer.to_string() |> String.pad_leading(1 - exponent, "0")
    {whole, fraction} = String.split_at(digits, String.length(digits) + exponent)

    Enum.join([
      if(sign < 0, do: "-", else: ""),
      whole,
      if(fraction == "", do: "", else: "."),
      fraction
    ])
  end

  defp hex(n), do: Integer.to_string(n, 16)

  defp term({:none, _}, :elixir), do: nil
  defp term({:none, _}, :erlang), do: :none
  defp term({:list, items}, dialect), do: Enum.map(items, &term(&1, dialect))

  defp term({:tuple, items}, dialect),
    do: items |> Enum.map(&term(&1, dialect)) |> List.to_tuple()

  defp term({:dict, entries}, dialect),
    do: Map.new(entries, fn {k, v} -> {k, term(v, dialect)} end)

  defp term({:complex, parts}, :elixir), do: parts
  defp term({:naive, at}, :elixir), do: DateTime.to_naive(at)
  defp term({:date, at}, :elixir), do: DateTime.to_date(at)
  defp term({:time, at}, :elixir), do: DateTime.to_time(at)
  defp term({:naive, at}, :erlang), do: at |> DateTime.to_naive() |> NaiveDateTime.to_string()
  defp term({:date, at}, :erlang), do: at |> DateTime.to_date() |> Date.to_string()
  defp term({:time, at}, :erlang), do: at |> DateTime.to_time() |> Time.to_string()

  defp term({:decimal, {sign, coefficient, exponent} = parts}, :elixir) do
    if Code.ensure_loaded?(Decimal),
      do: struct!(Decimal, sign: sign, coef: coefficient, exp: exponent),
      else: decimal_text(parts)
  end

  defp term({:decimal, parts}, :erlang), do: decimal_text(parts)
  defp term({:enum, n}, :elixir), do: n
  defp term({:enum, _n}, :erlang), do: "Kind.ONE"
  defp term({:range, items}, :elixir), do: 0..(length(items) - 1)//1
  defp term({:range, items}, :erlang), do: "range(0, #{length(items)})"
  defp term({:dataclass, item}, :elixir), do: %{"x" => term(item, :elixir)}
  defp term({kind, items}, :elixir) when kind in [:set, :frozenset], do: MapSet.new(items)
  # As the module sets of Erlang makes them.
  defp term({kind, items}, :erlang) when kind in [:set, :frozenset],
    do: :sets.from_list(items, version: 2)

  defp term({_kind, value}, _dialect), do: value
end
