defmodule Py.Erlang.Tracing do
  @moduledoc false
  # Spans of Python code.

  import Py.Erlang.Arguments

  def enable, do: guarded(&Py.Tracing.enable/0)
  def disable, do: guarded(&Py.Tracing.disable/0)
  def clear, do: guarded(&Py.Tracing.clear/0)

  def traces do
    {:ok, for(trace <- guarded(&Py.Tracing.traces/0), do: with_undefined(trace))}
  end

  defp with_undefined(%{parent_id: nil} = trace), do: %{trace | parent_id: :undefined}
  defp with_undefined(trace), do: trace
end
