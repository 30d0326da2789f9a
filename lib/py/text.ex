defmodule Py.Text do
  @moduledoc false
  # Cuts texts of unknown length, such as messages of exceptions, to a length that can be shown.

  @ellipsis "…"

  # The bytes that `head/2` keeps for each character. Longer graphemes make the head shorter than
  # `max` characters.
  @character_bytes 16

  @doc """
  Returns at most `max` characters of a text, followed by an ellipsis if there are more.

  `more?` is `true` when `text` is itself only the beginning of a text, as `head/2` returns it.

      iex> {Py.Text.cut("abc", 3), Py.Text.cut("abcd", 3)}
      {"abc", "abc…"}
  """
  @spec cut(String.t(), pos_integer(), boolean()) :: String.t()
  def cut(text, max, more? \\ false) do
    case String.split_at(text, max) do
      {text, ""} when not more? -> text
      {text, _rest} -> text <> @ellipsis
    end
  end

  @doc """
  Returns the beginning of a binary, long enough for `max` characters, and whether there is more
  of it.

  It counts bytes, because counting the characters of a long text takes long. The last character
  may be incomplete.
  """
  @spec head(binary(), pos_integer()) :: {binary(), boolean()}
  def head(binary, max) do
    size = byte_size(binary)
    head = min(size, max * @character_bytes)
    {binary_part(binary, 0, head), head < size}
  end
end
