defprotocol Py.Encoder do
  @moduledoc """
  Converts your structs on their way into Python.

  A struct of these needs no implementation: `MapSet`, `Range`, `Date`, `Time`, `NaiveDateTime`,
  `DateTime`, `Duration`, `Decimal`, `Py.Object`, `Py.Atom`, `Py.Bytes` and `Py.Float`. Any other
  struct does. Without one the call returns `Py.ConversionError`, which names the struct and the
  path to it. Nothing is sent silently: a struct may have fields, such as a password, that must
  not reach other code.

  ## Deriving

  Deriving sends a map of fields. Python receives a `dict` with `str` keys:

      defmodule User do
        @derive {Py.Encoder, only: [:name, :age]}
        defstruct [:name, :age, :password]
      end

      Py.call!(:builtins, :dict, [%User{name: "Ann", age: 31, password: "…"}])
      #=> %{"name" => "Ann", "age" => 31}

  ### Options

    * `:only` - the fields to send
    * `:except` - the fields not to send

  Without either, all fields are sent. Both together, and a name that is not a field, raise
  `ArgumentError` when the module is compiled.

  ## Implementing

  `encode/1` returns the term that is sent in place of the struct:

      defimpl Py.Encoder, for: Money do
        def encode(money), do: Decimal.new(money.amount)
      end

  ## The way back

  The protocol works in one direction. Python returns a `dict`, and Elixir receives a map: make
  the struct of it with `struct/2`.

  The Erlang API converts structs as maps, without this protocol.
  """
  @moduledoc since: "0.1.0"

  @fallback_to_any true

  @doc """
  Returns the term that Python receives in place of `struct`.

  It may be any value of the table in `Py`, and may contain structs, which are encoded in turn. It
  runs in the process that makes the call, before the Python code starts. For a value that a
  callback returns, it runs in the process of the callback.

  ## Errors

  A result that is `struct` itself is a `Py.ConversionError`. `encode/1` may raise
  `Py.ConversionError` with a `:reason` to refuse a value: the call returns it with the `:path` to
  the value. Any other exception is raised in the process that makes the call.

  ## Examples

      iex> Py.Encoder.encode(URI.parse("/path"))
      ** (Py.ConversionError) cannot convert the value: URI has no Python counterpart; derive or implement Py.Encoder for it, or send a plain map
  """
  @doc since: "0.1.0"
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
