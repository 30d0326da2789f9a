defmodule Py.Response do
  @moduledoc false
  # Work whose result comes as the message `{:py_response, ref, result}`: `py:spawn_call` of the Erlang API. It goes on when
  # the process that asked for it ends.

  alias Py.Boundary

  @doc "Submits an operation for the calling process."
  @spec start(Boundary.operation(), Py.Options.t()) :: reference()
  def start(operation, options) do
    ref = make_ref()
    owner = self()
    receiver = spawn(fn -> forward(owner, ref, options) end)

    case Boundary.submit(operation, options, receiver) do
      {:ok, reply, _request} -> send(receiver, {:submitted, reply})
      {:error, _reason} = refused -> send(receiver, {:refused, refused})
    end

    ref
  end

  defp forward(owner, ref, options) do
    receive do
      {:submitted, reply} ->
        receive do
          {^reply, result} -> send(owner, {:py_response, ref, Boundary.result(result, options)})
        end

      {:refused, refused} ->
        send(owner, {:py_response, ref, refused})
    end
  end

  @doc "Waits for the result of `start/2`."
  @spec await(reference(), timeout()) :: Boundary.result() | {:error, :timeout}
  def await(ref, timeout) do
    receive do
      {:py_response, ^ref, result} -> result
    after
      timeout -> {:error, :timeout}
    end
  end
end
