defmodule Py.Native.Loader do
  @moduledoc false
  # Opens libpython for the whole VM.
  #
  # It is a library of its own, because `Py.Native` can only be loaded once the symbols of Python
  # are there.

  # Compiling `Py.Native` builds both libraries.
  Code.ensure_compiled!(Py.Native)

  @on_load :load

  @doc "Loads the library. Called when the module is loaded."
  @spec load() :: :ok | {:error, {atom(), charlist()}}
  def load do
    :erlang_python
    |> :code.priv_dir()
    |> :filename.join(~c"native/erlang_python_loader")
    |> :erlang.load_nif(0)
  end

  @doc """
  Opens the libpython at `path`, with its symbols visible to libraries that are loaded later.

  It stays open as long as the VM runs. Opening the same path again is `:ok`. Opening another is
  an error that names the open one: a process can have one libpython.
  """
  @spec open(String.t()) :: :ok | {:error, String.t()}
  def open(_path), do: :erlang.nif_error(:nif_not_loaded)
end
