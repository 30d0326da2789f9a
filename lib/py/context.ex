defmodule Py.Context do
  @moduledoc """
  A Python interpreter thread, and the process that owns it.

  Two modes:

    * `:worker` - the main interpreter on a stable thread. Every C extension works: numpy, torch. Worker contexts share
      one GIL, so they take turns running Python code, but not while C code or I/O has released it.
    * `:owngil` - a sub-interpreter with its own GIL (CPython 3.12 or later): true parallelism for Python code. Modules and
      state are its own. C extensions must support it; numpy does not and says so when imported.

  The application starts a pool of contexts, which calls use by themselves. Start your own, under your supervisor, for
  state that must not be shared, other settings, or a thread kept free for one purpose:

      children = [{Py.Context, name: :reports, mode: :worker, preload: "import pandas"}]

      iex> {:ok, context} = Py.Context.start_link(mode: :worker)
      iex> Py.exec(context, "total = 40")
      :ok
      iex> Py.eval(context, "total + 2")
      {:ok, 42}
      iex> Py.Context.stop(context)
      :ok

  All code run on an explicit context shares that context's namespace, as above.

  ## Telemetry

  Starts, stops, crashes and contexts that are stuck are events: see `Py.Telemetry`.
  """

  alias Py.Context.{Server, Stack, Table}
  alias Py.{Native, Router}

  @typedoc "A context: its pid, its registered name, or its number (from 1) in the default pool."
  @type t :: GenServer.server() | pos_integer()

  @typedoc "Options of `start_link/1`."
  @type option :: unquote(Py.Schema.spec(:context))

  @doc """
  Starts a context linked to the calling process.

      iex> {:ok, context} = Py.Context.start_link(preload: "rate = 1.5", max_queue: 100)
      iex> Py.eval(context, "rate * 2")
      {:ok, 3.0}
      iex> Py.Context.stop(context)
      :ok

  ## Options

  #{Py.Schema.Docs.options(:context)}

  ## Errors

    * `{:error, %Py.ContextError{reason: {:failed, text}}}` - the interpreter cannot be made, `:preload` raised,
      or the start took longer than `:start_timeout`; the text has the traceback
    * `{:error, %Py.ContextError{reason: :not_running}}` - the application `:erlang_python` is not started
    * `{:error, {:already_started, pid}}` - a process has the `:name`

  Raises `ArgumentError` for a wrong option.
  """
  @doc since: "0.1.0"
  @spec start_link([option()]) ::
          {:ok, pid()} | {:error, Py.ContextError.t() | {:already_started, pid()}}
  def start_link(options \\ []),
    do: :context |> Py.Schema.check!(options) |> Server.start_link()

  @doc """
  The child specification of a context, for supervisors.

  Options are those of `start_link/1`; they are checked when the supervisor starts the context. `:name` is the
  id of the child, too.
  """
  @doc since: "0.1.0"
  @spec child_spec([option()]) :: Supervisor.child_spec()
  def child_spec(options) do
    %{
      id: Keyword.get(options, :name, __MODULE__),
      start: {__MODULE__, :start_link, [options]},
      shutdown: 10_000
    }
  end

  @doc """
  Stops a context. Running code is interrupted. A context of a pool is replaced.

  Requests that wait for it end with a `Py.ContextError` whose reason is `:stopped`. A thread whose code does not
  end within 2 seconds is abandoned, which is logged.

  ## Errors

  `{:error, %Py.ContextError{reason: :not_found}}` when there is no such context.
  """
  @doc since: "0.1.0"
  @spec stop(t()) :: :ok | {:error, Py.ContextError.t()}
  def stop(context) do
    with {:ok, pid} <- Router.whereis(context) do
      GenServer.stop(pid, :normal, 15_000)
    end
  catch
    :exit, _gone -> Table.not_found(context)
  end

  @doc """
  Interrupts what runs on the context now: Python raises `KeyboardInterrupt` at its next bytecode, and the call returns
  `{:error, %Py.InterruptedError{}}`. A destructor that runs between two calls is interrupted too.

      iex> {:ok, context} = Py.Context.start_link()
      iex> Py.Context.interrupt(context)
      {:error, :not_running}

  ## Errors

    * `{:error, :not_running}` - the context is idle
    * `{:error, %Py.ContextError{}}` - there is no such context on this node
  """
  @doc since: "0.1.0"
  @spec interrupt(t()) :: :ok | {:error, :not_running | Py.ContextError.t()}
  def interrupt(context) do
    with {:ok, native} <- Router.lookup(context) do
      if Native.context_interrupt(native), do: :ok, else: {:error, :not_running}
    end
  end

  @doc """
  Returns the numbers of one context, without waiting for Python: the same map as in `Py.stats().contexts`.

      iex> {:ok, context} = Py.Context.start_link()
      iex> {:ok, info} = Py.Context.info(context)
      iex> {info.state, info.running, info.queued}
      {:idle, 0, 0}

  `t:Py.Stats.context/0` lists the keys, among them `:id`, `:mode`, `:state`, `:running`, `:queued`, `:load`, `:max_queue` and
  the counts since the start of the context.

  ## Errors

  `{:error, %Py.ContextError{reason: :not_found}}` when there is no such context on this node.
  """
  @doc since: "0.1.0"
  @spec info(t()) :: {:ok, Py.Stats.context()} | {:error, Py.ContextError.t()}
  def info(context) do
    with {:ok, pid} <- Router.whereis(context) do
      with :error <- Py.Stats.Contexts.fetch(pid), do: Table.not_found(context)
    end
  end

  @typedoc "A line that runs, or that called the next one. `:line` is `nil` for code that has no lines."
  @type frame :: %{file: String.t(), line: pos_integer() | nil, function: String.t()}

  @doc """
  The Python code that a context runs now: its frames, outermost first, at most the 100 innermost. `[]` while it is idle.

      iex> {:ok, context} = Py.Context.start_link()
      iex> Py.Context.stack(context)
      {:ok, []}
      iex> Py.register_function(:look, fn -> Py.Context.stack(context) |> elem(1) |> List.first() end)
      iex> frame = Py.eval!(context, "__import__('erlang').call('look')")
      iex> {frame["line"], frame["function"]}
      {1, "<module>"}

  It waits for nothing and disturbs nothing, neither the code nor the GIL: so it shows where a stuck context is, also inside
  of C code (the innermost frame is the Python code that called it). `:function` is Python's qualified name. What is seen of
  code that runs Python at that moment may be a few instructions old. The log line and the telemetry event of a stuck
  context, and the dashboard, show the same.

  ## Errors

  `{:error, %Py.ContextError{}}` when there is no such context on this node, and on a Python whose structures are
  not known (other than CPython 3.11 to 3.15 with a GIL).
  """
  @doc since: "0.1.0"
  @spec stack(t()) :: {:ok, [frame()]} | {:error, Py.ContextError.t()}
  def stack(context) do
    with {:ok, native} <- Router.lookup(context) do
      case Stack.read(native) do
        {:ok, frames} ->
          {:ok, frames}

        :stopped ->
          {:error, %Py.ContextError{reason: :stopped, context: context}}

        :unsupported ->
          reason =
            {:failed, "the stack of this version of Python cannot be read; 3.11 to 3.15 can"}

          {:error, %Py.ContextError{reason: reason, context: context}}
      end
    end
  end

  @doc """
  Makes a namespace on the context, as `Py.Env.new/1` does with `context: context`.

      iex> {:ok, env} = Py.Context.new_env(Py.context(1))
      iex> Py.exec!("x = 1", env: env)
      :ok

  ## Errors

  `{:error, exception}` with one of

  #{Py.Schema.Docs.errors([:context, :timeout, :overloaded])}
  """
  @doc since: "0.1.0"
  @spec new_env(t()) :: {:ok, Py.Env.t()} | {:error, Exception.t()}
  def new_env(context) do
    {:ok, Py.Env.new(context: context)}
  rescue
    error in [Py.ContextError, Py.TimeoutError, Py.OverloadedError] -> {:error, error}
  end

  @doc """
  The pids of all running contexts of this node, those of pools included.

      iex> Py.context(1) in Py.Context.list()
      true
  """
  @doc since: "0.1.0"
  @spec list() :: [pid()]
  def list, do: Table.pids()
end
