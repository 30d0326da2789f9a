defmodule Py.Log do
  @moduledoc false
  # What this library logs, by OTP's `logger`. Elixir's `Logger` is an application, and its start would change how an Erlang node
  # formats its log.

  @levels [:emergency, :alert, :critical, :error, :warning, :notice, :info, :debug]

  @type level ::
          :emergency | :alert | :critical | :error | :warning | :notice | :info | :debug

  @spec levels() :: [level()]
  def levels, do: @levels

  @spec log(level(), String.t() | (-> String.t()), map()) :: :ok
  def log(level, text, metadata \\ %{})

  def log(level, text, metadata) when is_binary(text),
    do: :logger.log(level, text, domain(metadata))

  # Only made where it is logged.
  def log(level, text, metadata) when is_function(text, 0),
    do: :logger.log(level, fn text -> {~c"~ts", [text.()]} end, text, domain(metadata))

  defp domain(metadata), do: Map.put(metadata, :domain, [:erlang_python])
end
