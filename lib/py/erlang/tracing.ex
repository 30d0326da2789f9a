defmodule Py.Erlang.Tracing do
  @moduledoc false
  # Spans of Python code.

  import Py.Erlang.Arguments

  def enable, do: badarg_on_raise(&Py.Tracing.enable/0)
  def disable, do: badarg_on_raise(&Py.Tracing.disable/0)
  def clear, do: badarg_on_raise(&Py.Tracing.clear/0)

  def traces do
    {:ok, for(trace <- badarg_on_raise(&Py.Tracing.traces/0), do: with_undefined(trace))}
  end

  defp with_undefined(%{parent_id: nil} = trace), do: %{trace | parent_id: :undefined}
  defp with_undefined(trace), do: trace
end
