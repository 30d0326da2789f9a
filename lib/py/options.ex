defmodule Py.Options do
  @moduledoc false
  # The options of a request, checked in the caller before anything is sent: those that `Py.Schema` describes, and what else
  # is known of the request.

  import Py.Schema.Type, only: [is_timeout: 2]

  alias Py.Schema

  # An option has one type, whichever function takes it; `:return` of `Py.exec/2` is read there.
  @types for(
           function <- [:call, :eval, :parallel, :memory, :setup, :env],
           entry <- Schema.options(function),
           do: {entry.key, entry.type}
         )
         |> Enum.uniq_by(&elem(&1, 0))

  @defaults for %{key: key, default: {:value, value}} <- Schema.options(:call), do: {key, value}

  # `dialect`: how values and errors look; the Erlang API sets it. `timed`: whether the native code measures the request.
  # `request`: the latest request of a timed call. `spent`: milliseconds of the timeout that went to an attempt before this one.
  defstruct @types
            |> Keyword.new(fn {key, _type} -> {key, @defaults[key]} end)
            |> Keyword.merge(
              wait: :infinity,
              dialect: :elixir,
              request: nil,
              spent: 0,
              timed: false
            )

  @type t :: %__MODULE__{
          context: term(),
          dialect: :elixir | :erlang,
          env: Py.Env.t() | nil,
          kwargs: map() | keyword() | nil,
          locals: map() | nil,
          namespace: :context | :process,
          request: Py.Native.request() | nil,
          return: :term | :object,
          spent: non_neg_integer(),
          timed: boolean(),
          timeout: timeout(),
          wait: timeout()
        }

  @doc "Checks `options`; `allowed` are the keys this function takes."
  @spec new(keyword(), [atom()]) :: t()
  def new([], _allowed), do: default()

  def new(options, allowed) when is_list(options),
    do: options |> take(allowed, default()) |> one_place!()

  def new(options, _allowed), do: Schema.no_keyword!(options)

  defp take([], _allowed, taken), do: taken

  defp take([{key, value} | options], allowed, taken) when is_atom(key) do
    if not :lists.member(key, allowed), do: unknown!(key, allowed)
    take(options, allowed, %{taken | key => check!(key, value)})
  end

  defp take(options, _allowed, _taken), do: Schema.no_keyword!(options)

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

  @doc "Checks a timeout in milliseconds."
  @spec timeout!(atom(), term()) :: timeout()
  def timeout!(key, timeout), do: Schema.value!(key, {:timeout, 0}, timeout)

  @spec unknown!(atom(), [atom()]) :: no_return()
  defp unknown!(key, allowed),
    do: Schema.unknown!([key], allowed, keyword_hint(key, allowed))

  defp keyword_hint(key, allowed) do
    if :kwargs in allowed,
      do: "; if it is a keyword argument of the Python function, pass kwargs: [#{key}: …]",
      else: ""
  end

  for {key, type} <- @types do
    # Without a further call: most calls with options have a timeout.
    with {:timeout, min} <- type do
      defp check!(unquote(key), value) when is_timeout(value, unquote(min)), do: value
    end

    defp check!(unquote(key), value),
      do: Schema.value!(unquote(key), unquote(Macro.escape(type)), value)
  end
end
