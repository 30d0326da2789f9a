defmodule Py.Module.Definition do
  @moduledoc false
  # The Elixir functions that `Py.Module` defines, quoted.

  @reserved ~w(after and catch do else end false fn in nil not options or rescue true when)

  @doc "Both functions for a function of Python: one that returns a result, one that returns the value or raises."
  @spec functions(Py.Module.Source.function_spec()) :: Macro.t()
  def functions({name, doc, signature, kind, positional, rest, keywords, any_keyword, returns}) do
    parameters = Enum.map(positional, &parameter/1) ++ List.wrap(rest && rest_parameter(rest))
    variables = for {variable, _default, _type} <- parameters, do: variable
    options = Macro.var(:options, __MODULE__)
    heads = Enum.map(parameters, &head/1) ++ [quote(do: unquote(options) \\ [])]
    types = for {_variable, _default, type} <- parameters, do: type
    call = {name, String.to_atom(kind), rest != nil, names(keywords, any_keyword)}

    [
      define(String.to_atom(name), :call, heads, variables, options, call, %{
        doc: documentation(doc, signature, keywords, kind),
        types: types,
        returns: quote(do: {:ok, unquote(value_type(kind, returns))} | {:error, Exception.t()})
      }),
      define(String.to_atom(name <> "!"), :call!, heads, variables, options, call, %{
        doc: "Like `#{name}/#{length(heads)}`, but returns the value or raises.",
        types: types,
        returns: value_type(kind, returns)
      })
    ]
  end

  defp define(name, function, heads, variables, options, call, about) do
    quote do
      @doc unquote(about.doc)
      @spec unquote(name)(unquote_splicing(about.types), keyword()) :: unquote(about.returns)
      def unquote(name)(unquote_splicing(heads)) do
        Py.Module.unquote(function)(
          @py_module,
          unquote(Macro.escape(call)),
          [unquote_splicing(variables)],
          unquote(options)
        )
      end
    end
  end

  # The keywords of Python; `:any` if it takes all others, too.
  defp names(keywords, any_keyword) do
    names = for {name, _required, _hint} <- keywords, do: String.to_atom(name)
    {names, any_keyword}
  end

  defp parameter({name, default, hint}), do: {variable(name), default, argument_type(hint)}
  defp rest_parameter(name), do: {variable(name), {[]}, quote(do: [term()])}

  # Names of Python may begin with a capital letter, and be reserved words of Elixir.
  defp variable(name) do
    plain? = name =~ ~r/\A[a-z_]\w*\z/ and name not in @reserved
    name = if plain?, do: name, else: "py_" <> String.downcase(name)
    Macro.var(String.to_atom(name), __MODULE__)
  end

  defp head({variable, nil, _type}), do: variable
  defp head({variable, {}, _type}), do: quote(do: unquote(variable) \\ Py.Module.default())

  defp head({variable, {value}, _type}),
    do: quote(do: unquote(variable) \\ unquote(Macro.escape(value)))

  defp documentation(doc, signature, keywords, kind) do
    [doc, "In Python: `#{prefix(kind)}#{signature}`.", keyword_text(keywords), kind_text(kind)]
    |> Enum.reject(&is_nil/1)
    |> Enum.join("\n\n")
  end

  defp prefix("async" <> _rest), do: "async def "
  defp prefix(_kind), do: "def "

  defp keyword_text([]), do: "The options are those of `Py.call/4`."

  defp keyword_text(keywords) do
    names = Enum.map_join(keywords, ", ", fn {name, _required, _hint} -> "`:#{name}`" end)
    "The options are #{names}, and those of `Py.call/4`."
  end

  defp kind_text("generator"), do: "The value is a `Py.Object`, the generator."
  defp kind_text("async_generator"), do: kind_text("generator")
  defp kind_text(_kind), do: nil

  ## Types

  defp value_type(kind, _returns) when kind in ["generator", "async_generator"],
    do: quote(do: Py.Object.t())

  defp value_type(_kind, hint), do: type(hint)

  # Where Python takes a float, Elixir may give an integer.
  defp argument_type(hint), do: type(hint, quote(do: number()))

  defp type(hint, float \\ quote(do: float()))
  defp type(nil, _float), do: quote(do: term())
  defp type(["float"], float), do: float
  defp type(["int"], _float), do: quote(do: integer())
  defp type(["str"], _float), do: quote(do: String.t())
  defp type(["bool"], _float), do: quote(do: boolean())
  defp type(["None"], _float), do: nil
  defp type(["bytes"], _float), do: quote(do: binary())
  defp type([list, item], float) when list in ["list", "List"], do: [type(item, float)]
  defp type(["Optional", item], float), do: union([item, ["None"]], float)
  defp type(["Union" | items], float), do: union(items, float)

  defp type([dict, key, value], float) when dict in ["dict", "Dict"],
    do: quote(do: %{optional(unquote(type(key, float))) => unquote(type(value, float))})

  defp type([tuple | items], float) when tuple in ["tuple", "Tuple"] and items != [] do
    if ["..."] in items,
      do: quote(do: tuple()),
      else: {:{}, [], Enum.map(items, &type(&1, float))}
  end

  defp type(_other, _float), do: quote(do: term())

  defp union(items, float) do
    items
    |> Enum.map(&type(&1, float))
    |> Enum.reduce(&quote(do: unquote(&2) | unquote(&1)))
  end
end
