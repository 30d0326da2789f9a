defmodule Py.Router do
  @moduledoc """
  Chooses the context that serves a process.

  The application starts a default pool of `num_contexts` contexts. A process is given one of them at its first call, in
  turn, and stays with it.
  """

  use GenServer

  alias Py.Native

  # The context of this process: its number in the default pool.
  @sticky :"$py_context"

  @doc "The number of contexts in the default pool."
  @spec num_contexts() :: non_neg_integer()
  def num_contexts, do: tuple_size(slots())

  @doc """
  The pids of the contexts in the default pool, in order.

      iex> length(Py.Router.contexts()) == Py.Router.num_contexts()
      true
  """
  @spec contexts() :: [pid()]
  def contexts, do: for({pid, _context} <- Tuple.to_list(slots()), do: pid)

  @doc "The context that serves the calling process."
  @spec get_context() :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def get_context do
    case sticky(slots()) do
      nil -> not_found(:default)
      {pid, _context} -> {:ok, pid}
    end
  end

  @doc "Context number `index`, from 1, of the default pool."
  @spec get_context(pos_integer()) :: {:ok, pid()} | {:error, Py.ContextError.t()}
  def get_context(index) do
    with {:ok, {pid, _context}} <- slot(index), do: {:ok, pid}
  end

  @doc false
  def slot(index) do
    slots = slots()

    if is_integer(index) and index in 1..tuple_size(slots)//1,
      do: {:ok, elem(slots, index - 1)},
      else: not_found(index)
  end

  @doc false
  @spec pick(pid()) :: {:ok, Native.context(), pid()} | {:error, Py.ContextError.t()}
  def pick(caller) do
    case sticky(slots()) do
      nil -> not_found(:default)
      {_pid, context} -> {:ok, context, caller}
    end
  end

  # Another context for a request that `context`, stopped, has refused. Only where any context of the pool does: the
  # router chose it, or the request is about objects of the main interpreter, which all worker contexts share.
  @doc false
  def other(context, operation, options, namespace) do
    routed? =
      is_pid(namespace) or
        (options.context == nil and options.env == nil and uses_object?(operation))

    with true <- routed?,
         [_ | _] = alive <- Enum.filter(Tuple.to_list(slots()), &alive?(&1, context)) do
      {_pid, other} = Enum.random(alive)
      {:ok, other}
    else
      _none -> :error
    end
  end

  defp uses_object?({:call, _target, _function, _args, _kwargs}), do: true
  defp uses_object?(_operation), do: false

  defp alive?({_pid, other}, context),
    do: other != context and elem(Native.context_state(other), 1)

  defp sticky(slots) when tuple_size(slots) == 0, do: nil

  defp sticky(slots) do
    case Process.get(@sticky) do
      number when is_integer(number) and number < tuple_size(slots) -> elem(slots, number)
      _none -> elem(slots, assign(tuple_size(slots)))
    end
  end

  defp assign(size) do
    number = rem(:atomics.add_get(:persistent_term.get({__MODULE__, :turn}), 1, 1), size)
    Process.put(@sticky, number)
    number
  end

  # A tuple of `{pid, native context}`. Read by every call, written when a context starts.
  defp slots, do: :persistent_term.get(__MODULE__, {})

  defp not_found(what), do: {:error, %Py.ContextError{reason: :not_found, context: what}}

  ## The process that owns the table

  @doc false
  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc false
  def put(index, pid, context), do: GenServer.call(__MODULE__, {:put, index, pid, context})

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    :persistent_term.put({__MODULE__, :turn}, :atomics.new(1, signed: false))
    {:ok, %{}}
  end

  @impl true
  def handle_call({:put, index, pid, context}, _from, slots) do
    slots = Map.put(slots, index, {pid, context})
    # Contexts start in order, so there are no holes.
    :persistent_term.put(
      __MODULE__,
      slots |> Enum.sort() |> Enum.map(&elem(&1, 1)) |> List.to_tuple()
    )

    {:reply, :ok, slots}
  end

  @impl true
  def terminate(_reason, _slots), do: :persistent_term.put(__MODULE__, {})
end
