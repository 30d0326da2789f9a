defmodule Py.Request.Remote do
  @moduledoc false
  # Calls on contexts of other nodes. A process over there stands in for the caller and dies with it, so that a caller that is
  # killed interrupts its Python code there as it does here. Functions that Python calls run there.

  @doc "Applies `work`, which keeps the timeout, on the node of `context`."
  @spec run(pid(), {module(), atom(), [term()]}, timeout()) :: Py.Operation.result()
  def run(context, work, timeout) do
    # The other side keeps the timeout; this is for a node that does not answer.
    grace = if timeout == :infinity, do: :infinity, else: timeout + 5_000
    :erpc.call(node(context), __MODULE__, :serve, [self(), work], grace)
  catch
    :error, {:erpc, :timeout} ->
      {:error, %Py.TimeoutError{timeout: timeout}}

    :error, {:erpc, reason} ->
      {:error, %Py.ContextError{reason: {:unreachable, inspect(reason)}, context: context}}
  end

  @doc false
  def serve(caller, {module, function, args}) do
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

    result = apply(module, function, args)
    Process.exit(watcher, :kill)
    result
  end
end
