defmodule Py.Options do
  @moduledoc false
  # The options of calls, checked in the caller before anything is sent.

  defstruct context: nil,
            dialect: :elixir,
            env: nil,
            kwargs: nil,
            locals: nil,
            namespace: :context,
            request: nil,
            return: :term,
            spent: 0,
            timed: false,
            timeout: 30_000,
            wait: :infinity

  # `timed`: whether the native code measures the request. `request`: the latest request of a timed call. `spent`: milliseconds
  # of the timeout that went to an attempt before this one.
  @type t :: %__MODULE__{
          context: term(),
          dialect: :elixir | :erlang,
          env: Py.Env.t() | nil,
          kwargs: map() | keyword() | nil,
          locals: map() | nil,
          namespace: :context | :process,
          request: Py.Native.request() | nil,
          return: :term | :object | :last,
          spent: non_neg_integer(),
          timed: boolean(),
          timeout: timeout(),
          wait: timeout()
        }

  # `receive … after` takes no more.
  @max_timeout 4_294_967_295

  @doc "Checks `options`; `allowed` are the keys this function takes."
  @spec new(keyword(), [atom()]) :: t()
  def new([], _allowed), do: default()

  def new(options, allowed) when is_list(options) do
    Enum.reduce(options, default(), fn
      {key, value}, acc when is_atom(key) ->
        if key not in allowed, do: unknown!(key, allowed)
        %{acc | key => check!(key, value)}

      other, _acc ->
        raise ArgumentError, "expected options to be a keyword list, got #{inspect(other)} in it"
    end)
    |> one_place!()
  end

  def new(options, _allowed) do
    raise ArgumentError, "expected options to be a keyword list, got: #{inspect(options)}"
  end

  defp one_place!(%{env: %Py.Env{}, context: context}) when context != nil do
    raise ArgumentError, "give either :context or :env; a Py.Env belongs to its own context"
  end

  defp one_place!(options), do: options

  @doc """
  The options of a call that is given none. `wait`, how long to wait for a turn, is as configured; `min/2` with a timeout
  works: atoms are greater.
  """
  @spec default() :: t()
  def default, do: Py.Config.get(:options)

  defp unknown!(key, allowed) do
    raise ArgumentError,
          "unknown option #{inspect(key)}, the allowed ones are #{inspect(Enum.sort(allowed))}" <>
            keyword_hint(key, allowed)
  end

  defp keyword_hint(key, allowed) do
    if :kwargs in allowed,
      do: "; if it is a keyword argument of the Python function, pass kwargs: [#{key}: …]",
      else: ""
  end

  @doc "Checks a timeout in milliseconds."
  @spec timeout!(atom(), term()) :: timeout()
  def timeout!(_key, :infinity), do: :infinity
  def timeout!(_key, ms) when is_integer(ms) and ms >= 0 and ms <= @max_timeout, do: ms

  def timeout!(key, other) do
    raise ArgumentError,
          "invalid #{inspect(key)}: #{inspect(other)}; expected :infinity or milliseconds from 0 to #{@max_timeout}"
  end

  defp check!(key, value) when key in [:timeout, :wait], do: timeout!(key, value)
  defp check!(:context, value), do: value
  defp check!(:dialect, value) when value in [:elixir, :erlang], do: value
  defp check!(:env, %Py.Env{} = env), do: env
  defp check!(:namespace, value) when value in [:context, :process], do: value
  defp check!(:return, value) when value in [:term, :object, :last], do: value
  defp check!(:locals, value) when is_map(value) and not is_struct(value), do: value
  defp check!(:kwargs, value) when is_map(value) and not is_struct(value), do: value

  defp check!(key, value) when key in [:kwargs, :locals] and is_list(value) do
    if not Keyword.keyword?(value), do: invalid!(key, value)
    Map.new(value)
  end

  defp check!(key, value), do: invalid!(key, value)

  defp invalid!(key, value) do
    raise ArgumentError, "invalid #{inspect(key)}: #{inspect(value)}; expected #{expected(key)}"
  end

  defp expected(:dialect), do: ":elixir or :erlang"
  defp expected(:env), do: "a Py.Env"
  defp expected(:namespace), do: ":context or :process"

  defp expected(:return), do: ":term or :object (Py.exec/2: also :last)"
  defp expected(_key), do: "a map or a keyword list"
end
