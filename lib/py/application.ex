defmodule Py.Application do
  @moduledoc false
  # Starts Python and the supervision tree, and stops both.
  #
  # Python is started before the tree, and once for each VM: it stays in memory when the
  # application stops, and a second start uses it again. Each child relies on those before it
  # only. With `:rest_for_one`, a child that ends takes the later ones with it.

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

  @doc "Starts the default pool, unless `num_contexts` is 0. The start function of a child."
  @spec start_default_pool() :: :ignore
  def start_default_pool do
    if Config.get(:num_contexts) > 0, do: start_default_pool(Py.Router.start()), else: :ignore
  end

  defp start_default_pool({:ok, _contexts}), do: :ignore

  # The supervisor of the pools was killed, and the router has not been notified yet.
  defp start_default_pool({:error, {:already_started, pool}}) do
    Py.Router.stop_pool(pool)
    start_default_pool(Py.Router.start())
  end

  # An exception is shown as its message, an error tuple would be shown as a struct.
  defp start_default_pool({:error, error}), do: raise(error)

  # Tells all contexts to stop at once. The supervisors stop them one after the other, and would
  # otherwise wait for each in turn.
  @impl true
  def prep_stop(state) do
    Lifecycle.stopping(true)

    for pid <- Py.Context.Table.pids(),
        {:ok, native} <- [Py.Context.Table.fetch(pid)],
        do: Native.context_stop(native)

    # Releases threads that Python code has started: a context may be about to join them.
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
    # The BEAM ignores SIGCHLD, which would keep subprocess.Popen from reading return codes.
    :os.set_signal(:sigchld, :default)

    with {:ok, python} <- Interpreter.find(),
         :ok <- open(python),
         :ok <- load(python),
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

  defp open(python) do
    case Code.ensure_loaded(Py.Native.Loader) do
      {:module, loader} -> native(loader.open(python.library), python)
      {:error, reason} -> no_libraries(reason)
    end
  end

  # What the library lacks is a symbol of another Python; else it cannot be read.
  defp load(python) do
    with {:error, reason} <- Native.load() do
      if reason =~ ~r/symbol/i, do: native({:error, reason}, python), else: no_libraries(reason)
    end
  end

  defp no_libraries(reason) do
    {:error,
     %Py.InterpreterError{
       message:
         "the native libraries in #{Path.join(:code.priv_dir(:erlang_python), "native")} cannot be loaded (#{reason}); " <>
           "install them again with mix deps.compile erlang_python --force (in a checkout: mix compile --force)"
     }}
  end

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
