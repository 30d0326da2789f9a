defmodule Py.Context.Boot do
  @moduledoc false
  # The Python code that a context runs when it starts: the set-up of logging, the imports, then the preloaded code.

  alias Py.Config

  @doc "The code to run, where `preload` is the part that the options of the context give; `nil` when there is none."
  @spec code(String.t() | nil) :: String.t() | nil
  def code(preload) do
    case logging(Config.get(:logging)) <> imports(Config.get(:imports)) <> (preload || "") do
      "" -> nil
      code -> code
    end
  end

  @doc "The statement of an entry of `Py.Setup.imports/0`."
  @spec import_statement({String.t(), :all | String.t()}) :: String.t()
  def import_statement({module, _name}), do: "import #{module}"

  defp imports(entries), do: Enum.map_join(entries, &(import_statement(&1) <> "\n"))

  defp logging(nil), do: ""

  defp logging({level, format}) do
    arguments = Enum.map_join([level | List.wrap(format)], ", ", &literal/1)
    "__import__('erlang._logging', fromlist=['configure']).configure(#{arguments})\n"
  end

  # A Python string literal, whatever characters the text has.
  defp literal(text) do
    digits =
      for <<char::utf8 <- text>>,
        do: ["\\U", char |> Integer.to_string(16) |> String.pad_leading(8, "0")]

    "'#{digits}'"
  end
end
