defmodule Py.Encoder.Prepare do
  @moduledoc false
  # Replaces structs that only `Py.Encoder` knows by what it makes of them.
  #
  # It walks a whole value, so it runs only when an argument of a call is such a struct, when the
  # native converter has met one further in, and for work that nobody waits for. Calls without
  # structs do not pay for it.

  @native [
    MapSet,
    Range,
    Date,
    Time,
    NaiveDateTime,
    DateTime,
    Duration,
    Decimal,
    Py.Object,
    Py.Atom,
    Py.Bytes,
    Py.Float
  ]

  # That of the native converter, which reports values that are nested deeper.
  @max_depth 512

  @doc """
  Encodes the arguments or local names of an operation.

  The error has the path to the value that could not be encoded, such as `"args[0].user"`.
  """
  @spec operation(tuple()) :: {:ok, tuple()} | {:error, Py.ConversionError.t()}
  def operation({:call, target, function, args, kwargs}) do
    with {:ok, args} <- walk(args, "args"), {:ok, kwargs} <- walk(kwargs, "kwargs") do
      {:ok, {:call, target, function, args, kwargs}}
    end
  end

  def operation({kind, source, locals}) do
    with {:ok, locals} <- walk(locals, "locals"), do: {:ok, {kind, source, locals}}
  end

  def operation(other), do: {:ok, other}

  @doc "The same, if an argument of a call is itself such a struct."
  @spec arguments(tuple()) :: {:ok, tuple()} | {:error, Py.ConversionError.t()}
  def arguments({:call, _target, _function, args, _kwargs} = operation) do
    if struct_among?(args), do: operation(operation), else: {:ok, operation}
  end

  def arguments(operation), do: {:ok, operation}

  defp struct_among?([%module{} | _args]) when module not in @native, do: true
  defp struct_among?([_arg | args]), do: struct_among?(args)
  defp struct_among?(_no_more), do: false

  @doc "Encodes the value that a callback returns. The path of an error begins at the value."
  @spec value(term()) :: {:ok, term()} | {:error, Py.ConversionError.t()}
  def value(term), do: walk(term, "")

  defp walk(term, root) do
    {:ok, encode(term, [], 0)}
  catch
    {:unencodable, error, path} ->
      {:error, %{error | path: root <> Enum.join(Enum.reverse(path))}}
  end

  defp encode(list, path, depth) when is_list(list) and depth <= @max_depth,
    do: encode_list(list, path, depth, 0)

  defp encode(%module{} = struct, path, depth) when depth <= @max_depth do
    cond do
      module == MapSet -> encode_set(struct, ["{…}" | path], depth)
      module in @native -> struct
      true -> encode(implementation(struct, path), path, depth + 1)
    end
  end

  defp encode(map, path, depth) when is_map(map) and depth <= @max_depth do
    Enum.reduce(map, %{}, fn {key, value}, encoded ->
      path = [step(key) | path]
      key = encode(key, path, depth + 1)
      if is_map_key(encoded, key), do: throw({:unencodable, collision(), path})
      Map.put(encoded, key, encode(value, path, depth + 1))
    end)
  end

  defp encode(tuple, path, depth) when is_tuple(tuple) and depth <= @max_depth do
    tuple |> Tuple.to_list() |> encode(path, depth) |> List.to_tuple()
  end

  # Anything else, and what is nested too deeply: the native converter decides.
  defp encode(other, _path, _depth), do: other

  defp encode_set(set, path, depth) do
    encoded = MapSet.new(set, &encode(&1, path, depth + 1))

    if MapSet.size(encoded) != MapSet.size(set),
      do: throw({:unencodable, collision(), path})

    encoded
  end

  defp collision, do: %Py.ConversionError{reason: "two keys are the same once encoded"}

  defp encode_list([head | tail], path, depth, index) do
    [encode(head, ["[#{index}]" | path], depth + 1) | encode_list(tail, path, depth, index + 1)]
  end

  defp encode_list(rest, _path, _depth, _index), do: rest

  defp implementation(struct, path) do
    case Py.Encoder.encode(struct) do
      ^struct -> throw({:unencodable, unchanged(struct), path})
      encoded -> encoded
    end
  rescue
    error in Py.ConversionError -> throw({:unencodable, error, path})
  end

  defp unchanged(%module{}) do
    %Py.ConversionError{
      reason: "Py.Encoder.encode/1 of #{inspect(module)} returned the struct itself"
    }
  end

  defp step(key) when is_atom(key) and not is_nil(key), do: step(key, Atom.to_string(key))
  defp step(key) when is_binary(key), do: step(key, key)

  defp step(key), do: bracketed(inspect(key, limit: 10))

  defp step(key, text),
    do: if(text =~ ~r/\A\w+\z/u, do: ".#{text}", else: bracketed(inspect(key)))

  # Long keys are cut, as the native converter does.
  defp bracketed(text), do: "[#{Py.Text.cut(text, 64)}]"
end
