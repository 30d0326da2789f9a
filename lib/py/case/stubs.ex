defmodule Py.Case.Stubs do
  @moduledoc false
  # The stand-ins of `Py.Case`, and whose they are. The process is started when it is first needed: an application that tests
  # nothing has none.
  #
  # In Python, the attribute is replaced once for all (`erlang._case`). Its replacement calls `find/1` here, which runs in the
  # process that waits for the code.

  use Py.Server

  alias Py.Setup.Everywhere

  @timeout 30_000

  @type owner :: pid() | :shared
  @type stand_in :: fun() | String.t()

  @spec put(owner(), String.t(), stand_in(), pid()) :: :ok | {:error, Exception.t()}
  def put(owner, target, stand_in, maker),
    do: ask({:put, owner, target, stand_in, maker})

  @spec allow(pid(), pid()) :: :ok
  def allow(pid, owner), do: ask({:allow, pid, owner})

  @doc "Removes what a process has made."
  @spec reset(pid()) :: :ok
  def reset(maker), do: if(Process.whereis(__MODULE__), do: ask({:reset, maker}), else: :ok)

  @doc "Returns the stand-in that the calling process sees, `nil` if it sees the original. Python calls this."
  @spec find(String.t()) :: stand_in() | nil
  def find(target) do
    Enum.find_value([self() | Process.get(:"$callers", [])], &of(&1, target)) ||
      of(:shared, target)
  end

  defp of(pid, target) do
    owner = value({:allowed, pid}) || pid
    value({:stand_in, owner, target})
  end

  defp value(key) do
    case :ets.lookup(__MODULE__, key) do
      [{_key, value, _maker}] -> value
      [] -> nil
    end
  rescue
    # This process has ended, and all stand-ins with it.
    ArgumentError -> nil
  end

  defp ask(request) do
    case GenServer.start(__MODULE__, nil, name: __MODULE__) do
      {:ok, pid} -> GenServer.call(pid, request, :infinity)
      {:error, {:already_started, pid}} -> GenServer.call(pid, request, :infinity)
    end
  end

  @impl true
  def init(nil) do
    :ets.new(__MODULE__, [:named_table, read_concurrency: true])
    # The processes that have made something, by their monitors.
    {:ok, %{}}
  end

  @impl true
  def handle_call({:put, owner, target, stand_in, maker}, _from, makers) do
    with :ok <- install(target) do
      :ets.insert(__MODULE__, {{:stand_in, owner, target}, stand_in, maker})
      {:reply, :ok, follow(makers, maker)}
    else
      error ->
        tidy([target])
        {:reply, error, makers}
    end
  end

  def handle_call({:allow, pid, owner}, _from, makers) do
    :ets.insert(__MODULE__, {{:allowed, pid}, owner, owner})
    {:reply, :ok, follow(makers, owner)}
  end

  def handle_call({:reset, maker}, _from, makers), do: {:reply, :ok, forget(makers, maker)}

  @impl true
  def handle_info({:DOWN, _monitor, :process, maker, _reason}, makers),
    do: {:noreply, forget(makers, maker)}

  defp follow(makers, maker),
    do: Map.put_new_lazy(makers, maker, fn -> Process.monitor(maker) end)

  defp forget(makers, maker) do
    {monitor, makers} = Map.pop(makers, maker)
    if monitor, do: Process.demonitor(monitor, [:flush])
    targets = :ets.match(__MODULE__, {{:stand_in, :_, :"$1"}, :_, maker}) |> List.flatten()
    :ets.match_delete(__MODULE__, {:_, :_, maker})
    tidy(targets)
    makers
  end

  # Gives back what nobody has a stand-in for any more.
  defp tidy(targets) do
    for target <- Enum.uniq(targets),
        :ets.match(__MODULE__, {{:stand_in, :_, target}, :_, :_}, 1) == :"$end_of_table",
        do: everywhere(:uninstall, [target])
  end

  defp install(target), do: everywhere(:install, [target, &__MODULE__.find/1])

  defp everywhere(function, args) do
    options = Py.Options.new([timeout: @timeout], Py.Schema.keys(:setup))
    Everywhere.on_each_interpreter("erlang._case", function, args, options)
  end
end
