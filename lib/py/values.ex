defmodule Py.Atom do
  @moduledoc "An atom that Python sees as `erlang.Atom` and gives back as an atom. See `Py.atom/1`."
  @enforce_keys [:name]
  defstruct [:name]
  @type t :: %__MODULE__{name: atom()}
end

defmodule Py.Bytes do
  @moduledoc "A binary that becomes `bytes` even where it is UTF-8 text. See `Py.bytes/1`."
  @enforce_keys [:data]
  defstruct [:data]
  @type t :: %__MODULE__{data: binary()}
end

defmodule Py.Float do
  @moduledoc "A number that shall be a `float`. See `Py.float/1`."
  @enforce_keys [:value]
  defstruct [:value]
  @type t :: %__MODULE__{value: number() | :nan | :infinity | :neg_infinity}
end
