defmodule Py.Erlang.SpawnCall do
  @moduledoc false
  # Calls whose result comes as the message `{:py_response, ref, result}`: `py:spawn_call` of the
  # Erlang API.
  #
  # A process for each call receives the reply and forwards it, because the call goes on when the
  # process that made it ends. `Py.Task` needs no such process: its call ends with its owner.

  alias Py.{Operation, Request}
  alias Py.Request.Failure

  @doc """
  Submits an operation for the calling process. Returns the reference of its message.

  A request that is refused at once sends its message, too.
  """
  @spec start(Operation.t(), Py.Options.t()) :: reference()
  def start(operation, options) do
    ref = make_ref()
    owner = self()
    brief = Operation.brief(operation)
    receiver = spawn(fn -> forward(owner, ref, options, brief) end)

    case Request.submit(operation, options, receiver) do
      {:ok, reply, request} -> send(receiver, {:submitted, reply, request})
      {:error, _reason} = refused -> send(receiver, {:refused, refused})
    end

    ref
  end

  defp forward(owner, ref, options, brief) do
    receive do
      {:submitted, reply, request} ->
        receive do
          {^reply, result} ->
            result = Failure.result(result, options, {:request, request}, brief)
            send(owner, {:py_response, ref, result})
        end

      {:refused, refused} ->
        send(owner, {:py_response, ref, refused})
    end
  end

  @doc "Waits for the result of `start/2`. After `{:error, :timeout}` the message may still come."
  @spec await(reference(), timeout()) :: Operation.result() | {:error, :timeout}
  def await(ref, timeout) do
    receive do
      {:py_response, ^ref, result} -> result
    after
      timeout -> {:error, :timeout}
    end
  end
end
