defmodule Py.Context.Server do
  @moduledoc false
  # The process that owns a context: starts and stops its thread, and ends when the thread does. Not on the way of calls.

  use Py.Server

  alias Py.Context.{Boot, Directory, Stack}
  alias Py.Stats.Counters
  alias Py.{Config, Deadline, Native}
  alias Py.Pool.Table
  alias Py.Telemetry.Events

  # A stuck context that cannot be replaced now is looked at again after so long, in milliseconds.
  @look_again 1_000

  # How long a thread may take to end before it is abandoned. Running Python code has been interrupted by then.
  @end_timeout 2_000

  @doc "Starts the process. The options are checked; those of a pool have also `:pool` and `:pool_index`."
  @spec start_link(keyword()) :: GenServer.on_start() | {:error, Py.ContextError.t()}
  def start_link(options) do
    if Py.Lifecycle.running?(),
      do: GenServer.start_link(__MODULE__, options, Keyword.take(options, [:name])),
      else: {:error, %Py.ContextError{reason: :not_running}}
  end

  @doc "Has the thread of a context end; the process waits for its supervisor. For contexts that are stopped together."
  @spec prepare_stop(pid()) :: :ok
  def prepare_stop(pid), do: GenServer.cast(pid, :prepare_stop)

  @impl true
  def init(options) do
    # Contexts end before their supervisor does: see Py.Application.prep_stop/1.
    if Py.Lifecycle.stopping?(), do: :ignore, else: start(options)
  end

  defp start(options) do
    # For `terminate`: the thread must be told to end.
    Process.flag(:trap_exit, true)
    native_options = native_options(options)
    started = System.monotonic_time()

    with {:ok, native, id} <- Native.context_start(native_options),
         info = %{
           id: id,
           mode: native_options.mode,
           pool: options[:pool],
           index: options[:pool_index],
           name: options[:name],
           started: started
         },
         Directory.starting(native, info),
         :ok <- await_start(id, Keyword.get(options, :start_timeout, Config.get(:start_timeout))) do
      Directory.register()
      join_pool(options[:pool], native, options)
      Events.context(:start, info)

      {:ok,
       %{
         native: native,
         id: id,
         info: info,
         ended: false,
         stopping: false,
         stuck_since: nil,
         replace_stuck: replace_stuck(options),
         timer: nil,
         held: false
       }}
    else
      {:error, reason} -> {:error, %Py.ContextError{reason: {:failed, reason}}}
    end
  end

  # A context that is no part of a pool is its owner's to replace.
  defp replace_stuck(options) do
    if options[:pool],
      do: Keyword.get(options, :replace_stuck, Config.get(:replace_stuck)),
      else: :never
  end

  defp join_pool(nil, _native, _options), do: :ok

  defp join_pool(pool, native, options) do
    Table.put(pool, options[:pool_index], native)
    if options[:pg], do: :pg.join(Table.group_scope(), pool, self())
  end

  defp native_options(options) do
    %{
      mode: Keyword.fetch!(options, :mode),
      max_queue: Keyword.get(options, :max_queue, Config.get(:max_queue)),
      spin_us: Config.get(:spin_us),
      paths: Enum.map(Keyword.fetch!(options, :paths), &Path.expand/1) ++ Config.get(:paths),
      preload: Boot.code(Keyword.get(options, :preload, Config.get(:preload))),
      decimal: Code.ensure_loaded?(Decimal)
    }
  end

  defp await_start(id, timeout) do
    receive do
      {:py_context, ^id, :started} -> :ok
      {:py_context, ^id, {:failed, reason}} -> {:error, reason}
      {:py_context, ^id, {:panicked, reason}} -> {:error, reason}
    after
      timeout ->
        {:error, "it did not start within #{timeout} ms; is :preload slow? see :start_timeout"}
    end
  end

  @impl true
  def handle_cast(:prepare_stop, state) do
    Native.context_stop(state.native)
    {:noreply, %{state | stopping: true}}
  end

  @impl true
  def handle_info({:py_context, id, :stuck}, %{id: id} = state) do
    Events.context(:stuck, state.info, %{stack: Stack.read_or_none(state.native)})
    state = %{state | stuck_since: System.monotonic_time(), held: false}
    {:noreply, look_again(state, state.replace_stuck)}
  end

  def handle_info({:py_context, id, :recovered}, %{id: id} = state) do
    Events.context(:recovered, %{state.info | started: state.stuck_since})
    if state.timer, do: Process.cancel_timer(state.timer)
    {:noreply, %{state | stuck_since: nil, timer: nil}}
  end

  def handle_info({:replace, since}, %{stuck_since: since, stopping: false} = state) do
    cond do
      # It works again, which is about to be told.
      not stuck?(state.native) -> {:noreply, state}
      replaceable?(state) -> {:stop, {:shutdown, :stuck}, state}
      true -> {:noreply, state |> tell_held() |> look_again(@look_again)}
    end
  end

  def handle_info({:replace, _earlier}, state), do: {:noreply, state}

  def handle_info({:py_context, id, how}, %{id: id, stopping: true} = state) do
    ended(how, id)
    {:noreply, %{state | ended: true}}
  end

  def handle_info({:py_context, id, how}, %{id: id} = state) do
    state = %{state | ended: true}

    case how do
      {:panicked, text} -> {:stop, %Py.ContextError{reason: {:crashed, text}}, state}
      _ended -> ended_by_itself(state)
    end
  end

  def handle_info({:EXIT, _from, :normal}, state), do: {:noreply, state}
  def handle_info({:EXIT, _from, reason}, state), do: {:stop, reason, state}

  # The supervisor of a pool is about to end this process when the application stops; it would report one that ends first.
  defp ended_by_itself(%{info: %{pool: pool}} = state) do
    if pool && Py.Lifecycle.stopping?(),
      do: {:noreply, %{state | stopping: true}},
      else: {:stop, :normal, state}
  end

  defp look_again(state, :never), do: state

  defp look_again(state, ms),
    do: %{state | timer: Process.send_after(self(), {:replace, state.stuck_since}, ms)}

  defp stuck?(native), do: Native.context_pressure(native) == 2

  # A new thread of the same interpreter would wait for the GIL as this one's callers do.
  defp replaceable?(%{info: %{mode: :owngil}}), do: true
  defp replaceable?(%{native: native}), do: not Native.context_gil_held(native)

  defp tell_held(%{held: true} = state), do: state

  defp tell_held(state) do
    Py.Log.log(
      :error,
      "Python context #{state.id} is stuck and cannot be replaced: C code holds the GIL, so that no worker context runs. " <>
        "It is replaced once the GIL is free"
    )

    %{state | held: true}
  end

  @impl true
  def terminate(reason, state) do
    Directory.unregister()
    finish(reason, state)
  end

  # Its thread has ended before this process: by itself, or stopped together with others.
  defp finish(reason, %{ended: true} = state) do
    stopped = state.stopping or (reason == :normal and Py.Lifecycle.stopping?())
    Events.context(if(stopped, do: :stop, else: :crash), state.info, %{reason: reason})
  end

  # It has had its time.
  defp finish({:shutdown, :stuck} = reason, %{native: native} = state) do
    Native.context_stop(native)
    Counters.add(:contexts_abandoned)
    Events.context(:replaced, %{state.info | started: state.stuck_since})
    Events.context(:stop, state.info, %{reason: reason})
  end

  defp finish(reason, %{native: native, id: id} = state) do
    # Contexts that are stopped together are waited for one after the other, but have the same time to end.
    left = max(@end_timeout - Native.context_stop(native), 0)
    await_end(id, Deadline.new(left))
    Events.context(:stop, state.info, %{reason: reason})
  end

  defp await_end(id, deadline) do
    receive do
      {:py_context, ^id, how} when how in [:stuck, :recovered] -> await_end(id, deadline)
      {:py_context, ^id, how} -> ended(how, id)
    after
      Deadline.remaining(deadline) ->
        Counters.add(:contexts_abandoned)

        Py.Log.log(
          :warning,
          "Python context #{id} did not end within #{@end_timeout} ms: its code cannot be interrupted. " <>
            "Its thread ends when that code returns."
        )
    end
  end

  defp ended(:abandoned, id) do
    Counters.add(:contexts_abandoned)

    Py.Log.log(
      :warning,
      "Python context #{id} still had Python threads of its own when it was stopped: its interpreter stays in memory. " <>
        "Let code join the threads it starts."
    )
  end

  defp ended(_how, _id), do: :ok
end
