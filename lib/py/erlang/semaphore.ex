defmodule Py.Erlang.Semaphore do
  @moduledoc false
  # The limit on concurrent requests.

  import Py.Erlang.Arguments

  def acquire(timeout) do
    case Py.Semaphore.acquire(timeout(timeout)) do
      :ok -> :ok
      {:error, %Py.OverloadedError{}} -> {:error, :max_concurrent}
    end
  end

  # As in earlier versions of the Erlang API, giving back a permit that was not taken is `ok`.
  def release do
    Py.Semaphore.release()
  rescue
    ArgumentError -> :ok
  end

  def set_max_concurrent(max), do: badarg_on_raise(fn -> Py.Semaphore.set_max_concurrent(max) end)
end
