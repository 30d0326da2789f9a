defmodule Py.Context.Boot do
  @moduledoc false
  # The Python code that a context runs when it starts: the set-up of logging, the imports, then
  # the preloaded code.

  alias Py.Config

  @doc """
  Returns the code to run, or `nil` when there is none.

  `preload` is the preloaded code: that of the options of the context, or else of the
  configuration.
  """
  @spec code(String.t() | nil) :: String.t() | nil
  def code(preload) do
    case logging(Config.get(:logging)) <> imports(Config.get(:imports)) <> (preload || "") do
      "" -> nil
      code -> code
    end
  end

  @doc "Returns the import statement of an entry of `Py.Setup.imports/0`."
  @spec import_statement({String.t(), :all | String.t()}) :: String.t()
  def import_statement({module, _name}), do: "import #{module}"

  defp imports(entries), do: Enum.map_join(entries, &(import_statement(&1) <> "\n"))

  defp logging(nil), do: ""

  defp logging({level, format}) do
    arguments = Enum.map_join([level | List.wrap(format)], ", ", &literal/1)
    "__import__('erlang._logging', fromlist=['configure']).configure(#{arguments})\n"
  end

  # A Python string literal. Each character is an escape, so no text can end the literal.
  defp literal(text) do
    digits =
      for <<char::utf8 <- text>>,
        do: ["\\U", char |> Integer.to_string(16) |> String.pad_leading(8, "0")]

    "'#{digits}'"
  end
end
