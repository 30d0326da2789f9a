defmodule Py.Native.Files do
  @moduledoc false
  # The files of the native libraries, and how they are written.

  @libraries ~w(erlang_python_loader erlang_python_nif)

  @doc "The names of both libraries, as cargo knows them."
  @spec names() :: [String.t()]
  def names, do: @libraries

  @doc "The files in `priv/native`, and in an artifact."
  @spec libraries() :: [String.t()]
  def libraries, do: Enum.map(@libraries, &library/1)

  @doc "The file of a library. Erlang asks for `.so` on macOS, too."
  @spec library(String.t()) :: String.t()
  def library(name), do: name <> ".so"

  @doc """
  Writes a file in place of the one that is there, by renaming: a process that reads it sees either
  all of the old file or all of the new one, and a running VM keeps the library that it has mapped.
  """
  @spec write(Path.t(), iodata()) :: :ok | {:error, File.posix()}
  def write(path, content) do
    temporary = beside(path)

    with :ok <- File.mkdir_p(Path.dirname(path)),
         :ok <- File.write(temporary, content) do
      File.rename(temporary, path)
    end
  end

  @doc "A path beside `path` that no other process uses. Containers that share a folder may share their pids."
  @spec beside(Path.t()) :: Path.t()
  def beside(path), do: "#{path}.#{Base.url_encode64(:crypto.strong_rand_bytes(9))}"
end
