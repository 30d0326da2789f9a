defprotocol Py.Encoder do
  @moduledoc """
  How a struct crosses into Python.

  Dates, times, `MapSet`, `Range`, `Decimal`, `Py.Object` and the wrappers of `Py` need no implementation. For your own
  structs, derive it to send a map of some or all fields, with string keys:

      defmodule User do
        @derive {Py.Encoder, only: [:name, :age]}
        defstruct [:name, :age, :password]
      end

  or implement it:

      defimpl Py.Encoder, for: Money do
        def encode(money), do: Decimal.new(money.amount)
      end

  A struct without an implementation is a `Py.ConversionError` that names it: silently sending all fields would leak
  passwords.
  """

  @fallback_to_any true

  @doc "Returns a term that can cross: basic values, collections, or structs that can cross themselves."
  @spec encode(t()) :: term()
  def encode(struct)
end

defimpl Py.Encoder, for: Any do
  defmacro __deriving__(module, struct, options) do
    fields = struct |> Map.from_struct() |> Map.keys()

    selected =
      case {options[:only], options[:except]} do
        {nil, nil} -> fields
        {only, nil} when is_list(only) -> only
        {nil, except} when is_list(except) -> fields -- except
        _both -> raise ArgumentError, "@derive {Py.Encoder, …} takes either :only or :except"
      end

    case selected -- fields do
      [] ->
        :ok

      unknown ->
        raise ArgumentError,
              "#{inspect(module)} has no field #{inspect(unknown)} to derive Py.Encoder for"
    end

    quote do
      defimpl Py.Encoder, for: unquote(module) do
        def encode(struct), do: Map.take(struct, unquote(selected))
      end
    end
  end

  def encode(%module{}) do
    raise Py.ConversionError,
      reason:
        "#{inspect(module)} has no Python counterpart; derive or implement Py.Encoder for it, or send a plain map"
  end
end
