defmodule Py.Erlang.Tracing do
  @moduledoc false
  # The functions of `py` for spans of Python code: those of `Py.Tracing`, in the shapes of
  # Erlang.

  import Py.Erlang.Arguments

  @doc """
  Collects spans from now on. Raises `{context_died, not_running}` while the application is
  stopped.
  """
  def enable, do: badarg_on_raise(&Py.Tracing.enable/0)
  @doc "Stops collecting spans."
  def disable, do: badarg_on_raise(&Py.Tracing.disable/0)
  @doc "Deletes all spans."
  def clear, do: badarg_on_raise(&Py.Tracing.clear/0)

  @doc "Returns `{:ok, spans}`, with `:undefined` in place of `nil`."
  def traces do
    {:ok, for(trace <- badarg_on_raise(&Py.Tracing.traces/0), do: with_undefined(trace))}
  end

  defp with_undefined(%{parent_id: nil} = trace), do: %{trace | parent_id: :undefined}
  defp with_undefined(trace), do: trace
end
