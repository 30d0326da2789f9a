defmodule Py.Context.Table do
  @moduledoc false
  # The contexts of this node: the native context that a pid owns, and the label of a context.
  #
  # Every process reads the tables without asking another one. `Py.Context.Directory` owns and
  # writes them.

  @typedoc """
  The facts about a context:

    * `:id` - its number, unique in the VM
    * `:mode` - `:worker` or `:owngil`
    * `:pool`, `:index` - its pool and its place there, from 1; `nil` without a pool
    * `:name` - the name that its process is registered with, or `nil`
    * `:started` - when its start began, of `System.monotonic_time/0`
  """
  @type info :: %{
          id: pos_integer(),
          mode: :worker | :owngil,
          pool: atom() | nil,
          index: pos_integer() | nil,
          name: GenServer.name() | nil,
          started: integer()
        }

  @names Module.concat(__MODULE__, Names)

  @doc """
  Returns the native context that a pid owns.

  `:error` when the pid owns none, when its context is still starting, and while the application
  is stopped.
  """
  @spec fetch(pid()) :: {:ok, Py.Native.context()} | :error
  def fetch(pid) do
    {:ok, :ets.lookup_element(__MODULE__, pid, 2)}
  rescue
    # No such key, or the application is not running.
    ArgumentError -> :error
  end

  @doc "Returns the native context that a pid owns, and what it is."
  @spec find(pid()) :: {:ok, Py.Native.context(), info()} | :error
  def find(pid) do
    case :ets.lookup(__MODULE__, pid) do
      [{_pid, native, info}] -> {:ok, native, info}
      [] -> :error
    end
  rescue
    # The application is not running.
    ArgumentError -> :error
  end

  @doc "Returns the native context that a pid owns, or the error that users see."
  @spec lookup(pid()) :: {:ok, Py.Native.context()} | {:error, Py.ContextError.t()}
  def lookup(pid) do
    with :error <- fetch(pid), do: not_found(pid)
  end

  @doc """
  Returns the error for a pid, name or index that no context or pool has: `:not_found`, or
  `:not_running` while the application is not started.
  """
  @spec not_found(term()) :: {:error, Py.ContextError.t()}
  def not_found(what) do
    reason = if Py.Lifecycle.running?(), do: :not_found, else: :not_running
    {:error, %Py.ContextError{reason: reason, context: what}}
  end

  @doc """
  Returns the label of a context by its id: its name, or its pool and its index there.

  `nil` when it has neither. The labels of the 100 contexts that ended last are kept, because
  failures may be reported after the end.
  """
  @spec label(pos_integer() | nil) :: String.t() | nil
  def label(nil), do: nil

  def label(id) do
    :ets.lookup_element(@names, id, 2)
  rescue
    # No such key, or the application is not running.
    ArgumentError -> nil
  end

  @doc "Returns the pids of the contexts that have started, in no particular order."
  @spec pids() :: [pid()]
  def pids, do: for({pid, _native, _info} <- entries(), is_pid(pid), do: pid)

  @doc "Returns all contexts, also those that are starting, in no particular order."
  @spec all() :: [{pid(), Py.Native.context(), info()}]
  def all do
    for {key, native, info} <- entries() do
      pid = if is_pid(key), do: key, else: elem(key, 1)
      {pid, native, info}
    end
  end

  defp entries do
    :ets.tab2list(__MODULE__)
  rescue
    ArgumentError -> []
  end

  ## For the directory

  @doc "Creates the tables. They end with the calling process."
  @spec create() :: :ok
  def create do
    :ets.new(@names, [:named_table, :protected, read_concurrency: true])
    :ets.new(__MODULE__, [:named_table, :public, read_concurrency: true])
    :ok
  end

  @doc "Inserts a context that does not take calls yet."
  @spec put_starting(pid(), Py.Native.context(), info()) :: true
  def put_starting(pid, native, info) do
    :ets.insert(__MODULE__, {{:starting, pid}, native, info})
    :ets.insert(@names, {info.id, label_of(info)})
  end

  defp label_of(%{name: name}) when is_atom(name) and name != nil, do: Atom.to_string(name)
  defp label_of(%{name: name}) when name != nil, do: inspect(name)
  defp label_of(%{pool: nil}), do: nil
  defp label_of(%{pool: pool, index: index}), do: "#{pool} #{index}"

  @doc "Lets a context that has started take calls. Does nothing when it has ended meanwhile."
  @spec put_started(pid()) :: :ok
  def put_started(pid) do
    with [{key, native, info}] <- :ets.lookup(__MODULE__, {:starting, pid}) do
      :ets.insert(__MODULE__, {pid, native, info})
      :ets.delete(__MODULE__, key)
    end

    :ok
  end

  @doc "Deletes a context. Returns its information if it had started. Its label stays."
  @spec take(pid()) :: info() | nil
  def take(pid) do
    :ets.delete(__MODULE__, {:starting, pid})

    case :ets.take(__MODULE__, pid) do
      [{_pid, _native, info}] -> info
      [] -> nil
    end
  end

  @doc "Deletes a context that has started. Does nothing while the application is stopped."
  @spec delete(pid()) :: :ok
  def delete(pid) do
    :ets.delete(__MODULE__, pid)
    :ok
  rescue
    ArgumentError -> :ok
  end

  @doc "Deletes the label of a context."
  @spec delete_label(pos_integer()) :: true
  def delete_label(id), do: :ets.delete(@names, id)
end
