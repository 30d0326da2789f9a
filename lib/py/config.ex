defmodule Py.Config do
  @moduledoc false
  # The application environment, checked once when the application starts.

  @defaults [
    context_mode: :worker,
    imports: [],
    log: true,
    max_concurrent: nil,
    max_queue: 10_000,
    max_state_entries: nil,
    max_value_size: nil,
    memory_tuning: true,
    num_contexts: nil,
    paths: [],
    preload: nil,
    python: nil,
    replace_stuck: 600_000,
    spin_us: 50,
    start_timeout: 60_000,
    strategy: :affinity,
    telemetry: true,
    venv: nil,
    wait: nil
  ]

  @type t :: %{
          context_mode: :worker | :owngil,
          imports: [{String.t(), :all | String.t()}],
          log: boolean(),
          logging: {String.t(), String.t() | nil} | nil,
          max_concurrent: pos_integer(),
          max_queue: pos_integer(),
          max_state_entries: pos_integer() | nil,
          max_value_size: non_neg_integer(),
          memory_tuning: boolean(),
          num_contexts: non_neg_integer(),
          paths: [Path.t()],
          preload: String.t() | nil,
          python: String.t() | nil,
          options: Py.Options.t(),
          replace_stuck: pos_integer() | :never,
          spin_us: non_neg_integer(),
          telemetry: boolean(),
          venv: Path.t() | nil,
          wait: timeout() | nil
        }

  @doc "Reads and checks the environment; raises `ArgumentError` for an unknown key or a wrong value."
  @spec load() :: t()
  def load do
    known!()

    config =
      for {key, default} <- @defaults, into: %{} do
        value = Application.get_env(:erlang_python, key)
        {key, check!(key, if(value == nil, do: default, else: value))}
      end

    folders!(config)
    # Not of the environment: see Py.Logging.
    publish(Map.put(config, :logging, nil))
  end

  # `artifacts` is read while the package is compiled: see Py.Native.Artifact.
  @others [:artifacts, :included_applications]

  defp known! do
    unknown = Keyword.keys(Application.get_all_env(:erlang_python)) -- (@others ++ keys())

    if unknown != [] do
      raise ArgumentError,
            "unknown configuration: config :erlang_python has #{Enum.map_join(unknown, ", ", &"#{&1}:")}; " <>
              "the keys are #{Enum.map_join(keys(), ", ", &"#{&1}")}"
    end
  end

  defp folders!(config) do
    for path <- config.paths, not File.exists?(path) do
      raise ArgumentError,
            "invalid configuration: config :erlang_python, paths: there is no #{inspect(path)}; " <>
              "paths are directories or zip files with Python modules, relative ones are looked up in #{File.cwd!()}"
    end

    if config.venv && not File.exists?(Path.join(config.venv, "bin/python")) do
      raise ArgumentError,
            "invalid configuration: config :erlang_python, venv: #{inspect(config.venv)} is no virtual environment, for " <>
              "there is no bin/python in it; make it with python3 -m venv, or name a Python by :python"
    end
  end

  # With the options of a call that is given none: on the hot path they are read, not made.
  defp publish(config) do
    config = Map.put(config, :options, %Py.Options{wait: config.wait || :infinity})
    :persistent_term.put(__MODULE__, config)
    config
  end

  @doc "A setting, as checked at the start of the application."
  @spec get(atom()) :: term()
  def get(key) do
    case :persistent_term.get(__MODULE__, nil) do
      nil -> raise %Py.ContextError{reason: :not_running}
      config -> :erlang.map_get(key, config)
    end
  end

  @doc """
  Changes a setting until the application stops. Raises `ArgumentError` when it is not running.
  """
  @spec update(atom(), (term() -> term())) :: :ok
  def update(key, fun) do
    :global.trans(
      {__MODULE__, self()},
      fn ->
        :persistent_term.get(__MODULE__) |> Map.update!(key, fun) |> publish()
        :ok
      end,
      [node()]
    )
  end

  @doc "All settings."
  @spec keys() :: [atom()]
  def keys, do: Keyword.keys(@defaults)

  @doc "The value that a setting stands for; raises `ArgumentError` for a wrong one."
  @spec check!(atom(), term()) :: term()
  def check!(:num_contexts, nil), do: System.schedulers_online()
  def check!(:max_concurrent, nil), do: System.schedulers_online() * 2 + 1
  # The native library knows how much memory there is.
  def check!(:max_value_size, nil), do: 0
  def check!(:max_value_size, :infinity), do: 2 ** 64 - 1
  def check!(key, nil) when key in [:max_state_entries, :preload, :python, :venv, :wait], do: nil
  def check!(:context_mode, mode) when mode in [:worker, :owngil], do: mode
  def check!(key, :infinity) when key in [:wait, :start_timeout], do: :infinity
  def check!(:replace_stuck, :never), do: :never
  def check!(:strategy, strategy) when is_atom(strategy), do: strategy
  def check!(key, on) when key in [:telemetry, :log, :memory_tuning] and is_boolean(on), do: on
  def check!(:max_state_entries, :infinity), do: nil

  def check!(key, value)
      when key in [
             :max_concurrent,
             :max_queue,
             :max_state_entries,
             :max_value_size,
             :replace_stuck,
             :start_timeout
           ] and
             is_integer(value) and
             value > 0,
      do: value

  def check!(key, value)
      when key in [:num_contexts, :spin_us, :wait] and is_integer(value) and value >= 0,
      do: value

  def check!(key, value) when key in [:preload, :python, :venv] and is_binary(value), do: value

  def check!(key, value) when key in [:preload, :python, :venv] and is_list(value),
    do: List.to_string(value)

  def check!(:paths, values) when is_list(values), do: Enum.map(values, &to_string/1)
  def check!(:imports, values) when is_list(values), do: Enum.map(values, &import!/1)

  def check!(key, value) do
    raise ArgumentError,
          "invalid configuration: config :erlang_python, #{key}: #{inspect(value)}; expected #{expected(key)}"
  end

  defp import!({module, function}), do: {to_string(module), to_string(function)}
  defp import!(module), do: {to_string(module), :all}

  defp expected(:context_mode), do: ":worker or :owngil"

  defp expected(:strategy),
    do: ":affinity, :round_robin, :least_busy or a module with the behaviour Py.Router.Strategy"

  defp expected(key) when key in [:max_concurrent, :max_queue, :max_state_entries],
    do: "a positive integer"

  defp expected(:max_value_size), do: "a positive number of bytes or :infinity"
  defp expected(:replace_stuck), do: "a positive number of milliseconds or :never"
  defp expected(key) when key in [:num_contexts, :spin_us], do: "a non-negative integer"

  defp expected(key) when key in [:telemetry, :log, :memory_tuning],
    do: "true or false"

  defp expected(key) when key in [:wait, :start_timeout], do: "milliseconds or :infinity"
  defp expected(key) when key in [:paths, :imports], do: "a list of strings"
  defp expected(_key), do: "a string"
end
