defmodule Py.Schema do
  @moduledoc false
  # Which function takes which options, and the keys of the configuration. `Py.Schema.Entries` describes each of them once, and
  # from that come the allowed keys, the checks, the error messages, the specs, the lists of options in the documentation, and
  # the tables of guides/introduction/configuration.md.

  alias Py.Schema.{Entries, Type}

  @typedoc """
  An option. `:default` is the value where none is given; a text describes a default that is computed. An option with
  `:configured` has the default of the configuration's key of the same name.
  """
  @type entry :: %{
          key: atom(),
          type: Type.t(),
          default: {:value, term()} | {:text, String.t()} | :required | nil,
          doc: String.t(),
          configured: boolean(),
          since: String.t()
        }

  ## Who takes what

  @place [:context, :namespace, :env]
  @common @place ++ [:timeout, :wait]
  @async @place ++ [:timeout, :wait_of_async, :kwargs]
  @context [:paths_of_context, :preload, :max_queue, :start_timeout_of_context]
  @pool [:mode, :strategy, :replace_stuck, :pg | @context]

  @functions Map.new(
               [
                 call: @common ++ [:kwargs, :return],
                 async: @async ++ [:return],
                 cast: @async,
                 eval: @common ++ [:locals, :return],
                 exec: @common ++ [:locals, :return_of_exec],
                 parallel: [:pool_of_calls, :timeout_of_all, :wait_of_async, :return],
                 memory: [:context, :timeout, :wait],
                 env: [:context],
                 setup: [:timeout_of_each],
                 logging: [:level, :format, :timeout_of_each],
                 context: [:mode, :name | @context],
                 pool: @pool,
                 default_pool: [:contexts | @pool],
                 own_pool: [:name_of_pool, :size | @pool],
                 stub: [:shared]
               ],
               fn {function, names} -> {function, Entries.fetch!(names)} end
             )

  @configuration [
    {"Python and its code", [:python, :venv, :paths, :preload, :imports, :start_timeout]},
    {"Contexts", [:num_contexts, :context_mode, :strategy, :replace_stuck]},
    {"Limits",
     [:max_concurrent, :configured_wait, :max_queue, :max_value_size, :max_state_entries]},
    {"Log and telemetry", [:log, :telemetry]},
    {"Tuning", [:spin_us, :memory_tuning]}
  ]

  @sections for {title, names} <- @configuration, do: {title, Entries.fetch!(names)}

  @typedoc "A function, or several that take the same options."
  @type function_name :: atom()

  @doc "The options of a function."
  @spec options(function_name()) :: [entry()]
  def options(function), do: Map.fetch!(@functions, function)

  @doc "The keys that a function takes."
  @spec keys(function_name()) :: [atom()]
  def keys(function), do: for(entry <- options(function), do: entry.key)

  @doc "The keys of the configuration, in sections with titles."
  @spec sections() :: [{String.t(), [entry()]}]
  def sections, do: @sections

  @doc "The type of the options of a function, quoted."
  @spec spec(function_name()) :: Macro.t()
  def spec(function) do
    function
    |> options()
    |> Enum.map(fn entry -> {entry.key, Type.spec(entry.type)} end)
    |> Type.union()
  end

  ## Checks

  @doc "Checks the options of a function. Returns them with the values that they stand for, and with those of defaults."
  @spec check!(function_name(), term()) :: keyword()
  def check!(function, options) do
    if not Keyword.keyword?(options), do: no_keyword!(options)
    entries = options(function)
    known = for entry <- entries, do: entry.key

    case Enum.reject(Keyword.keys(options), &(&1 in known)) do
      [] -> :ok
      unknown -> unknown!(Enum.uniq(unknown), known, "")
    end

    given =
      for {key, value} <- options do
        entry = Enum.find(entries, &(&1.key == key))
        {key, value!(key, entry.type, value)}
      end

    for %{key: key, default: :required, type: type} <- entries,
        not Keyword.has_key?(options, key),
        do: invalid!("the option #{inspect(key)} is missing", type)

    # Those of the configuration are read where they are needed.
    defaults =
      for %{key: key, default: {:value, value}, configured: false} <- entries,
          not Keyword.has_key?(options, key),
          do: {key, value}

    given ++ defaults
  end

  @doc "Checks one option of a function."
  @spec check!(function_name(), atom(), term()) :: term()
  def check!(function, key, value) do
    entry = function |> options() |> Enum.find(&(&1.key == key))
    value!(key, entry.type, value)
  end

  @doc "Raises for options that are no keyword list."
  @spec no_keyword!(term()) :: no_return()
  def no_keyword!(options),
    do: raise(ArgumentError, "expected options to be a keyword list, got: #{inspect(options)}")

  @doc "The value that an option stands for."
  @spec value!(atom(), Type.t(), term()) :: term()
  def value!(key, type, value) do
    case Type.cast(type, value) do
      {:ok, value} -> value
      :error -> invalid!("invalid #{inspect(key)}: #{inspect(value)}", type)
    end
  end

  @doc "Raises for a wrong value; `what` names it."
  @spec invalid!(String.t(), Type.t()) :: no_return()
  def invalid!(what, type),
    do: raise(ArgumentError, "#{what}; expected #{Type.expected(type)}")

  @doc "Raises for options that a function does not take."
  @spec unknown!([atom()], [atom()], String.t()) :: no_return()
  def unknown!(unknown, known, hint) do
    what =
      case unknown do
        [key] -> "unknown option #{inspect(key)}"
        keys -> "unknown options #{inspect(keys)}"
      end

    raise ArgumentError,
          "#{what}, the allowed ones are #{inspect(Enum.sort(known))}#{hint}#{meant(unknown, known)}"
  end

  # The known option that is spelled most like an unknown one.
  defp meant(unknown, known) do
    likeness = fn {one, other} -> String.jaro_distance("#{one}", "#{other}") end

    pair =
      Enum.max_by(for(one <- unknown, other <- known, do: {one, other}), likeness, fn ->
        {"", "x"}
      end)

    if likeness.(pair) > 0.8, do: "; did you mean #{inspect(elem(pair, 1))}?", else: ""
  end
end
