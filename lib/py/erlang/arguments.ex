defmodule Py.Erlang.Arguments do
  @moduledoc false
  # Checks the arguments of the Erlang API and converts them to what the Elixir functions take.
  #
  # A wrong argument is the error `badarg`. The shell and crash reports show what was expected, by
  # `format_error/2`.

  import Py.Schema.Type, only: [is_timeout: 2]

  @doc "Returns `true` for an atom that may name a pool or a context."
  defguard is_pool(term) when is_atom(term) and term not in [nil, true, false]

  @doc """
  Returns a module or function name. An atom stays an atom, any other text becomes a binary.

  Raises `badarg` for other terms, and for a list that is not printable text: that is most likely
  a list of arguments in the place of a name.
  """
  def name(name) when is_atom(name) and name not in [nil, true, false], do: name

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

  @doc """
  Returns a name, key or path as a binary. Takes an atom, a binary or a string, which must not be
  empty.
  """
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

  @doc """
  Returns Python source as a binary. Takes a binary or a string.

  Bytes that are not UTF-8 are left to Python, whose error says where they are.
  """
  def code(code) when is_binary(code), do: code
  def code(code) when is_list(code), do: chars(code)
  def code(other), do: badarg("Python code as a binary or a string", other)

  @doc """
  Returns Python source that runs when a context starts. Raises `badarg` unless it is UTF-8,
  because nobody waits for Python's error there.
  """
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

  @doc "Returns a proper list. Raises `badarg` for anything else."
  def list(list) when is_list(list) and length(list) >= 0, do: list
  def list(other), do: badarg("a list", other)

  @doc "Returns a map. Raises `badarg` for anything else."
  def map(map) when is_map(map), do: map
  def map(other), do: badarg("a map", other)

  @doc "Returns a map of options. Raises `badarg` for a key that is not among `allowed`."
  def settings(settings, allowed) do
    case Map.keys(map(settings)) -- allowed do
      [] -> settings
      [unknown | _] -> badarg("one of the options #{inspect(allowed)}", unknown)
    end
  end

  @doc "Returns the pid of a context, or the atom that it is registered with."
  def context(context)
      when is_pid(context) or (is_pool(context) and context != :undefined),
      do: context

  def context(other), do: badarg("a context, by its pid or its name", other)

  @doc """
  Returns a timeout: `:infinity`, or milliseconds from 0 to 4,294,967,295, the largest timeout of
  a `receive`.
  """
  def timeout(timeout) when is_timeout(timeout, 0), do: timeout
  def timeout(other), do: badarg("milliseconds or infinity", other)

  @doc """
  Runs `work` and turns the exceptions of Elixir functions into errors of Erlang.

  `ArgumentError` and `FunctionClauseError` become `badarg`, and `Py.ContextError` becomes
  `{context_died, Reason}`.
  """
  def badarg_on_raise(work) do
    work.()
  rescue
    error in [ArgumentError, FunctionClauseError] ->
      badarg(Exception.message(error))

    error in Py.ContextError ->
      :erlang.error({:context_died, error.reason})
  end

  @doc "Raises `badarg`, with a text that says what was expected."
  @spec badarg(String.t(), term()) :: no_return()
  def badarg(expected, value),
    do: badarg("expected #{expected}, got: #{inspect(value, limit: 10)}")

  @doc "Raises `badarg` with a text for the shell and for crash reports."
  @spec badarg(String.t()) :: no_return()
  def badarg(text),
    do: :erlang.error(:badarg, :none, error_info: %{module: __MODULE__, cause: text})

  @doc """
  Returns the text of `badarg/1` for `erl_error`, which the shell and crash reports use. It is
  named in `error_info`.
  """
  def format_error(:badarg, [{_module, _function, _arity, info} | _]) do
    %{general: Keyword.get(info, :error_info, %{})[:cause] || "bad argument"}
  end
end
