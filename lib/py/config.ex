defmodule Py.Config do
  @moduledoc false
  # The application environment, checked once when the application starts.

  @defaults [
    context_mode: :worker,
    imports: [],
    max_concurrent: nil,
    max_queue: 10_000,
    max_state_entries: nil,
    num_contexts: nil,
    paths: [],
    preload: nil,
    python: nil,
    spin_us: 50,
    telemetry: true,
    venv: nil,
    wait: nil
  ]

  @type t :: %{
          context_mode: :worker | :owngil,
          imports: [{String.t(), :all | String.t()}],
          logging: {String.t(), String.t() | nil} | nil,
          max_concurrent: pos_integer(),
          max_queue: pos_integer(),
          max_state_entries: pos_integer() | nil,
          num_contexts: non_neg_integer(),
          paths: [Path.t()],
          preload: String.t() | nil,
          python: String.t() | nil,
          options: Py.Options.t(),
          spin_us: non_neg_integer(),
          telemetry: boolean(),
          venv: Path.t() | nil,
          wait: timeout() | nil
        }

  @doc "Reads and checks the environment; raises `ArgumentError` for a wrong value."
  @spec load() :: t()
  def load do
    config =
      for {key, default} <- @defaults, into: %{} do
        value = Application.get_env(:erlang_python, key)
        {key, check!(key, if(value == nil, do: default, else: value))}
      end

    # Not of the environment: see Py.Logging.
    publish(Map.put(config, :logging, nil))
  end

  # With the options of a call that is given none: on the hot path they are read, not made.
  defp publish(config) do
    config = Map.put(config, :options, %Py.Options{wait: config.wait || :infinity})
    :persistent_term.put(__MODULE__, config)
    config
  end

  @doc "A setting, as checked at the start of the application."
  @spec get(atom()) :: term()
  def get(key), do: :erlang.map_get(key, :persistent_term.get(__MODULE__))

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
  def check!(key, nil) when key in [:max_state_entries, :preload, :python, :venv, :wait], do: nil
  def check!(:context_mode, mode) when mode in [:worker, :owngil], do: mode
  def check!(:wait, :infinity), do: :infinity
  def check!(:telemetry, on) when is_boolean(on), do: on
  def check!(:max_state_entries, :infinity), do: nil

  def check!(key, value)
      when key in [:max_concurrent, :max_queue, :max_state_entries] and is_integer(value) and
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

  defp expected(key) when key in [:max_concurrent, :max_queue, :max_state_entries],
    do: "a positive integer"

  defp expected(key) when key in [:num_contexts, :spin_us], do: "a non-negative integer"
  defp expected(:telemetry), do: "true or false"
  defp expected(:wait), do: "milliseconds or :infinity"
  defp expected(key) when key in [:paths, :imports], do: "a list of strings"
  defp expected(_key), do: "a string"
end
