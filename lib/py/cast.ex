defmodule Py.Cast do
  @moduledoc false
  # Receives the failures of `Py.cast`, whose callers do not wait: logs them.

  use Py.Server

  alias Py.{Operation, Request}
  alias Py.Request.Failure

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Submits an operation whose failure is logged."
  @spec run(Operation.t(), Py.Options.t()) :: :ok
  def run(operation, options) do
    with pid when is_pid(pid) <- Process.whereis(__MODULE__),
         {:ok, _ref, _request} <- Request.submit(operation, options, pid, :cast) do
      :ok
    else
      nil ->
        failed(%Py.ContextError{reason: :not_running}, nil, Operation.brief(operation))

      {:error, error} ->
        failed(error, nil, Operation.brief(operation))
    end
  end

  @impl true
  def init(nil), do: {:ok, nil}

  @impl true
  def handle_info({{ref, native, brief}, {:error, reason}}, state) when is_reference(ref) do
    {:error, error} = Failure.result({:error, reason}, %Py.Options{timed: true}, native, brief)
    failed(error, native, brief)
    {:noreply, state}
  end

  defp failed(error, native, brief) do
    Py.Stats.Counters.add(:cast_failures)
    Py.Telemetry.Events.cast(error, native, brief)

    Py.Log.log(
      :error,
      "Py.cast failed: " <>
        if(is_exception(error), do: Exception.message(error), else: inspect(error))
    )
  end
end
