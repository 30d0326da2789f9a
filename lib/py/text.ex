defmodule Py.Text do
  @moduledoc false
  # Texts of unknown length, cut to one that can be shown.

  @ellipsis "…"

  # A character of more bytes is none that anybody reads.
  @character_bytes 16

  @doc """
  At most `max` characters of a text, with an ellipsis behind them if there are more. `more?` says that `text` is itself only the
  beginning.
  """
  @spec cut(String.t(), pos_integer(), boolean()) :: String.t()
  def cut(text, max, more? \\ false) do
    case String.split_at(text, max) do
      {text, ""} when not more? -> text
      {text, _rest} -> text <> @ellipsis
    end
  end

  @doc """
  The beginning of a binary that has `max` characters, and whether there is more of it. To count the characters of a long text
  takes long: this counts bytes. The last character may be incomplete.
  """
  @spec head(binary(), pos_integer()) :: {binary(), boolean()}
  def head(binary, max) do
    size = byte_size(binary)
    head = min(size, max * @character_bytes)
    {binary_part(binary, 0, head), head < size}
  end
end
