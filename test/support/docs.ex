defmodule Py.Test.Docs do
  @moduledoc """
  Runs the code blocks of Markdown files, so that documentation cannot be wrong for long.

  | block | is |
  |---|---|
  | `elixir` with `iex>` | a doctest, run by `ExUnit.DocTest` |
  | other `elixir` | run |
  | `erlang` with prompts `1>` | run expression by expression; what follows an expression is compared with its value |
  | `erlang` that begins with `-module` | compiled without warnings, and loaded for the blocks after it |
  | other `erlang` | read as terms; an entry `{erlang_python, [...]}` must be a valid configuration |
  | `python` with `>>>` | a doctest of Python |
  | other `python` | run |

  Blocks of one language in one file run in their order in one process; Erlang and Python blocks share their variables. A block
  after the line `<!-- compile only -->` is only compiled; text after `compile only:` is Elixir code to compile it with, such as
  `import Plug.Conn`. Code with `def` or `use` is compiled in a module, other code in a function.

  In expected values of Erlang `_` stands for anything, and `** exception error: bad argument` for the error `badarg`. A string
  may be written as such.
  """

  import ExUnit.Assertions

  @fence ~r/(?:^<!-- compile only(?::(?<with>[^>]*))? -->\n)?^```(?<language>\w+)\n(?<code>.*?)^```$/ms

  @type block :: %{
          language: String.t(),
          code: String.t(),
          place: String.t(),
          only_compile: String.t() | nil
        }

  @doc "The blocks of a file."
  @spec blocks(Path.t()) :: [block()]
  def blocks(file), do: blocks(File.read!(file), file)

  @doc "The blocks of a text, which is called `name` in failures."
  @spec blocks(String.t(), String.t()) :: [block()]
  def blocks(text, name) do
    for [{start, length} | _groups] <- Regex.scan(@fence, text, return: :index) do
      found = Regex.named_captures(@fence, binary_part(text, start, length))
      block = binary_part(text, start, length)
      line = text |> binary_part(0, start) |> String.split("\n") |> length()

      %{
        language: found["language"],
        code: found["code"],
        place: "#{name}:#{line}",
        only_compile: if(String.starts_with?(block, "<!-- compile only"), do: found["with"])
      }
    end
  end

  @doc "Runs the blocks of a language."
  @spec run([block()], String.t()) :: :ok
  def run(blocks, language) do
    blocks
    |> Enum.filter(&(&1.language == language))
    |> Enum.reduce(start(language), &located/2)

    :ok
  end

  defp start("erlang"), do: []
  defp start("python"), do: Py.Env.new()
  defp start("elixir"), do: nil

  defp located(block, state) do
    block(block, state)
  rescue
    error in ExUnit.AssertionError ->
      reraise(error, __STACKTRACE__)

    error ->
      flunk("#{block.place}: #{Exception.format(:error, error, __STACKTRACE__)}")
  end

  ## Elixir

  defp block(%{language: "elixir", only_compile: prelude} = block, state)
       when is_binary(prelude) do
    code = "#{prelude}\n#{block.code}"

    wrapped =
      if code =~ ~r/^\s*(defp?|use) /m,
        do: "defmodule Py.Test.Docs.Block do\n#{code}\nend",
        else: "fn ->\n#{code}\nend"

    case missing_library(code) do
      nil ->
        for {module, _code} <- Code.compile_string(wrapped, block.place), do: unload(module)

      library ->
        IO.puts("#{block.place}: not compiled, #{library} is not among the libraries here")
    end

    state
  end

  defp block(%{language: "elixir"} = block, state) do
    if not (block.code =~ ~r/^\s*iex>/), do: Code.eval_string(block.code, [], file: block.place)
    state
  end

  ## Erlang

  defp block(%{language: "erlang"} = block, bindings) do
    cond do
      block.code =~ ~r/^\d+> /m -> transcript(block, bindings)
      String.starts_with?(block.code, "-module") -> module(block, bindings)
      true -> terms(block, bindings)
    end
  end

  ## Python

  defp block(%{language: "python", only_compile: prelude} = block, env) when is_binary(prelude) do
    Py.call!(:builtins, :compile, [block.code, block.place, "exec"], return: :object)
    env
  end

  defp block(%{language: "python"} = block, env) do
    if block.code =~ ~r/^>>> /m,
      do: python_doctest(block, env),
      else: Py.exec!(block.code, env: env)

    env
  end

  @doctest """
  def run(source, place, names):
      import doctest, io
      test = doctest.DocTestParser().get_doctest(source, names, place, place, 0)
      report = io.StringIO()
      failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.write, clear_globs=False).failed
      names.update(test.globs)
      return report.getvalue() if failed else ""
  """

  defp python_doctest(block, env) do
    runner = Py.Env.new()
    Py.exec!(@doctest, env: runner)
    names = Py.eval!("globals()", env: env, return: :object)
    report = Py.call!("__main__", :run, [block.code, block.place, names], env: runner)
    assert report == "", report
  end

  defp unload(module) do
    :code.purge(module)
    :code.delete(module)
  end

  ## Erlang transcripts

  defp transcript(block, bindings) do
    for {expression, expected} <- steps(block.code), reduce: bindings do
      bindings ->
        {value, bindings} = evaluate(expression, bindings)

        assert same?(value, String.trim(expected)),
               "#{block.place}: #{expression}\nexpected: #{expected}\ngot:      #{:io_lib.format(~c"~tp", [shown(value)])}"

        bindings
    end
  end

  # Up to the line that ends with a full stop the expression; up to the next prompt its value.
  defp steps(code) do
    for [_all, step] <- Regex.scan(~r/^\d+> (.*?)(?=^\d+> |\z)/ms, code) do
      [expression, expected] =
        Regex.run(~r/\A(.*?\.)[ \t]*(?:%[^\n]*)?\n(.*)\z/s, step, capture: :all_but_first)

      {expression, expected}
    end
  end

  defp evaluate(expression, bindings) do
    {:value, value, bindings} = :erl_eval.exprs(parse(expression), bindings)
    {{:value, value}, bindings}
  catch
    :error, reason -> {{:raised, reason}, bindings}
  end

  defp parse(expression) do
    {:ok, tokens, _end} = expression |> String.to_charlist() |> :erl_scan.string()
    {:ok, expressions} = :erl_parse.parse_exprs(tokens)
    expressions
  end

  # Nothing is written where the value says nothing.
  defp same?({:value, _value}, ""), do: true
  defp same?({:raised, :badarg}, "** exception error: bad argument" <> _), do: true
  defp same?({:raised, _reason}, _expected), do: false

  defp same?({:value, value}, expected) do
    if expected =~ ~r/\b_\b/ do
      match?({:value, _, _}, :erl_eval.exprs(parse("#{expected} = Value."), Value: value))
    else
      {:value, ^value, _bindings} = :erl_eval.exprs(parse(expected <> "."), [])
      true
    end
  rescue
    MatchError -> false
    ErlangError -> false
  end

  defp shown({_how, value}), do: value

  defp module(block, bindings) do
    path = Path.join(System.tmp_dir!(), "#{System.unique_integer([:positive])}.erl")
    File.write!(path, block.code)

    {:ok, module, binary, []} =
      :compile.file(to_charlist(path), [:binary, :return, :warnings_as_errors])

    File.rm!(path)

    if block.only_compile == nil,
      do: {:module, ^module} = :code.load_binary(module, ~c"#{module}.erl", binary)

    bindings
  end

  # As file:consult reads them.
  defp terms(block, bindings) do
    {:ok, tokens, _end} = block.code |> String.to_charlist() |> :erl_scan.string()

    for term <- statements(tokens),
        do: term |> :erl_parse.parse_term() |> configuration!(block.place)

    bindings
  end

  defp statements(tokens) do
    Enum.chunk_while(
      tokens,
      [],
      fn
        {:dot, _at} = dot, taken -> {:cont, Enum.reverse([dot | taken]), []}
        token, taken -> {:cont, [token | taken]}
      end,
      fn
        [] -> {:cont, []}
        rest -> flunk("terms end with a full stop: #{inspect(rest)}")
      end
    )
  end

  defp configuration!({:ok, applications}, place) when is_list(applications) do
    for {:erlang_python, settings} <- applications, is_list(settings), {key, value} <- settings do
      assert key in Py.Config.keys(), "#{place}: there is no setting #{key}"
      Py.Config.check!(key, value)
    end
  end

  defp configuration!({:ok, _term}, _place), do: :ok

  defp missing_library(code) do
    Enum.find_value([{"Phoenix.", Phoenix.Router}, {"Plug.", Plug.Conn}], fn {prefix, module} ->
      if code =~ prefix and not Code.ensure_loaded?(module), do: inspect(module)
    end)
  end
end
