defmodule Py.Logging do
  @moduledoc """
  Python's `logging` in Elixir's `Logger`.

      iex> Py.Logging.configure(level: :info)
      :ok
      iex> ExUnit.CaptureLog.capture_log(fn ->
      ...>   Py.exec!("import logging; logging.getLogger('billing').warning('no price for %s', 'tea')")
      ...>   Py.Logging.flush()
      ...> end) =~ "no price for tea"
      true

  Records have the level, message and time that Python gave them, and this metadata: `domain: [:python]`, `py_logger` (the name
  of Python's logger), `file`, `line` and `py_function`. A traceback (`logging.exception`) is part of the message. A record of
  code that a process waits for has the Logger metadata of that process, too, such as the `request_id` of a web request, and
  its `pid`:

      iex> Logger.metadata(request_id: "F1x")
      iex> ExUnit.CaptureLog.capture_log([metadata: [:request_id]], fn ->
      ...>   Py.exec!("import logging; logging.getLogger('billing').warning('no price')")
      ...>   Py.Logging.flush()
      ...> end) =~ "request_id=F1x"
      true

  Warnings (logger `py.warnings`), exceptions that end a Python thread (`threading`) and those that Python can only ignore, of a
  destructor for example (`sys.unraisablehook`), are logged too.

  It waits for every interpreter, and returns the error of the first that does not answer in its `:timeout`, a stuck own-GIL
  context for example. All others are set up then too.

  The handler is added to Python's root logger. Handlers that it has stay: after a plain `logging.warning(…)`, there is one that
  writes to standard error. Loggers with `propagate = False` keep their records.
  """

  use Py.Server

  alias Py.Schema

  @typedoc "Options of `configure/1`."
  @type option :: unquote(Py.Schema.spec(:logging))

  @doc """
  Has all contexts, and those that start later, send their records. Calling it again changes the settings.

      iex> Py.Logging.configure(level: :warning, format: "%(threadName)s %(message)s")
      :ok
      iex> Py.Logging.configure()
      :ok

  ## Options

  #{Py.Schema.Docs.options(:logging)}

  ## Errors

  `{:error, exception}` with the first error of a context, one of

  #{Py.Schema.Docs.errors([:python, :timeout, :overloaded])}

  A `Py.Error` of type `ValueError` names what is wrong with the `:format`. The settings are not kept then. Raises
  `ArgumentError` for a wrong option.
  """
  @doc since: "0.1.0"
  @spec configure([option()]) :: :ok | {:error, Exception.t()}
  def configure(options \\ []) do
    {settings, options} = :logging |> Schema.check!(options) |> Keyword.split([:level, :format])
    {level, format} = settings(settings)
    Py.Setup.Everywhere.configure_logging(level, format, Py.Options.new(options, [:timeout]))
  end

  @doc false
  # The level and the format of checked settings.
  @spec settings(keyword()) :: {atom(), String.t() | nil}
  def settings(settings),
    do: {Keyword.fetch!(settings, :level), Keyword.get(settings, :format)}

  @doc """
  Waits until all records that Python has sent so far are logged.

      iex> Py.Logging.flush()
      :ok

  Exits while the application does not run.
  """
  @doc since: "0.1.0"
  @spec flush() :: :ok
  def flush, do: GenServer.call(__MODULE__, :flush)

  @doc false
  def start_link(_options), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil), do: {:ok, nil}

  @impl true
  def handle_info({:py_log, level, logger, message, {file, line, function}, time, caller}, state) do
    metadata =
      Map.merge(metadata_of(caller), %{
        domain: [:python],
        py_logger: logger,
        py_function: function,
        file: String.to_charlist(file),
        line: line,
        time: time
      })

    :logger.log(level, message, metadata)
    {:noreply, state}
  end

  @impl true
  def handle_call(:flush, _from, state), do: {:reply, :ok, state}

  # Read when the record is logged, so that code which logs nothing costs nothing. A process of another node, and one that has
  # ended, has none.
  defp metadata_of(caller) when is_pid(caller) and node(caller) == node() do
    case Process.info(caller, :dictionary) do
      {:dictionary, dictionary} -> dictionary |> kept() |> Map.put(:pid, caller)
      nil -> %{pid: caller}
    end
  end

  defp metadata_of(_caller), do: %{}

  defp kept(dictionary) do
    case List.keyfind(dictionary, :"$logger_metadata$", 0) do
      {_key, metadata} when is_map(metadata) -> metadata
      _none -> %{}
    end
  end
end
