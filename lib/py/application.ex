defmodule Py.Application do
  @moduledoc false

  use Application

  alias Py.{Config, Interpreter, Native}

  @impl true
  def start(_type, _args) do
    stopping(false)
    Config.load()
    Py.Stats.init()

    with :ok <- start_python() do
      Native.set_max_permits(Config.get(:max_concurrent))
      Native.state_set_max(Config.get(:max_state_entries))

      children = [
        {Task.Supervisor, name: Py.Callback.Tasks},
        Py.Callback.Dispatcher,
        Py.Logging,
        Py.Context.Directory,
        %{id: :pg, start: {:pg, :start_link, [Py.Router.group_scope()]}},
        Py.Router,
        {DynamicSupervisor, name: Py.Pools},
        Py.Cast,
        %{id: :default_pool, start: {__MODULE__, :start_default_pool, []}},
        Py.Telemetry.Reporter
      ]

      Supervisor.start_link(children,
        strategy: :rest_for_one,
        max_restarts: 10,
        max_seconds: 5,
        name: Py.Supervisor
      )
    end
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

  defp start_default_pool({:error, error}), do: {:error, error}

  # All contexts at once, so that stopping them one after the other waits for none of them alone.
  @impl true
  def prep_stop(state) do
    stopping(true)

    for pid <- Py.Context.list(), {:ok, native} <- [Py.Context.Directory.fetch(pid)] do
      Native.context_stop(native)
    end

    state
  end

  @doc false
  def stopping?, do: :persistent_term.get({__MODULE__, :stopping}, false)

  # Not in the application environment, which cannot be changed when the whole VM stops.
  defp stopping(stopping), do: :persistent_term.put({__MODULE__, :stopping}, stopping)

  # The interpreter outlives the application: stopping and starting again reuses it.
  defp start_python do
    # The BEAM ignores SIGCHLD, and then subprocess.Popen cannot learn return codes.
    :os.set_signal(:sigchld, :default)

    with {:ok, python} <- Interpreter.find(),
         :ok <- open(python),
         :ok <- native(Native.load(), python),
         {:ok, info} <-
           native(
             Native.start_runtime(%{executable: python.executable, package: package()}),
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
