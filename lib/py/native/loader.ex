defmodule Py.Native.Loader do
  @moduledoc false
  # Opens libpython for the whole VM. A library of its own, because `Py.Native` only loads where
  # Python's symbols are there already.

  # Compiling `Py.Native` builds both libraries.
  Code.ensure_compiled!(Py.Native)

  @on_load :load

  @doc false
  @spec load() :: :ok | {:error, {atom(), charlist()}}
  def load do
    :erlang_python
    |> :code.priv_dir()
    |> :filename.join(~c"native/erlang_python_loader")
    |> :erlang.load_nif(0)
  end

  @doc """
  Opens the libpython at `path` with its symbols global, and keeps it open as long as the VM runs.

  Opening the same path again is `:ok`; opening another is an error that names the open one.
  """
  @spec open(String.t()) :: :ok | {:error, String.t()}
  def open(_path), do: :erlang.nif_error(:nif_not_loaded)
end
