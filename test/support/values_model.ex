defmodule Py.ValuesModel do
  @moduledoc """
  What the documentation says comes back when a term crosses into Python and returns: `{:ok, term}`, or `:error` where
  the conversion is refused. Knows nothing of the implementation.
  """

  @doc "Atoms of every kind that the tables of the guide name, and some that have no meaning of their own."
  def atoms do
    [nil, true, false, :none, :undefined, :nan, :infinity, :neg_infinity] ++
      [:a, :ok, :"日本 ö", :"", Enum]
  end

  @doc "Terms some of which Python takes for the same: as keys of a map they may be refused."
  def similar,
    do: [0, 0.0, -0.0, false, 1, 1.0, true, "1", :"1", "a", :a, nil, :none, {1}, {true}]

  @doc "The result of a round trip in a dialect."
  def round_trip(term, dialect) do
    {:ok, back(python(term, dialect), dialect)}
  catch
    :refused -> :error
  end

  ## What Python holds

  defp python(atom, :erlang) when atom in [:none, :undefined, nil], do: :none
  defp python(nil, :elixir), do: :none
  defp python(bool, _dialect) when is_boolean(bool), do: {:bool, bool}
  defp python(%Py.Atom{name: atom}, :elixir), do: {:atom, Atom.to_string(atom)}
  defp python(%Py.Bytes{data: data}, :elixir), do: {:bytes, data}
  defp python({:bytes, data}, :erlang) when is_binary(data), do: {:bytes, data}
  defp python(atom, _dialect) when atom in [:nan, :infinity, :neg_infinity], do: {:number, atom}
  defp python(atom, _dialect) when is_atom(atom), do: {:str, Atom.to_string(atom)}
  defp python(number, _dialect) when is_number(number), do: {:number, number}

  defp python(binary, _dialect) when is_binary(binary),
    do: if(String.valid?(binary), do: {:str, binary}, else: {:bytes, binary})

  defp python(list, dialect) when is_list(list), do: {:list, Enum.map(list, &python(&1, dialect))}

  defp python(%MapSet{} = set, :elixir) do
    items = Enum.map(set, &python(&1, :elixir))
    hashed(items)
    {:set, items}
  end

  # Those of the standard library that have a counterpart.
  defp python(%module{} = struct, :elixir)
       when module in [Date, Time, NaiveDateTime, DateTime, Duration, Range, Decimal],
       do: {:opaque, struct}

  defp python(map, dialect) when is_map(map) do
    items = for {key, value} <- map, do: {key(key, dialect), python(value, dialect)}
    items |> Enum.map(&elem(&1, 0)) |> hashed()
    {:dict, items}
  end

  defp python(tuple, dialect) when is_tuple(tuple),
    do: {:tuple, tuple |> Tuple.to_list() |> Enum.map(&python(&1, dialect))}

  defp python(term, _dialect), do: {:opaque, term}

  # There they are names.
  defp key(atom, _dialect) when atom in [:nan, :infinity, :neg_infinity],
    do: {:str, Atom.to_string(atom)}

  defp key(key, dialect), do: python(key, dialect)

  # Keys must be hashable, and differ as Python compares: 1 == 1.0 == True, Atom("a") == "a".
  defp hashed(keys) do
    if length(Enum.uniq_by(keys, &comparable/1)) != length(keys), do: throw(:refused)
  end

  defp comparable({:bool, bool}), do: {:number, if(bool, do: 1, else: 0)}

  defp comparable({:number, float}) when is_float(float) and trunc(float) == float,
    do: {:number, trunc(float)}

  # Ranges are equal when they have the same items.
  defp comparable({:opaque, %Range{} = range}), do: {:range, Enum.to_list(range)}
  defp comparable({:atom, text}), do: {:str, text}
  defp comparable({:tuple, items}), do: {:tuple, Enum.map(items, &comparable/1)}
  defp comparable({kind, _items}) when kind in [:list, :set, :dict], do: throw(:refused)
  defp comparable(other), do: other

  ## What returns

  defp back(:none, :elixir), do: nil
  defp back(:none, :erlang), do: :none
  defp back({:atom, text}, _dialect), do: String.to_existing_atom(text)
  defp back({:list, items}, dialect), do: Enum.map(items, &back(&1, dialect))

  defp back({:tuple, items}, dialect),
    do: items |> Enum.map(&back(&1, dialect)) |> List.to_tuple()

  defp back({:set, items}, dialect),
    do: items |> Enum.map(&back(&1, dialect)) |> distinct() |> MapSet.new()

  defp back({:dict, items}, dialect) do
    items = for {key, value} <- items, do: {back(key, dialect), back(value, dialect)}
    items |> Enum.map(&elem(&1, 0)) |> distinct()
    Map.new(items)
  end

  defp back({_kind, value}, _dialect), do: value

  # Text and bytes of the same content differ in Python only.
  defp distinct(keys) do
    if Enum.uniq(keys) != keys, do: throw(:refused)
    keys
  end
end
