defmodule Py.Cast do
  @moduledoc false
  # Receives the failures of `Py.cast`, whose callers do not wait: logs them.

  use GenServer

  require Logger

  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc "Submits an operation whose failure is logged."
  @spec run(Py.Boundary.operation(), Py.Options.t()) :: :ok
  def run(operation, options) do
    with pid when is_pid(pid) <- Process.whereis(__MODULE__),
         {:ok, _ref, _request} <- Py.Boundary.submit(operation, options, pid, :cast) do
      :ok
    else
      nil -> failed(%Py.ContextError{reason: :not_found, context: :default})
      {:error, error} -> failed(error)
    end
  end

  @impl true
  def init(nil), do: {:ok, nil}

  @impl true
  def handle_info({ref, {:error, reason}}, state) when is_reference(ref) do
    {:error, error} = Py.Boundary.result({:error, reason}, %Py.Options{})
    failed(error)
    {:noreply, state}
  end

  def handle_info(_other, state), do: {:noreply, state}

  defp failed(error) do
    Py.Stats.Counters.add(:cast_failures)
    Py.Telemetry.cast(error)

    Logger.error(
      "Py.cast failed: " <>
        if(is_exception(error), do: Exception.message(error), else: inspect(error))
    )
  end
end
