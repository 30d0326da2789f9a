defmodule Py.Erlang.Dialect do
  @moduledoc false
  # Builds the requests of the Erlang API, and converts results of Elixir functions to the shapes
  # of Erlang.
  #
  # The dialect of a request is decided here, by `options/1`. The native code then converts values
  # and errors.

  import Py.Erlang.Arguments

  alias Py.{Operation, Options, Request}
  alias Py.Request.Reason

  @timeout 30_000

  @doc "The timeout in milliseconds of functions that are given none."
  @spec default_timeout() :: timeout()
  def default_timeout, do: @timeout

  @doc """
  The timeout of functions whose first argument is a context or a pool. Calls on a context have no
  limit.
  """
  @spec default_timeout(term()) :: timeout()
  def default_timeout(context) when is_pid(context), do: :infinity
  def default_timeout(_pool), do: @timeout

  @doc "The options of a request in the Erlang dialect."
  @spec options(timeout()) :: Options.t()
  def options(timeout \\ @timeout),
    do: %{Options.default() | dialect: :erlang, timeout: timeout(timeout)}

  @doc """
  The options of a request on a context or a pool, in the namespace of the calling process. Raises
  `badarg` for any other place.
  """
  @spec place(term(), Options.t()) :: Options.t()
  def place(pid, options) when is_pid(pid), do: %{options | context: pid, namespace: :process}

  def place(pool, options) when is_pool(pool),
    do: %{options | context: pool, namespace: :process}

  def place(other, _options), do: badarg("a context or the name of a pool", other)

  @doc "The operation of a call, with checked arguments. Empty keyword arguments are `nil`."
  @spec operation(term(), term(), term(), term()) :: Operation.t()
  def operation(module, function, args, kwargs) when kwargs == %{},
    do: {:call, name(module), name(function), list(args), nil}

  def operation(module, function, args, kwargs),
    do: {:call, name(module), name(function), list(args), map(kwargs)}

  @doc "Runs an operation where the router sends it."
  @spec run(Operation.t(), Options.t()) :: Operation.result()
  def run(operation, options), do: Request.run(operation, options)

  @doc "Runs an operation on a context or a pool."
  @spec run(term(), Operation.t(), Options.t()) :: Operation.result()
  def run(place, operation, options), do: Request.run(operation, place(place, options))

  @doc "The result of statements: `:ok`, or the error."
  @spec done(Operation.result()) :: :ok | {:error, term()}
  def done({:ok, _none}), do: :ok
  def done(error), do: error

  @doc "The result of an Elixir function, with the reason of an exception in its place."
  @spec to_erlang(term()) :: term()
  def to_erlang({:error, error}) when is_exception(error), do: {:error, Reason.erlang(error)}
  def to_erlang(other), do: other

  @doc """
  The result of a function that starts contexts. A context that could not start is
  `{:error, {:start_failed, text}}`.
  """
  @spec started(term()) :: term()
  def started({:error, %Py.ContextError{reason: {:failed, text}}}),
    do: {:error, {:start_failed, text}}

  def started(other), do: to_erlang(other)

  @doc "Returns `:ok` while the application runs, else an error."
  @spec running() :: :ok | {:error, {:context_died, atom()}}
  def running, do: if(Py.Lifecycle.running?(), do: :ok, else: context_died(:not_running))

  @doc "The error for a context that cannot serve a call."
  @spec context_died(atom()) :: {:error, {:context_died, atom()}}
  def context_died(reason), do: {:error, {:context_died, reason}}
end
