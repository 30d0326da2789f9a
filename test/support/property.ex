defmodule Py.Property do
  @moduledoc """
  Properties by PropEr: `check(type, fn value -> {expected, got} end)` fails with the smallest value found for which the
  two differ.
  """

  import ExUnit.Assertions

  @doc "Checks `fun` for generated values. The option `:numtests` is 100 by default."
  def check(type, fun, options \\ []) do
    property = :proper.forall(type, fn value -> same?(fun.(value)) end)
    numtests = Keyword.get(options, :numtests, 100)

    case :proper.quickcheck(property, [
           :quiet,
           :long_result,
           {:numtests, numtests},
           {:max_size, 24}
         ]) do
      true ->
        :ok

      [value | _] ->
        {expected, got} = fun.(value)

        flunk("""
        The property fails for
            #{inspect(value, limit: :infinity)}
        expected
            #{inspect(expected, limit: :infinity)}
        got
            #{inspect(got, limit: :infinity)}
        """)

      other ->
        flunk("PropEr could not check the property: #{inspect(other)}")
    end
  end

  defp same?({expected, got}), do: expected === got

  @doc "Values of `type`, each changed by `fun`."
  def map(type, fun), do: bind(type, fn value -> :proper_types.exactly(fun.(value)) end)

  @doc "Values of the type that `fun` makes of a value of `type`."
  def bind(type, fun), do: :proper_types.bind(type, fun, false)

  @doc "One of the types, chosen by weight."
  def frequency(choices), do: :proper_types.frequency(choices)

  @doc "One of these values."
  def one_of(values), do: :proper_types.union(Enum.map(values, &:proper_types.exactly/1))

  def list(type), do: :proper_types.list(type)
  def integer, do: :proper_types.integer()
  def integer(low, high), do: :proper_types.integer(low, high)
  def float, do: :proper_types.float(:inf, :inf)
  def binary, do: :proper_types.binary()

  @doc "The type that `fun` makes for a size."
  def sized(fun), do: :proper_types.sized(fun)

  @doc "A type made only when it is needed: for recursive types."
  def lazy(fun), do: :proper_types.lazy(fun)
end
