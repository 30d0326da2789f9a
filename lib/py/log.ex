defmodule Py.Log do
  @moduledoc false
  # Logs by OTP's `logger`, with the domain `[:erlang_python]`.
  #
  # Elixir's `Logger` is an application, and its start would change how an Erlang node formats its
  # log.

  @levels [:emergency, :alert, :critical, :error, :warning, :notice, :info, :debug]

  @typedoc "A level of OTP's `logger`."
  @type level ::
          :emergency | :alert | :critical | :error | :warning | :notice | :info | :debug

  @doc "The levels of a log event, the most severe first."
  @spec levels() :: [level()]
  def levels, do: @levels

  @doc """
  Logs a text.

  A function in place of the text runs only where the event is logged, so that a text that takes
  time to make costs nothing when its level is off. `metadata` is added to the domain.
  """
  @spec log(level(), String.t() | (-> String.t()), map()) :: :ok
  def log(level, text, metadata \\ %{})

  def log(level, text, metadata) when is_binary(text),
    do: :logger.log(level, text, domain(metadata))

  def log(level, text, metadata) when is_function(text, 0),
    do: :logger.log(level, fn text -> {~c"~ts", [text.()]} end, text, domain(metadata))

  defp domain(metadata), do: Map.put(metadata, :domain, [:erlang_python])
end
