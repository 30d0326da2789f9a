defmodule Py.Context.Server do
  @moduledoc false
  # The process that owns a context: starts and stops its thread, and ends when the thread does. Not on the way of calls.

  use GenServer

  require Logger

  alias Py.Context.Directory
  alias Py.Stats.Counters
  alias Py.{Config, Native, Telemetry}

  @options [:mode, :name, :paths, :preload, :max_queue, :start_timeout, :pool, :pool_index, :pg]

  # How long a thread may take to end before it is left to itself. Running Python code has been interrupted by then.
  @end_timeout 2_000

  def start_link(options) do
    options = check!(options)
    server_options = Keyword.take(options, [:name])
    GenServer.start_link(__MODULE__, options, server_options)
  end

  @doc false
  def check!(options) do
    case Keyword.validate(options, @options) do
      {:ok, options} ->
        Enum.each(options, &check_option!/1)
        options

      {:error, unknown} ->
        raise ArgumentError,
              "unknown options #{inspect(unknown)}, the allowed ones are #{inspect(@options -- [:pool, :pool_index, :pg])}"
    end
  end

  defp check_option!({:mode, mode}) when mode in [:worker, :owngil], do: :ok

  defp check_option!({:mode, mode}),
    do: raise(ArgumentError, "invalid :mode #{inspect(mode)}, expected :worker or :owngil")

  defp check_option!({:max_queue, max}) when is_integer(max) and max > 0, do: :ok

  defp check_option!({:max_queue, max}),
    do: raise(ArgumentError, "invalid :max_queue #{inspect(max)}, expected a positive integer")

  defp check_option!({:start_timeout, timeout}), do: Py.Options.timeout!(:start_timeout, timeout)
  defp check_option!({:preload, code}) when is_binary(code), do: :ok
  defp check_option!({:paths, paths}) when is_list(paths), do: :ok

  defp check_option!({key, value}) when key in [:preload, :paths],
    do: raise(ArgumentError, "invalid #{inspect(key)}: #{inspect(value)}")

  defp check_option!(_other), do: :ok

  @impl true
  def init(options) do
    # Contexts end before their supervisor does: see Py.Application.prep_stop/1.
    if Py.Application.stopping?(), do: :ignore, else: start(options)
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
         :ok <- await_start(id, Keyword.get(options, :start_timeout, 60_000)) do
      Directory.register()
      join_pool(options[:pool], native, options)
      Telemetry.context(:start, info)
      {:ok, %{native: native, id: id, info: info, ended: false, stuck_since: nil}}
    else
      {:error, reason} -> {:error, %Py.ContextError{reason: {:failed, reason}}}
    end
  end

  defp join_pool(nil, _native, _options), do: :ok

  defp join_pool(pool, native, options) do
    Py.Router.put(pool, options[:pool_index], self(), native)
    if options[:pg], do: :pg.join(Py.Router.group_scope(), pool, self())
  end

  defp native_options(options) do
    %{
      mode: Keyword.get(options, :mode, :worker),
      max_queue: Keyword.get(options, :max_queue, Config.get(:max_queue)),
      spin_us: Config.get(:spin_us),
      paths: Enum.map(Keyword.get(options, :paths, []), &Path.expand/1) ++ Config.get(:paths),
      preload: preload(Keyword.get(options, :preload, Config.get(:preload))),
      decimal: Code.ensure_loaded?(Decimal)
    }
  end

  defp preload(code) do
    case Py.Setup.code() <> (code || "") do
      "" -> nil
      code -> code
    end
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
  def handle_info({:py_context, id, :stuck}, %{id: id} = state) do
    Telemetry.context(:stuck, state.info)
    {:noreply, %{state | stuck_since: System.monotonic_time()}}
  end

  def handle_info({:py_context, id, :recovered}, %{id: id} = state) do
    Telemetry.context(:recovered, %{state.info | started: state.stuck_since})
    {:noreply, %{state | stuck_since: nil}}
  end

  def handle_info({:py_context, id, how}, %{id: id} = state) do
    state = %{state | ended: true}

    case how do
      {:panicked, text} -> {:stop, %Py.ContextError{reason: {:crashed, text}}, state}
      _ended -> {:stop, :normal, state}
    end
  end

  def handle_info({:EXIT, _from, :normal}, state), do: {:noreply, state}
  def handle_info({:EXIT, _from, reason}, state), do: {:stop, reason, state}
  def handle_info(_other, state), do: {:noreply, state}

  @impl true
  def terminate(reason, state) do
    Directory.unregister()
    finish(reason, state)
  end

  defp finish(reason, %{ended: true} = state),
    do: Telemetry.context(:crash, state.info, %{reason: reason})

  defp finish(reason, %{native: native, id: id} = state) do
    Native.context_stop(native)
    await_end(id, System.monotonic_time(:millisecond) + @end_timeout)
    Telemetry.context(:stop, state.info, %{reason: reason})
  end

  defp await_end(id, deadline) do
    receive do
      {:py_context, ^id, how} when how in [:stuck, :recovered] -> await_end(id, deadline)
      {:py_context, ^id, how} -> ended(how, id)
    after
      max(deadline - System.monotonic_time(:millisecond), 0) ->
        Counters.add(:contexts_abandoned)

        Logger.warning(
          "Python context #{id} did not end within #{@end_timeout} ms: its code cannot be interrupted. " <>
            "Its thread is left to itself and ends when that code returns."
        )
    end
  end

  defp ended(:abandoned, id) do
    Counters.add(:contexts_abandoned)

    Logger.warning(
      "Python context #{id} still had Python threads of its own when it was stopped: its interpreter stays in memory. " <>
        "Let code join the threads it starts."
    )
  end

  defp ended(_how, _id), do: :ok
end
