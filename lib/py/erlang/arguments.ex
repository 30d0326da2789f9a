defmodule Py.Erlang.Arguments do
  @moduledoc false
  # Arguments of the Erlang API, checked and as the Elixir functions take them. A wrong one is the error `badarg`, with a text
  # for the shell that says what is expected.

  import Py.Schema.Type, only: [is_timeout: 2]

  defguard is_pool(term) when is_atom(term) and term not in [nil, true, false]

  def name(name) when is_atom(name) and name not in [nil, true, false], do: name

  # `[4]` is a string too, and most likely the list of arguments.
  def name([_ | _] = list) do
    if String.printable?(chars(list)),
      do: text(list),
      else:
        badarg(
          "a name (arguments are Module, Function, Args, Kwargs, Timeout; a context or a pool goes before them)",
          list
        )
  end

  def name(name), do: text(name)

  # Text, of a name, key or path: an atom, a binary or a string.
  def text(text) when is_binary(text) and text != "" do
    if String.valid?(text), do: text, else: badarg("UTF-8 text", text)
  end

  def text(text) when is_atom(text) and text not in [nil, true, false], do: Atom.to_string(text)

  def text([_ | _] = text) do
    case chars(text) do
      "" -> badarg("a name", text)
      text -> text
    end
  end

  def text(other), do: badarg("a name as an atom, a binary or a string", other)

  def code(code) when is_binary(code), do: code
  def code(code) when is_list(code), do: chars(code)
  def code(other), do: badarg("Python code as a binary or a string", other)

  # Code that runs where nobody waits for its error.
  def preload(code) do
    code = code(code)
    if String.valid?(code), do: code, else: badarg("UTF-8 text", code)
  end

  # Code points, or bytes of UTF-8 as they come from files.
  defp chars(list) do
    :unicode.characters_to_binary(list)
  rescue
    ArgumentError -> badarg("text", list)
  else
    text when is_binary(text) -> text
    _invalid -> badarg("text", list)
  end

  def list(list) when is_list(list) and length(list) >= 0, do: list
  def list(other), do: badarg("a list", other)

  def map(map) when is_map(map), do: map
  def map(other), do: badarg("a map", other)

  def settings(settings, allowed) do
    case Map.keys(map(settings)) -- allowed do
      [] -> settings
      [unknown | _] -> badarg("one of the options #{inspect(allowed)}", unknown)
    end
  end

  # A pid, or the name that it is registered with.
  def context(context)
      when is_pid(context) or (is_pool(context) and context != :undefined),
      do: context

  def context(other), do: badarg("a context, by its pid or its name", other)

  def timeout(timeout) when is_timeout(timeout, 0), do: timeout
  def timeout(other), do: badarg("milliseconds or infinity", other)

  def badarg_on_raise(work) do
    work.()
  rescue
    error in [ArgumentError, FunctionClauseError] ->
      badarg(Exception.message(error))

    error in Py.ContextError ->
      :erlang.error({:context_died, error.reason})
  end

  @spec badarg(String.t(), term()) :: no_return()
  def badarg(expected, value),
    do: badarg("expected #{expected}, got: #{inspect(value, limit: 10)}")

  @spec badarg(String.t()) :: no_return()
  def badarg(text),
    do: :erlang.error(:badarg, :none, error_info: %{module: __MODULE__, cause: text})

  # For the shell and for reports: see erl_error.
  def format_error(:badarg, [{_module, _function, _arity, info} | _]) do
    %{general: Keyword.get(info, :error_info, %{})[:cause] || "bad argument"}
  end
end
