defmodule Py.Task do
  @moduledoc """
  A call that runs while its owner does something else. Made by `Py.async/4`.

  `Py.await/2` and `Py.yield/2` wait for the result, and `Py.cancel/1` gives it up. A process that
  must not wait, such as a `GenServer`, receives one message, `{ref, reply}`. Its `ref` is that of
  the task, and `result/2` returns the result in it:

      def handle_call({:price, item}, from, tasks) do
        task = Py.async(:prices, :price, [item])
        {:noreply, Map.put(tasks, task.ref, {task, from})}
      end

      def handle_info({ref, _reply} = message, tasks) when is_map_key(tasks, ref) do
        {{task, from}, tasks} = Map.pop!(tasks, ref)
        GenServer.reply(from, Py.Task.result(task, message))
        {:noreply, tasks}
      end

  The message comes when the code has ended or failed, or its `:timeout` is over. None comes after
  `Py.cancel/1`.

  A task belongs to the process that started it. Other processes may not await it, and when the
  owner dies the Python code is interrupted.
  """
  @moduledoc since: "0.1.0"

  @enforce_keys [:ref, :request, :owner, :options, :deadline, :brief]
  defstruct [:ref, :request, :owner, :options, :deadline, :brief]

  @typedoc """
  A task. Only `:ref`, the reference of its message, and `:owner`, the process that started it,
  are for users.
  """
  @type t :: %__MODULE__{
          ref: reference(),
          request: reference() | nil,
          owner: pid(),
          options: map(),
          deadline: integer() | :infinity,
          brief: term()
        }

  alias Py.{Deadline, Operation, Request, Telemetry}
  alias Py.Request.Failure

  @doc false
  # Submits an operation for the calling process, which is the owner of the task.
  def start(operation, options) do
    call = Telemetry.Call.start(operation)
    deadline = Deadline.new(options.timeout)

    {ref, request} =
      case Telemetry.Call.guard(call, fn -> submit(operation, options, call) end) do
        {:ok, ref, request} ->
          {ref, request}

        {:error, reason} = refused ->
          Telemetry.Call.stop(call, nil, refused)
          {refused(reason), nil}
      end

    %__MODULE__{
      ref: ref,
      request: request,
      owner: self(),
      options: options,
      deadline: deadline,
      brief: Operation.brief(operation)
    }
  end

  defp submit(operation, options, nil), do: Request.submit(operation, options)

  defp submit(operation, options, call),
    do: Request.submit(operation, %{options | timed: true}, self(), {:task, call})

  # A request that is refused at once is a task as well, and fails when it is awaited.
  defp refused(reason) do
    ref = make_ref()
    send(self(), {ref, {:refused, reason}})
    ref
  end

  @doc """
  Returns the result in a received message, as `Py.await/2` does: `{:ok, value}` or
  `{:error, exception}`.

  `nil` when the message is not of this task. Call it once for each task, in the process that
  called `Py.async/4`. The task has ended then.

  ## Errors

  Those of `Py.call/4`, as `{:error, exception}`. Raises `ArgumentError` in a process other than
  the owner.

  ## Examples

      iex> task = Py.async(:math, :sqrt, [-1])
      iex> receive do
      ...>   message -> {:error, %Py.Error{type: type}} = Py.Task.result(task, message); type
      ...> end
      "ValueError"
      iex> Py.Task.result(task, :other)
      nil
  """
  @doc since: "0.1.0"
  @spec result(t(), term()) :: Py.result() | nil
  def result(%__MODULE__{ref: ref} = task, {ref, reply}) do
    own!(task)
    reply(task, reply)
  end

  def result(%__MODULE__{}, _other), do: nil

  @doc false
  def await(task, timeout) do
    own!(task)
    limit = min(timeout, Deadline.remaining(task.deadline))

    case take(task, limit) do
      nil -> give_up(task, min(timeout, task.options.timeout))
      result -> result
    end
  end

  @doc false
  def yield(task, timeout) do
    own!(task)
    take(task, timeout)
  end

  @doc false
  def cancel(task) do
    own!(task)

    case task.request && Request.cancel(task.request, :user) do
      # The reply is on its way.
      :lost -> flush(task, 5_000)
      # The reply is in the mailbox, unless it was taken before. So is the message of a refused
      # request.
      done when done in [:done, nil] -> flush(task, 0)
      _cancelled -> ended(task, {:error, :cancelled})
    end

    :ok
  end

  defp flush(%{ref: ref}, timeout) do
    receive do
      {^ref, _result} -> :ok
    after
      timeout -> :ok
    end
  end

  defp take(%{ref: ref} = task, timeout) do
    receive do
      {^ref, reply} -> reply(task, reply)
    after
      timeout -> nil
    end
  end

  defp reply(_task, {:refused, reason}), do: {:error, reason}
  defp reply(task, reply), do: result_of(task, reply)

  defp give_up(%{request: nil} = task, timeout),
    do: take(task, 0) || timed_out(task, {:error, {:timeout, timeout, nil}})

  defp give_up(task, timeout) do
    case Request.cancel(task.request, :timeout) do
      # The reply is there, or on its way from the context's thread.
      certain when certain in [:lost, :done] ->
        take(task, 5_000) || timed_out(task, {:error, {:timeout, timeout, nil}})

      phase ->
        timed_out(task, Request.timed_out(phase, timeout))
    end
  end

  defp timed_out(task, reply), do: ended(task, result_of(task, reply))

  defp result_of(task, reply),
    do: Failure.result(reply, task.options, {:request, task.request}, task.brief)

  # Emits the event of a task that this process has ended, so that no reply comes. See
  # `Py.Telemetry.Tasks`.
  defp ended(task, result) do
    Telemetry.Call.stop(Telemetry.Tasks.take(task.ref), task.request, result)
    result
  end

  @doc false
  def list!(tasks) when is_list(tasks), do: tasks
  def list!(other), do: raise(ArgumentError, "expected a list of tasks, got: #{inspect(other)}")

  defp own!(%__MODULE__{owner: owner}) when owner == self(), do: :ok

  defp own!(%__MODULE__{owner: owner}) do
    raise ArgumentError,
          "only the process that called Py.async, #{inspect(owner)}, may use its task"
  end

  defp own!(other),
    do: raise(ArgumentError, "expected a task of Py.async, got: #{inspect(other)}")

  defimpl Inspect do
    def inspect(task, _options), do: "#Py.Task<#{:erlang.ref_to_list(task.ref)}>"
  end
end
