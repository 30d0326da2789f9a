defmodule Py.Lifecycle do
  @moduledoc false
  # States whether the application runs, and whether it is stopping. Every module may ask; only
  # `Py.Application` calls `stopping/1`.

  @doc "Returns `true` while the application runs."
  @spec running?() :: boolean()
  def running?, do: Process.whereis(Py.Supervisor) != nil

  @doc """
  Returns `:ok` while the application runs, else raises `Py.ContextError` with the reason
  `:not_running`.

  For functions that would otherwise fail further down, where the reason is not visible.
  """
  @spec running!() :: :ok
  def running!, do: if(running?(), do: :ok, else: raise(%Py.ContextError{reason: :not_running}))

  @doc """
  Returns `true` once the application has begun to stop. Contexts that end then are not crashes.
  """
  @spec stopping?() :: boolean()
  def stopping?, do: :persistent_term.get(__MODULE__, false)

  # Not in the application environment, which cannot be changed when the whole VM stops.
  @doc "Sets what `stopping?/0` returns."
  @spec stopping(boolean()) :: :ok
  def stopping(stopping), do: :persistent_term.put(__MODULE__, stopping)
end
