defmodule Py.Erlang.Dialect do
  @moduledoc false
  # Requests of the Erlang API, and the results of Elixir functions in the shapes of Erlang.

  import Py.Erlang.Arguments

  alias Py.{Operation, Options, Request}
  alias Py.Request.Reason

  @timeout 30_000

  @doc "The timeout of functions that are given none."
  @spec default_timeout() :: timeout()
  def default_timeout, do: @timeout

  @doc "The same, of those whose first argument is a context or a pool."
  @spec default_timeout(term()) :: timeout()
  def default_timeout(context) when is_pid(context), do: :infinity
  def default_timeout(_pool), do: @timeout

  @doc "The options of a request."
  @spec options(timeout()) :: Options.t()
  def options(timeout \\ @timeout),
    do: %{Options.default() | dialect: :erlang, timeout: timeout(timeout)}

  @doc "The options of a request on a context, in the namespace of the calling process, or on a pool."
  @spec place(term(), Options.t()) :: Options.t()
  def place(pid, options) when is_pid(pid), do: %{options | context: pid, namespace: :process}

  def place(pool, options) when is_pool(pool),
    do: %{options | context: pool, namespace: :process}

  def place(other, _options), do: badarg("a context or the name of a pool", other)

  @doc "The operation of a call."
  @spec operation(term(), term(), term(), term()) :: Operation.t()
  def operation(module, function, args, kwargs) when kwargs == %{},
    do: {:call, name(module), name(function), list(args), nil}

  def operation(module, function, args, kwargs),
    do: {:call, name(module), name(function), list(args), map(kwargs)}

  @spec run(Operation.t(), Options.t()) :: Operation.result()
  def run(operation, options), do: Request.run(operation, options)

  @spec run(term(), Operation.t(), Options.t()) :: Operation.result()
  def run(place, operation, options), do: Request.run(operation, place(place, options))

  @doc "The result of statements."
  @spec done(Operation.result()) :: :ok | {:error, term()}
  def done({:ok, _none}), do: :ok
  def done(error), do: error

  @doc "The result of an Elixir function."
  @spec to_erlang(term()) :: term()
  def to_erlang({:error, error}) when is_exception(error), do: {:error, Reason.erlang(error)}
  def to_erlang(other), do: other

  @doc "The result of a function that starts contexts."
  @spec started(term()) :: term()
  def started({:error, %Py.ContextError{reason: {:failed, text}}}),
    do: {:error, {:start_failed, text}}

  def started(other), do: to_erlang(other)

  @doc "Returns `:ok` while the application runs."
  @spec running() :: :ok | {:error, {:context_died, atom()}}
  def running, do: if(Py.Lifecycle.running?(), do: :ok, else: context_died(:not_running))

  @spec context_died(atom()) :: {:error, {:context_died, atom()}}
  def context_died(reason), do: {:error, {:context_died, reason}}
end
