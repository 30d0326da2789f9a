defmodule Py.Erlang.Semaphore do
  @moduledoc false
  # The functions of `py_semaphore`: permits of the limit on concurrent requests.

  import Py.Erlang.Arguments

  @doc "Takes a permit for the calling process, or returns `{:error, :max_concurrent}`."
  def acquire(timeout) do
    case Py.Semaphore.acquire(timeout(timeout)) do
      :ok -> :ok
      {:error, %Py.OverloadedError{}} -> {:error, :max_concurrent}
    end
  end

  @doc """
  Gives back a permit. Returns `:ok` also when the process holds none, as earlier versions of the
  Erlang API did.
  """
  def release do
    Py.Semaphore.release()
  rescue
    ArgumentError -> :ok
  end

  @doc "Changes the limit. Raises `badarg` unless it is a positive integer."
  def set_max_concurrent(max), do: badarg_on_raise(fn -> Py.Semaphore.set_max_concurrent(max) end)
end
