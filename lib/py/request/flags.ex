defmodule Py.Request.Flags do
  @moduledoc false
  # What the NIF is told about a request besides the operation: the bits of `Flags` in the native code.

  alias Py.{Options, Router}
  alias Py.Request.Traceback

  @erlang 1
  @return_object 2
  @no_wait 4
  @cast 8
  @async 16
  @routed 32
  @poll 64
  @timed 128
  @inherit 256
  @tracked 512
  @traceback 1024

  @type t :: non_neg_integer()

  @doc "The namespace and the flags of a call that its process waits for."
  @spec of_call(Router.Choice.namespace(), Options.t()) :: {:context | pid() | reference(), t()}
  def of_call(namespace, %{timeout: timeout, wait: wait} = options) when timeout > 0 and wait > 0,
    do: scope(namespace, of(options) + @poll)

  def of_call(namespace, options), do: scope(namespace, of(options))

  @doc "The namespace and the flags of work whose reply comes as a message."
  @spec of_async(Router.Choice.namespace(), Options.t(), :async | :cast | {:task, term()}) ::
          {:context | pid() | reference(), t()}
  def of_async(namespace, options, kind), do: scope(namespace, of(options) + @async + kind(kind))

  defp kind(:async), do: 0
  defp kind(:cast), do: @cast
  defp kind({:task, _call}), do: @tracked

  # A call of a callback that names no context runs where the Python code runs that called it: see `Py.Router.route/2`.
  defp scope({:default, pid}, flags), do: {pid, flags + @routed}
  defp scope({:process, pid}, flags), do: {pid, flags + @inherit}
  defp scope(namespace, flags), do: {namespace, flags}

  defp of(%{dialect: :elixir, return: :term, wait: wait, timed: false}) when wait != 0, do: 0

  defp of(options) do
    if(options.dialect == :erlang, do: @erlang + traceback(), else: 0) +
      if(options.return == :object, do: @return_object, else: 0) +
      if(options.wait == 0, do: @no_wait, else: 0) +
      if(options.timed, do: @timed, else: 0)
  end

  defp traceback, do: if(Traceback.kept?(), do: @traceback, else: 0)
end
