defmodule Py.Test.Dialect do
  @moduledoc """
  Functions of `Py` with one more option, `:dialect`: with `:erlang`, requests are made as the Erlang API makes them.
  """

  alias Py.{Options, Request}

  @keys [:context, :env, :kwargs, :locals, :namespace, :return, :timeout, :wait]

  @doc "`Py.eval/2`."
  def eval(code, options), do: run({:eval, code}, options, &Py.eval(code, &1))

  @doc "`Py.eval/3`."
  def eval(context, code, options), do: eval(code, [{:context, context} | options])

  @doc "`Py.exec/2`, whose value is `{:ok, :none}` in the Erlang dialect."
  def exec(code, options), do: run({:exec, code}, options, &Py.exec(code, &1))

  @doc "`Py.exec/3`."
  def exec(context, code, options), do: exec(code, [{:context, context} | options])

  @doc "`Py.call/4`."
  def call(module, function, args, options),
    do: run({:call, module, function, args}, options, &Py.call(module, function, args, &1))

  @doc "`Py.call/5`."
  def call(context, module, function, args, options),
    do: call(module, function, args, [{:context, context} | options])

  @doc "`Py.async/4`."
  def async(module, function, args, options) do
    how = fn operation, options -> Py.Task.start(operation, options) end
    run({:call, module, function, args}, options, &Py.async(module, function, args, &1), how)
  end

  @doc "`Py.cast/4`."
  def cast(module, function, args, options) do
    how = fn operation, options -> Py.Cast.run(operation, options) end
    run({:call, module, function, args}, options, &Py.cast(module, function, args, &1), how)
  end

  defp run(operation, options, elixir, erlang \\ &Request.run/2) do
    case Keyword.pop(options, :dialect, :elixir) do
      {:elixir, options} ->
        elixir.(options)

      {:erlang, options} ->
        options = Options.new(options, @keys)
        operation |> operation(options) |> erlang.(%{options | dialect: :erlang})
    end
  end

  defp operation({:call, module, function, args}, %{kwargs: kwargs}),
    do: {:call, module, function, args, kwargs}

  defp operation({kind, code}, %{locals: locals}), do: {kind, code, locals}
end
