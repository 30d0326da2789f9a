defmodule Py.Schema.Type do
  @moduledoc false
  # The types of options: which values they have, what they are called, and their specs.

  # `receive … after` takes no more.
  @max_timeout 4_294_967_295

  @typedoc """
  `:names` are a map, or a keyword list, which becomes a map. `:text` may be a string of `sys.config`. An integer has a
  minimum, a maximum, and the unit that it counts.
  """
  @type t ::
          :any
          | :boolean
          | :names
          | :text
          | :paths
          | :imports
          | :pool_name
          | :process_name
          | :strategy
          | {:timeout, non_neg_integer()}
          | {:integer, non_neg_integer(), non_neg_integer() | :infinity, String.t() | nil}
          | {:one_of, [atom()]}
          | {:or, atom(), t()}
          | {:struct, module()}

  @doc "Returns `true` if a value is a timeout of at least `min` milliseconds."
  defguard is_timeout(value, min)
           when value == :infinity or
                  (is_integer(value) and value >= min and value <= @max_timeout)

  @doc "The value that an option stands for."
  @spec cast(t(), term()) :: {:ok, term()} | :error
  def cast({:timeout, min}, value) when is_timeout(value, min), do: {:ok, value}
  def cast(:any, value), do: {:ok, value}
  def cast(:names, value) when is_map(value) and not is_struct(value), do: {:ok, value}

  def cast(:names, value) when is_list(value),
    do: if(Keyword.keyword?(value), do: {:ok, Map.new(value)}, else: :error)

  def cast({:one_of, values}, value), do: if(value in values, do: {:ok, value}, else: :error)
  def cast({:struct, module}, %module{} = value), do: {:ok, value}
  def cast(:boolean, value) when is_boolean(value), do: {:ok, value}

  # A bound of `:infinity` is greater than all integers, as atoms are.
  def cast({:integer, min, max, _unit}, value)
      when is_integer(value) and value >= min and value <= max,
      do: {:ok, value}

  def cast({:or, atom, _type}, atom), do: {:ok, atom}
  def cast({:or, _atom, type}, value), do: cast(type, value)
  def cast(:text, value) when is_binary(value), do: {:ok, value}
  def cast(:text, value) when is_list(value), do: characters(value)
  def cast(:paths, values) when is_list(values), do: each(values, &path/1)
  def cast(:imports, values) when is_list(values), do: each(values, &imported/1)

  def cast(:pool_name, name) when is_atom(name) and name not in [nil, true, false],
    do: {:ok, name}

  def cast(:process_name, name) when is_atom(name), do: {:ok, name}
  def cast(:process_name, {:global, _term} = name), do: {:ok, name}

  def cast(:process_name, {:via, module, _term} = name) when is_atom(module),
    do: {:ok, name}

  def cast(:strategy, name) when name in [:affinity, :round_robin, :least_busy],
    do: {:ok, name}

  def cast(:strategy, module) when is_atom(module) and module not in [nil, true, false] do
    if Code.ensure_loaded?(module) and function_exported?(module, :pick, 3),
      do: {:ok, module},
      else: :error
  end

  def cast(_type, _value), do: :error

  # The priv folder of an application is where the application is, in a release as well.
  defp path({application, folder}) when is_atom(application) do
    with {:ok, folder} <- cast(:text, folder),
         priv when is_list(priv) <- :code.priv_dir(application) do
      {:ok, Path.join(List.to_string(priv), folder)}
    else
      _unknown -> :error
    end
  end

  defp path(value), do: cast(:text, value)

  defp characters(list) do
    {:ok, List.to_string(list)}
  rescue
    _error in [ArgumentError, UnicodeConversionError] -> :error
  end

  # A string is a list, too.
  defp each(values, cast) do
    Enum.reduce_while(Enum.reverse(values), {:ok, []}, fn value, {:ok, taken} ->
      case cast.(value) do
        {:ok, value} -> {:cont, {:ok, [value | taken]}}
        :error -> {:halt, :error}
      end
    end)
  end

  defp imported({module, name}) do
    with {:ok, module} <- python_name(module),
         {:ok, name} <- python_name(name),
         do: {:ok, {module, name}}
  end

  defp imported(module), do: with({:ok, module} <- python_name(module), do: {:ok, {module, :all}})

  defp python_name(name) when is_atom(name) and name not in [nil, true, false],
    do: {:ok, Atom.to_string(name)}

  defp python_name(name), do: cast(:text, name)

  @doc "The expected values, for error messages and documentation."
  @spec expected(t()) :: String.t()
  def expected({:timeout, min}), do: ":infinity or milliseconds from #{min} to #{@max_timeout}"
  def expected(:names), do: "a map or a keyword list"
  def expected({:one_of, values}), do: alternatives(Enum.map(values, &inspect/1))
  def expected({:struct, module}), do: "a #{inspect(module)}"
  def expected(:boolean), do: "true or false"
  def expected({:or, atom, type}), do: "#{expected(type)} or #{inspect(atom)}"
  def expected(:text), do: "a string"
  def expected(:paths), do: "a list of strings or {application, folder in its priv}"
  def expected(:imports), do: "a list of strings or {module, name}"
  def expected(:pool_name), do: "a pool name as an atom"
  def expected(:process_name), do: "an atom, {:global, term} or {:via, module, term}"

  def expected(:strategy),
    do: ":affinity, :round_robin, :least_busy or a module with the behaviour Py.Router.Strategy"

  def expected({:integer, min, max, unit}) do
    "#{if min > 0, do: "a positive", else: "a non-negative"} " <>
      "#{if unit, do: "number of #{unit}", else: "integer"}" <>
      if(max == :infinity, do: "", else: " up to #{max}")
  end

  defp alternatives([one]), do: one

  defp alternatives(texts) do
    {texts, [last]} = Enum.split(texts, -1)
    "#{Enum.join(texts, ", ")} or #{last}"
  end

  @doc "The type of an option as it is written in a spec, quoted."
  @spec spec(t()) :: Macro.t()
  def spec({:timeout, _min}), do: quote(do: timeout())
  def spec(:names), do: quote(do: map() | keyword())
  def spec({:one_of, values}), do: union(values)
  def spec({:struct, module}), do: quote(do: unquote(module).t())
  def spec(:boolean), do: quote(do: boolean())
  def spec({:or, atom, type}), do: union([spec(type), atom])
  def spec(:text), do: quote(do: String.t())
  def spec(:paths), do: quote(do: [String.t() | {atom(), String.t()}])
  def spec(:pool_name), do: quote(do: atom())
  def spec(:process_name), do: quote(do: GenServer.name())
  def spec(:strategy), do: quote(do: module())
  def spec({:integer, 0, _max, _unit}), do: quote(do: non_neg_integer())
  def spec({:integer, _min, _max, _unit}), do: quote(do: pos_integer())
  def spec(_type), do: quote(do: term())

  @doc "A union of quoted types."
  @spec union([Macro.t(), ...]) :: Macro.t()
  def union(types), do: Enum.reduce(Enum.reverse(types), &{:|, [], [&1, &2]})
end
