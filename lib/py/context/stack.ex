defmodule Py.Context.Stack do
  @moduledoc false
  # Which Python code a context runs, for `Py.Context.stack/1` and whoever shows it.

  alias Py.Native

  @doc "The frames, outermost first."
  @spec read(Native.context()) :: {:ok, [Py.Context.frame()]} | :stopped | :unsupported
  def read(native) do
    with frames when is_list(frames) <- Native.context_stack(native) do
      {:ok,
       for({file, line, function} <- frames, do: %{file: file, line: line, function: function})}
    end
  end

  @doc "The frames, as part of something that is shown without them as well."
  @spec read_or_none(Native.context()) :: [Py.Context.frame()]
  def read_or_none(native) do
    case read(native) do
      {:ok, frames} -> frames
      _unknown -> []
    end
  end

  @doc "A frame as a line of text."
  @spec format(Py.Context.frame()) :: String.t()
  def format(frame), do: "#{frame.file}:#{frame.line || "?"}: #{frame.function}"
end
