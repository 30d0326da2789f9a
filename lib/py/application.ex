defmodule Py.Application do
  @moduledoc false

  use Application

  alias Py.{Config, Interpreter, Lifecycle, Native}

  @impl true
  def start(_type, _args) do
    Lifecycle.stopping(false)
    Config.load()
    Py.Stats.init()
    Py.Telemetry.Log.init()
    Py.Telemetry.Tasks.prepare()

    with :ok <- start_python() do
      Native.set_max_permits(Config.get(:max_concurrent))
      Native.state_set_max(Config.get(:max_state_entries))
      Native.set_max_value_size(Config.get(:max_value_size))

      children = [
        {Task.Supervisor, name: Py.Callback.Tasks},
        Py.Callback.Dispatcher,
        Py.Logging,
        Py.Tracing,
        Py.Context.Directory,
        %{id: :pg, start: {:pg, :start_link, [Py.Pool.Table.group_scope()]}},
        Py.Pool.Table,
        {DynamicSupervisor, name: Py.Pools},
        Py.Cast,
        %{id: :default_pool, start: {__MODULE__, :start_default_pool, []}},
        Py.Telemetry.Reporter,
        Py.Telemetry.Tasks
      ]

      options = [strategy: :rest_for_one, max_restarts: 10, max_seconds: 5, name: Py.Supervisor]

      with {:ok, supervisor} <- Supervisor.start_link(children, options) do
        Py.Telemetry.Log.attach_problems()
        if Config.get(:log), do: Py.Log.log(:info, started())
        {:ok, supervisor}
      end
    end
  end

  defp started do
    %{version: version, interpreter: python} = :persistent_term.get(Py.Interpreter)

    "erlang_python: CPython #{version} (#{python.executable}), " <>
      "#{Py.Router.num_contexts()} contexts of mode #{Config.get(:context_mode)} in the default pool"
  end

  @doc false
  def start_default_pool do
    if Config.get(:num_contexts) > 0, do: start_default_pool(Py.Router.start()), else: :ignore
  end

  defp start_default_pool({:ok, _contexts}), do: :ignore

  # The supervisor of the pools was killed, and the router has not heard of it yet.
  defp start_default_pool({:error, {:already_started, pool}}) do
    Py.Router.stop_pool(pool)
    start_default_pool(Py.Router.start())
  end

  # Raised, it is shown as a message, and not as a struct.
  defp start_default_pool({:error, error}), do: raise(error)

  # All contexts at once, so that stopping them one after the other waits for none of them alone.
  @impl true
  def prep_stop(state) do
    Lifecycle.stopping(true)

    for pid <- Py.Context.Table.pids(),
        {:ok, native} <- [Py.Context.Table.fetch(pid)],
        do: Native.context_stop(native)

    # Threads that Python code has started, which a context may be about to join.
    Native.callback_fail_orphaned()
    state
  end

  @impl true
  def stop(_state) do
    Native.callback_fail_orphaned()

    if not Native.run_exit_functions() do
      Py.Log.log(
        :warning,
        "Python's exit functions have not ended within 2 s: an atexit function, a flush, or code that holds the GIL takes longer"
      )
    end

    Py.Telemetry.Log.detach_problems()
  end

  # The interpreter outlives the application: stopping and starting again reuses it.
  defp start_python do
    # The BEAM ignores SIGCHLD, and then subprocess.Popen cannot learn return codes.
    :os.set_signal(:sigchld, :default)

    with {:ok, python} <- Interpreter.find(),
         :ok <- open(python),
         :ok <- native(Native.load(), python),
         {:ok, info} <-
           native(
             Native.start_runtime(%{
               executable: python.executable,
               package: package(),
               environment: Py.Setup.environment(),
               memory_tuning: Py.Setup.memory_tuning?()
             }),
             python
           ) do
      :persistent_term.put(Py.Interpreter, Map.put(info, :interpreter, python))
      :ok
    else
      {:error, error} when is_exception(error) -> raise error
    end
  end

  defp open(python), do: native(Py.Native.Loader.open(python.library), python)

  defp native({:error, reason}, python) do
    {major, minor} = python.version

    {:error,
     %Py.InterpreterError{
       message:
         "Python #{major}.#{minor} at #{python.executable} cannot be embedded: #{reason} (library: #{python.library})"
     }}
  end

  defp native(ok, _python), do: ok

  defp package,
    do: :erlang_python |> :code.priv_dir() |> Path.join("python/erlang") |> Path.expand()
end
