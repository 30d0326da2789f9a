defmodule Py.Config do
  @moduledoc false
  # The application environment, checked once when the application starts.

  alias Py.Schema
  alias Py.Schema.Type

  @entries for {_title, entries} <- Schema.sections(), entry <- entries, do: entry
  @keys @entries |> Enum.map(& &1.key) |> Enum.sort()

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
      Map.new(@keys, fn key -> {key, check!(key, Application.get_env(:erlang_python, key))} end)

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
  def keys, do: @keys

  @doc "The value that a setting stands for, `nil` for its default; raises `ArgumentError` for a wrong one."
  @spec check!(atom(), term()) :: term()
  def check!(:num_contexts, nil), do: System.schedulers_online()
  def check!(:max_concurrent, nil), do: System.schedulers_online() * 2 + 1
  # The native library knows how much memory there is.
  def check!(:max_value_size, nil), do: 0
  def check!(:max_value_size, :infinity), do: 2 ** 64 - 1
  def check!(:max_state_entries, :infinity), do: nil

  for %{key: key, type: type, default: default} <- @entries do
    if key not in [:num_contexts, :max_concurrent, :max_value_size] do
      value = with {:text, _meaning} <- default, do: {:value, nil}
      def check!(unquote(key), nil), do: unquote(value |> elem(1) |> Macro.escape())
    end

    def check!(unquote(key), value), do: value!(unquote(key), unquote(Macro.escape(type)), value)
  end

  defp value!(key, type, value) do
    case Type.cast(type, value) do
      {:ok, value} ->
        value

      :error ->
        what = "invalid configuration: config :erlang_python, #{key}: #{inspect(value)}"
        Schema.invalid!(what, type)
    end
  end
end
