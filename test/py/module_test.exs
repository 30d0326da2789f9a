defmodule Py.ModuleTest do
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  @file_of_functions "test/python/py_module_fixture.py"

  defmodule Functions do
    use Py.Module, file: "test/python/py_module_fixture.py"

    def own, do: :own
  end

  defmodule Some do
    @moduledoc "Functions of `statistics`."
    use Py.Module, module: "statistics", only: [:mean, :median], call: [context: 2]
  end

  setup do
    Py.Test.Leftovers.restore_sys_path()
    :ok = Py.Setup.add_paths(["test/python"])
    on_exit(&Py.Setup.clear_paths/0)
  end

  # Of a module that is compiled in the test.
  defp define(options) do
    name = Module.concat(__MODULE__, "Defined#{System.unique_integer([:positive])}")

    Code.eval_quoted(
      quote do
        defmodule unquote(name) do
          use Py.Module, unquote(options)
        end
      end
    )

    name
  end

  defp refused(options) do
    {:error, error} =
      with_io(:stderr, fn ->
        try do
          {:ok, define(options)}
        rescue
          error -> {:error, error}
        end
      end)
      |> elem(0)

    error
  end

  test "positional parameters are arguments, keyword-only ones options" do
    assert Functions.score("a") == {:ok, [{"a-small-None", 5.0}]}
    assert Functions.score("a", 2) == {:ok, [{"a-small-None", 2.0}]}
    assert Functions.score("a", 2, model: "big") == {:ok, [{"a-big-None", 2.0}]}
    assert Functions.score!("a", 2, floor: 0.5, timeout: 5_000) == [{"a-small-0.5", 2.0}]
    assert Functions.system() == {:ok, "posix"}
    assert Functions.own() == :own
  end

  test "defaults that are no constants are Python's" do
    assert Functions.separated("a/b/c") == {:ok, ["a", "b", "c"]}
    assert Functions.separated("a b c", " ") == {:ok, ["a", "b", "c"]}
    assert Functions.separated("a b c", " ", 1) == {:ok, ["a", "b c"]}
  end

  test "*args are a list, **kwargs further options" do
    assert Functions.total(1) == {:ok, 1}
    assert Functions.total(1, [2, 3]) == {:ok, 6}
    assert Functions.total(1, [2, 3], scale: 2) == {:ok, 12}

    # A name that Py.call has, too, is the parameter's.
    assert Functions.options(timeout: 1, colour: "red") ==
             {:ok, %{"timeout" => 1, "colour" => "red"}}
  end

  test "coroutine functions are run, generators are handles" do
    assert Functions.later(1, times: 2) == {:ok, [1, 1]}
    assert {:ok, %Py.Object{} = generator} = Functions.count(3)
    assert Py.call!(:builtins, :list, [generator]) == [0, 1, 2]
  end

  test "names that mean something else in Elixir are kept" do
    assert Functions.end(1, 2) == {:ok, [1, 2, 1]}
    assert apply(Functions, :end!, [1, 2, 3]) == [1, 2, 3]
  end

  test "exceptions are results, or raised" do
    assert {:error, %Py.Error{type: "ValueError", message: "as asked"}} = Functions.fails()
    assert_raise Py.Error, ~r/as asked/, fn -> Functions.fails!() end
    assert {:error, %Py.Error{type: "TypeError"}} = Functions.options([])
  end

  test "while the application is not running, the result says so" do
    ExUnit.CaptureLog.capture_log(fn ->
      :ok = Application.stop(:erlang_python)
      assert {:error, %Py.ContextError{reason: :not_running}} = Functions.score("a")
      assert_raise Py.ContextError, fn -> Functions.score!("a") end
      {:ok, _started} = Application.ensure_all_started(:erlang_python)
    end)

    assert Functions.system() == {:ok, "posix"}
  end

  test "docstrings, signatures and type hints are those of Python" do
    {:docs_v1, _, _, _, %{"en" => about}, _, _} = compiled(@file_of_functions)
    assert about == "Functions for test/py/module_test.exs."
    {_key, _line, [head], %{"en" => doc}, _meta} = doc(compiled(@file_of_functions), :score, 3)
    assert head == "score(text, top \\\\ 5, options \\\\ [])"
    assert doc =~ "Scores a text.\n\nThe best first."
    assert doc =~ "`def score(text: str, top: int=5, *, model: str='small'"
    assert doc =~ "`:model`, `:floor`"
    assert Functions.__info__(:functions) |> Keyword.get_values(:_hidden) == []

    assert Functions.__info__(:functions) |> Keyword.get_values(:score) |> Enum.sort() == [
             1,
             2,
             3
           ]
  end

  test "type hints are specs" do
    specs = specs(@file_of_functions)

    assert specs[{:score, 3}] =~
             "score(String.t(), integer(), keyword()) :: {:ok, [{String.t(), float()}]} | {:error, Exception.t()}"

    assert specs[{:total!, 3}] =~
             "total!(integer() | number(), [term()], keyword()) :: float() | nil"

    assert specs[{:count!, 2}] =~ "count!(integer(), keyword()) :: Py.Object.t()"
  end

  test "a module that Python finds, some of its functions, and options of all calls" do
    assert Some.mean!([1, 2, 3]) == 2

    assert Some.__info__(:functions) |> Keyword.keys() |> Enum.uniq() == [
             :mean,
             :mean!,
             :median,
             :median!
           ]

    assert Some.mean([1], context: :nowhere) |> elem(0) == :error
  end

  @tag :tmp_dir
  test "a changed file is another module, and is reloaded", %{tmp_dir: folder} do
    package = Path.join(folder, "py_module_package")
    File.mkdir_p!(package)
    File.write!(Path.join(package, "__init__.py"), "")
    file = Path.join(package, "changing.py")
    File.write!(file, "def version():\n    return 'first'\n")
    first = define(file: file)
    assert first.version() == {:ok, "first"}

    assert Py.eval!("__import__('py_module_package.changing').changing.__name__") ==
             "py_module_package.changing"

    File.write!(file, "def version():\n    return 'the second'\ndef more(): return 1\n")
    second = define(file: file)
    assert second.version() == {:ok, "the second"}
    assert second.more!() == 1
    assert second.__info__(:attributes)[:external_resource] == [file]
  end

  @tag :tmp_dir
  test "what cannot be read is an error of compilation", %{tmp_dir: folder} do
    file = Path.join(folder, "broken.py")
    File.write!(file, "x = 1\ndef broken(:\n")
    assert %CompileError{description: reason} = refused(file: file)
    assert reason =~ "broken.py:2: "
    assert refused(file: "no/such.py").description =~ "there is no file"
    assert refused(module: "no_such.module").description =~ "there is no Python module no_such"
    assert refused(module: "sys").description =~ "has no source file"
    assert refused([]).description =~ "give either :file or :module"
    assert refused(module: "json", only: [:nope]).description =~ "no public functions [:nope]"
    assert %ArgumentError{} = refused(module: "json", call: [timeot: 1])
    assert %ArgumentError{} = refused(fil: "x")
  end

  defp binary(file) do
    name = Module.concat(__MODULE__, "Binary#{System.unique_integer([:positive])}")
    options = Code.compiler_options(docs: true, debug_info: true)

    [{^name, binary}] =
      Code.compile_string(
        "defmodule #{inspect(name)} do\n use Py.Module, file: #{inspect(file)}\nend"
      )

    Code.compiler_options(options)
    binary
  end

  defp compiled(file) do
    {:ok, {_module, [{~c"Docs", docs}]}} = :beam_lib.chunks(binary(file), [~c"Docs"])
    :erlang.binary_to_term(docs)
  end

  defp doc(docs, name, arity) do
    Enum.find(elem(docs, 6), &(elem(&1, 0) == {:function, name, arity}))
  end

  defp specs(file) do
    {:ok, specs} = Code.Typespec.fetch_specs(binary(file))

    for {{name, _arity} = key, [spec | _]} <- specs, into: %{} do
      text = name |> Code.Typespec.spec_to_quoted(spec) |> Macro.to_string()

      {key,
       text |> String.replace(~r/\s+/, " ") |> String.replace(~r/\( | (?=\))/, &String.trim/1)}
    end
  end
end
