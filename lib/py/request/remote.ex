defmodule Py.Request.Remote do
  @moduledoc false
  # Calls on contexts of other nodes. A process over there stands in for the caller and dies with it, so that a caller that is
  # killed interrupts its Python code there as it does here. Functions that Python calls run there.

  @doc "Runs an operation on the node of `context`."
  @spec run(pid(), Py.Operation.t(), Py.Options.t()) :: Py.Operation.result()
  def run(context, operation, options) do
    # The other side keeps the timeout; this is for a node that does not answer.
    grace = if options.timeout == :infinity, do: :infinity, else: options.timeout + 5_000
    :erpc.call(node(context), __MODULE__, :serve, [self(), context, operation, options], grace)
  catch
    :error, {:erpc, :timeout} ->
      {:error, %Py.TimeoutError{timeout: options.timeout}}

    :error, {:erpc, reason} ->
      {:error, %Py.ContextError{reason: {:unreachable, inspect(reason)}, context: context}}
  end

  @doc false
  def serve(caller, context, operation, options) do
    stand_in = self()

    watcher =
      spawn(fn ->
        monitor = Process.monitor(caller)
        own = Process.monitor(stand_in)

        receive do
          {:DOWN, ^monitor, :process, _pid, _reason} -> Process.exit(stand_in, :kill)
          {:DOWN, ^own, :process, _pid, _reason} -> :ok
        end
      end)

    result = Py.Request.run(operation, %{options | context: context, namespace: :context})
    Process.exit(watcher, :kill)
    result
  end
end
