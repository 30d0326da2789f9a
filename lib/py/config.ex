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
          imports: [String.t()],
          max_concurrent: pos_integer(),
          max_queue: pos_integer(),
          max_state_entries: pos_integer() | nil,
          num_contexts: non_neg_integer(),
          paths: [Path.t()],
          preload: String.t() | nil,
          python: String.t() | nil,
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

    :persistent_term.put(__MODULE__, config)
    config
  end

  @doc "A setting, as checked at the start of the application."
  @spec get(atom()) :: term()
  def get(key), do: :erlang.map_get(key, :persistent_term.get(__MODULE__))

  defp check!(:num_contexts, nil), do: System.schedulers_online()
  defp check!(:max_concurrent, nil), do: System.schedulers_online() * 2 + 1
  defp check!(key, nil) when key in [:max_state_entries, :preload, :python, :venv, :wait], do: nil
  defp check!(:context_mode, mode) when mode in [:worker, :owngil], do: mode
  defp check!(:wait, :infinity), do: :infinity
  defp check!(:telemetry, on) when is_boolean(on), do: on

  defp check!(key, value)
       when key in [:max_concurrent, :max_queue, :max_state_entries] and is_integer(value) and
              value > 0,
       do: value

  defp check!(key, value)
       when key in [:num_contexts, :spin_us, :wait] and is_integer(value) and value >= 0,
       do: value

  defp check!(key, value) when key in [:preload, :python, :venv] and is_binary(value), do: value

  defp check!(key, value) when key in [:preload, :python, :venv] and is_list(value),
    do: List.to_string(value)

  defp check!(key, values) when key in [:paths, :imports] and is_list(values),
    do: Enum.map(values, &to_string/1)

  defp check!(key, value) do
    raise ArgumentError,
          "invalid configuration: config :erlang_python, #{key}: #{inspect(value)}; expected #{expected(key)}"
  end

  defp expected(:context_mode), do: ":worker or :owngil"

  defp expected(key) when key in [:max_concurrent, :max_queue, :max_state_entries],
    do: "a positive integer"

  defp expected(key) when key in [:num_contexts, :spin_us], do: "a non-negative integer"
  defp expected(:telemetry), do: "true or false"
  defp expected(:wait), do: "milliseconds or :infinity"
  defp expected(key) when key in [:paths, :imports], do: "a list of strings"
  defp expected(_key), do: "a string"
end
