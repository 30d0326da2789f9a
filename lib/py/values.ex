defmodule Py.Atom do
  @moduledoc """
  An atom that Python receives as `erlang.Atom`. Made by `Py.atom/1`.

  Other atoms become plain `str` and come back as strings. An `erlang.Atom` is a `str` as well,
  and comes back as the atom.

  ## Examples

      iex> Py.atom(:ok)
      %Py.Atom{name: :ok}
      iex> Py.call!(:builtins, :dict, [[{"status", Py.atom(:ok)}]])
      %{"status" => :ok}
  """
  @moduledoc since: "0.1.0"

  @enforce_keys [:name]
  defstruct [:name]

  @typedoc "The wrapped atom."
  @type t :: %__MODULE__{name: atom()}
end

defmodule Py.Bytes do
  @moduledoc """
  A binary that Python receives as `bytes`, even if it is UTF-8 text. Made by `Py.bytes/1`.

  Without it, a binary that is valid UTF-8 becomes `str`, and any other becomes `bytes`. Wrap
  binaries that are data, so that their type does not depend on their content.

  ## Examples

      iex> Py.bytes("abc")
      %Py.Bytes{data: "abc"}
      iex> Py.call!(:zlib, :crc32, [Py.bytes("abc")])
      891568578
  """
  @moduledoc since: "0.1.0"

  @enforce_keys [:data]
  defstruct [:data]

  @typedoc "The wrapped binary."
  @type t :: %__MODULE__{data: binary()}
end

defmodule Py.Float do
  @moduledoc """
  A number that Python receives as `float`. Made by `Py.float/1`.

  An integer becomes `int` without it. `:nan`, `:infinity` and `:neg_infinity` are `float` without
  it as well, except as keys of maps.

  ## Examples

      iex> Py.float(2)
      %Py.Float{value: 2}
      iex> Py.call!(:builtins, :repr, [[2, Py.float(2)]])
      "[2, 2.0]"
  """
  @moduledoc since: "0.1.0"

  @enforce_keys [:value]
  defstruct [:value]

  @typedoc "The wrapped number. The atoms are the floats that Elixir lacks."
  @type t :: %__MODULE__{value: number() | :nan | :infinity | :neg_infinity}
end
