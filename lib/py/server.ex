defmodule Py.Server do
  @moduledoc false
  # A `GenServer` of this application: `use Py.Server` in place of `use GenServer`.
  #
  # It adds a last clause for unknown messages to `handle_call/3`, `handle_cast/2` and
  # `handle_info/2`. An unknown message is logged at debug level, and an unknown call gets
  # `{:error, :unknown_request}`. Without those clauses, one message to a registered name would
  # end the server, and with it restart every context of the node.

  defmacro __using__(options) do
    quote do
      use GenServer, unquote(options)
      unquote(clauses())
      defoverridable handle_call: 3, handle_cast: 2, handle_info: 2
      @before_compile Py.Server
    end
  end

  # After the clauses of the module, if it has some.
  defmacro __before_compile__(_env), do: clauses()

  defp clauses do
    quote generated: true do
      def handle_call(request, _from, state) do
        Py.Server.ignore(__MODULE__, request)
        {:reply, {:error, :unknown_request}, state}
      end

      def handle_cast(request, state) do
        Py.Server.ignore(__MODULE__, request)
        {:noreply, state}
      end

      def handle_info(message, state) do
        Py.Server.ignore(__MODULE__, message)
        {:noreply, state}
      end
    end
  end

  @doc "Logs an unknown message of the calling process, which runs `module`, cut to a few lines."
  @spec ignore(module(), term()) :: :ok
  def ignore(module, message) do
    Py.Log.log(:debug, fn ->
      "#{inspect(name(module))} ignores an unknown message: #{inspect(message, limit: 10, printable_limit: 200)}"
    end)
  end

  defp name(module) do
    case Process.info(self(), :registered_name) do
      {:registered_name, []} -> module
      {:registered_name, name} -> name
    end
  end
end
