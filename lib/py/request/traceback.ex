defmodule Py.Request.Traceback do
  @moduledoc false
  # The traceback of the latest failure of a process in the Erlang dialect, whose errors are class and text. It is in the
  # process dictionary, where the process has asked for it.

  # `{:last, text | nil}`, or absent.
  @key {__MODULE__, :last}

  @doc "Keeps tracebacks from now on, or no longer."
  @spec keep(boolean()) :: :ok
  def keep(keep) do
    if keep, do: Process.put(@key, {:last, nil}), else: Process.delete(@key)
    :ok
  end

  @doc "Returns `true` if the calling process keeps tracebacks."
  @spec kept?() :: boolean()
  def kept?, do: Process.get(@key) != nil

  @doc "The traceback of the last failure of the calling process; `nil` when there was none, or none is kept."
  @spec last() :: String.t() | nil
  def last do
    with {:last, text} <- Process.get(@key), do: text
  end

  @doc "The traceback of a failure; `nil` for one that has none, so that an earlier one is not taken for it."
  @spec put(String.t() | nil) :: :ok
  def put(text) do
    Process.put(@key, {:last, text})
    :ok
  end
end
