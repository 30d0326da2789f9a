defmodule Py.Context.Stack do
  @moduledoc false
  # Reads the Python frames that a context runs, for `Py.Context.stack/1` and for what shows them:
  # log lines, events, the dashboard.

  alias Py.Native

  @doc """
  Reads the frames, outermost first. `[]` while the context is idle.

  `:unsupported` where the structures of this version of CPython are not known.
  """
  @spec read(Native.context()) :: {:ok, [Py.Context.frame()]} | :stopped | :unsupported
  def read(native) do
    with frames when is_list(frames) <- Native.context_stack(native) do
      {:ok,
       for({file, line, function} <- frames, do: %{file: file, line: line, function: function})}
    end
  end

  @doc "Reads the frames, or returns `[]` where that is not possible."
  @spec read_or_none(Native.context()) :: [Py.Context.frame()]
  def read_or_none(native) do
    case read(native) do
      {:ok, frames} -> frames
      _unknown -> []
    end
  end

  @doc "Returns a frame as a line of text, such as `app.py:12: Model.fit`."
  @spec format(Py.Context.frame()) :: String.t()
  def format(frame), do: "#{frame.file}:#{frame.line || "?"}: #{frame.function}"
end
