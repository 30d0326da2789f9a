# Structs that the tests of Py.Encoder send.

defmodule Py.Test.All do
  @derive Py.Encoder
  defstruct name: "n", age: 1, password: "p"
end

defmodule Py.Test.Only do
  @derive {Py.Encoder, only: [:name, :age]}
  defstruct name: "n", age: 1, password: "p"
end

defmodule Py.Test.Except do
  @derive {Py.Encoder, except: [:password]}
  defstruct name: "n", age: 1, password: "p"
end

defmodule Py.Test.Plain do
  defstruct [:name]
end

defmodule Py.Test.Celsius do
  defstruct [:degrees]
end

defmodule Py.Test.Wrapped do
  defstruct [:value]
end

defmodule Py.Test.Itself do
  defstruct []
end

defimpl Py.Encoder, for: Py.Test.Celsius do
  def encode(celsius), do: celsius.degrees * 1.0
end

defimpl Py.Encoder, for: Py.Test.Wrapped do
  def encode(wrapped), do: wrapped.value
end

defimpl Py.Encoder, for: Py.Test.Itself do
  def encode(struct), do: struct
end

defmodule Py.Test.OtherCalendar do
  @moduledoc false
  # Only its name matters: dates of it are refused before any of its functions would be called.
end
