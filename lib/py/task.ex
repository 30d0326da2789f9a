defmodule Py.Task do
  @moduledoc """
  Python work that runs while its owner does something else. Made by `Py.async/4`.

  `Py.await/2` and `Py.yield/2` wait for its result. A process that must not wait, a `GenServer` for example, receives it: one
  message comes, `{ref, reply}`, whose `ref` is that of the task and whose `reply` is for `result/2`:

      def handle_call({:price, item}, from, tasks) do
        task = Py.async(:prices, :price, [item])
        {:noreply, Map.put(tasks, task.ref, {task, from})}
      end

      def handle_info({ref, _reply} = message, tasks) when is_map_key(tasks, ref) do
        {{task, from}, tasks} = Map.pop!(tasks, ref)
        GenServer.reply(from, Py.Task.result(task, message))
        {:noreply, tasks}
      end

  The message comes when the work has ended, failed, or its `:timeout` is over; none comes after `Py.cancel/1`.
  """

  @enforce_keys [:ref, :request, :owner, :options, :deadline, :brief]
  defstruct [:ref, :request, :owner, :options, :deadline, :brief]

  @type t :: %__MODULE__{
          ref: reference(),
          request: reference(),
          owner: pid(),
          options: Py.Options.t(),
          deadline: integer() | :infinity,
          brief: Py.Operation.brief()
        }

  alias Py.{Deadline, Operation, Request, Telemetry}
  alias Py.Request.Failure

  @doc false
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

  # Refused at once: the task exists all the same and fails when it is awaited, as any other.
  defp refused(reason) do
    ref = make_ref()
    send(self(), {ref, {:refused, reason}})
    ref
  end

  @doc """
  The result that a received message has for a task, as `Py.await/2` returns it: `{:ok, value}` or `{:error, exception}`; `nil`
  for a message that is not of this task. Called once, by the process that called `Py.async/4`; the task has ended then.

      iex> task = Py.async(:math, :sqrt, [-1])
      iex> receive do
      ...>   message -> {:error, %Py.Error{type: type}} = Py.Task.result(task, message); type
      ...> end
      "ValueError"
      iex> Py.Task.result(task, :other)
      nil
  """
  @spec result(t(), term()) :: Py.result() | nil
  def result(%__MODULE__{ref: ref} = task, {ref, reply}) do
    own!(task)
    reply(task, reply)
  end

  def result(%__MODULE__{}, _other), do: nil

  @doc false
  def await(%__MODULE__{} = task, timeout) do
    own!(task)
    limit = min(timeout, Deadline.remaining(task.deadline))

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

    case task.request && Request.cancel(task.request, :user) do
      # The reply is on its way.
      :lost -> flush(task, 5_000)
      # It is there, unless it was taken before; so is what stands for a refused request.
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
    do: take(task, 0) || timed_out(task, timeout, nil)

  defp give_up(task, timeout) do
    case Request.cancel(task.request, :timeout) do
      # The reply is there, or on its way from the context's thread.
      certain when certain in [:lost, :done] ->
        take(task, 5_000) || timed_out(task, timeout, nil)

      phase ->
        timed_out(task, timeout, phase)
    end
  end

  defp timed_out(task, timeout, phase) do
    ended(task, result_of(task, {:error, {:timeout, timeout, phase}}))
  end

  defp result_of(task, reply),
    do: Failure.result(reply, task.options, {:request, task.request}, task.brief)

  # By this process, so that no reply comes. See `Py.Telemetry.Tasks`.
  defp ended(task, result) do
    Telemetry.Call.stop(Telemetry.Tasks.take(task.ref), task.request, result)
    result
  end

  defp own!(%{owner: owner}) when owner == self(), do: :ok

  defp own!(%{owner: owner}) do
    raise ArgumentError,
          "only the process that called Py.async, #{inspect(owner)}, may use its task"
  end

  defimpl Inspect do
    def inspect(task, _options), do: "#Py.Task<#{:erlang.ref_to_list(task.ref)}>"
  end
end
