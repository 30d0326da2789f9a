defmodule Py.Task do
  @moduledoc "Python work that runs while its owner does something else. Made by `Py.async/4`."

  @enforce_keys [:ref, :request, :owner, :options, :deadline]
  defstruct [:ref, :request, :owner, :options, :deadline, :call]

  @type t :: %__MODULE__{
          ref: reference(),
          request: reference(),
          owner: pid(),
          options: Py.Options.t(),
          deadline: integer() | :infinity,
          call: Py.Telemetry.Call.t() | nil
        }

  alias Py.{Boundary, Telemetry}

  @doc false
  def start(operation, options) do
    call = Telemetry.Call.start(operation)
    options = %{options | timed: call != nil}
    deadline = deadline(options.timeout)

    {ref, request} =
      case Boundary.submit(operation, options) do
        {:ok, ref, request} -> {ref, request}
        {:error, reason} -> {refused(reason), nil}
      end

    %__MODULE__{
      ref: ref,
      request: request,
      owner: self(),
      options: options,
      deadline: deadline,
      call: call
    }
  end

  # Refused at once: the task exists all the same and fails when it is awaited, as any other.
  defp refused(reason) do
    ref = make_ref()
    send(self(), {ref, {:refused, reason}})
    ref
  end

  @doc false
  def await(%__MODULE__{} = task, timeout) do
    own!(task)
    limit = min(timeout, remaining(task.deadline))

    case take(task, limit) do
      nil -> give_up(task, min(timeout, task.options.timeout))
      result -> result
    end
  end

  @doc false
  def yield(%__MODULE__{} = task, timeout) do
    own!(task)
    take(task, timeout)
  end

  @doc false
  def cancel(%__MODULE__{} = task) do
    own!(task)

    open? =
      case task.request && Boundary.cancel(task.request) do
        # The reply is on its way.
        :lost -> flush(task, 5_000)
        # It is there, unless it was taken before; so is what stands for a refused request.
        done when done in [:done, nil] -> flush(task, 0)
        _cancelled -> true
      end

    if open?, do: Telemetry.Call.stop(task.call, task.request, {:error, :cancelled})
    :ok
  end

  defp flush(%{ref: ref}, timeout) do
    receive do
      {^ref, _result} -> true
    after
      timeout -> false
    end
  end

  defp take(%{ref: ref, options: options} = task, timeout) do
    receive do
      {^ref, {:refused, reason}} -> ended(task, {:error, reason})
      {^ref, result} -> ended(task, Boundary.result(result, options, task.request))
    after
      timeout -> nil
    end
  end

  defp give_up(%{request: nil} = task, timeout),
    do: take(task, 0) || timed_out(task, timeout)

  defp give_up(task, timeout) do
    case Boundary.give_up(task.request) do
      # The reply is there, or on its way from the context's thread.
      certain when certain in [:lost, :done] ->
        take(task, 5_000) || timed_out(task, timeout)

      _cancelled ->
        timed_out(task, timeout)
    end
  end

  defp timed_out(task, timeout) do
    ended(task, Boundary.result({:error, {:timeout, timeout}}, task.options, task.request))
  end

  defp ended(task, result) do
    Telemetry.Call.stop(task.call, task.request, result)
    result
  end

  defp own!(%{owner: owner}) when owner == self(), do: :ok

  defp own!(%{owner: owner}) do
    raise ArgumentError,
          "only the process that called Py.async, #{inspect(owner)}, may use its task"
  end

  defp deadline(:infinity), do: :infinity
  defp deadline(timeout), do: System.monotonic_time(:millisecond) + timeout

  defp remaining(:infinity), do: :infinity
  defp remaining(deadline), do: max(deadline - System.monotonic_time(:millisecond), 0)

  defimpl Inspect do
    def inspect(task, _options), do: "#Py.Task<#{:erlang.ref_to_list(task.ref)}>"
  end
end
