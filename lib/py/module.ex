defmodule Py.Module do
  @moduledoc """
  A Python file as an Elixir module: a function for each of its public functions.

  With `priv/python/score.py`

      def score(text: str, top: int = 5, *, model: str = "small") -> list[str]:
          \"\"\"Scores a text.\"\"\"

  and

      defmodule MyApp.Score do
        use Py.Module, file: "priv/python/score.py"
      end

  there is `MyApp.Score.score/3`, with the docstring, the defaults and the types of the original:

      MyApp.Score.score("some text")
      MyApp.Score.score("some text", 10, model: "large", timeout: 60_000)
      MyApp.Score.score!("some text")

  Python reads the text of the file while the Elixir module is compiled, and runs nothing of it. The
  Elixir module is compiled again when the file changes. In a VM that runs, the Python module is
  reloaded then (`Py.Setup.reload/2`), so Phoenix's code reloader and `recompile/0` in IEx take the
  change along.

  ## The functions

    * `name` returns `{:ok, value}` or `{:error, exception}`, and `name!` the value, or raises
    * Positional parameters are arguments. Their defaults apply, also those that are no constants
    * `*args` is one more argument, a list
    * Keyword-only parameters are options, beside the options of `Py.call/4`. A name that both have
      is the parameter's
    * With `**kwargs`, all other options are keywords
    * A coroutine function (`async def`) is run by `asyncio.run`, and its value is the result
    * A generator function returns the generator as a `Py.Object`

  Public are the functions at the top level of the file that `__all__` lists, or that do not begin
  with an underscore.

  ## Options of `use`

    * `:file` - the path of the file, relative to the folder of the project. Files below `priv`
      are found in releases, too. The folder that has it (for a file in a package, the folder that
      has the package) is put into `sys.path` at the first call
    * `:module` - instead of a file, a module that Python finds: `"mypkg.score"`
    * `:paths` - folders that `:module` is looked up in, before the paths of Python
    * `:only` - the functions to define, as atoms. Default: all
    * `:call` - options of `Py.call/4` for all calls: `call: [context: :models, timeout: 60_000]`

  Compilation needs a Python, found as by `Py.Interpreter`. It need not be the one of production.
  """
  @moduledoc since: "0.1.0"

  alias Py.Module.{Definition, Source}

  @call_options Py.Schema.keys(:call) -- [:kwargs]

  defmacro __using__(options) do
    {options, _binding} = Code.eval_quoted(options, [], __CALLER__)
    options = options!(options, __CALLER__)
    {file, doc, functions} = read!(options, __CALLER__)
    functions = choose!(functions, options[:only], __CALLER__)
    place = %{module: module_name(options, file), root: root(options, file), call: options[:call]}
    reload(place.module)

    quote do
      @external_resource unquote(file)
      @py_module unquote(Macro.escape(place))
      if @moduledoc == nil, do: @moduledoc(unquote(doc || "The Python module `#{place.module}`."))
      unquote_splicing(Enum.flat_map(functions, &Definition.functions/1))
    end
  end

  ## While the module is compiled

  @defaults [file: nil, module: nil, paths: [], only: :all, call: []]

  defp options!(options, env) do
    options = Keyword.validate!(options, @defaults)
    Py.Options.new(options[:call], @call_options)

    if Enum.count([options[:file], options[:module]], & &1) != 1,
      do: Source.error!(env, "give either :file or :module")

    options
  end

  defp read!(options, env) do
    if file = options[:file] do
      file = Path.expand(file)
      if not File.exists?(file), do: Source.error!(env, "there is no file #{file}")
      Source.read!({:file, file}, [], env)
    else
      paths = Enum.map(options[:paths], &Path.expand/1)
      Source.read!({:module, to_string(options[:module])}, paths, env)
    end
  end

  defp choose!(functions, :all, _env), do: functions

  defp choose!(functions, names, env) do
    known = for function <- functions, do: function |> elem(0) |> String.to_atom()

    case names -- known do
      [] ->
        Enum.filter(functions, &(String.to_atom(elem(&1, 0)) in names))

      missing ->
        Source.error!(
          env,
          "the file has no public functions #{inspect(missing)}, it has #{inspect(known)}"
        )
    end
  end

  # A file in a package is a module of that package.
  defp module_name(%{module: module}, _file) when module != nil, do: to_string(module)
  defp module_name(options, file) when is_list(options), do: module_name(Map.new(options), file)

  defp module_name(_options, file) do
    names = [Path.basename(file, ".py") | packages(Path.dirname(file))]
    names = if hd(names) == "__init__", do: tl(names), else: names
    names |> Enum.reverse() |> Enum.join(".")
  end

  # The names of the packages that a folder is within, the innermost first.
  defp packages(folder) do
    if File.exists?(Path.join(folder, "__init__.py")),
      do: [Path.basename(folder) | packages(Path.dirname(folder))],
      else: []
  end

  defp root(options, file) do
    if options[:file] do
      folder = Path.dirname(file)
      root = Enum.reduce(packages(folder), folder, fn _name, folder -> Path.dirname(folder) end)
      in_priv(Path.relative_to_cwd(root)) || root
    end
  end

  # The priv folder of the application is elsewhere in a release.
  defp in_priv("priv" <> _rest = root), do: {Mix.Project.config()[:app], root}
  defp in_priv(_root), do: nil

  # The file of a module that is compiled again has changed.
  defp reload(module) do
    if Py.Lifecycle.running?() do
      with {:error, error} <- Py.Setup.reload(module) do
        Py.Log.log(
          :error,
          "the Python module #{module} was not reloaded: #{Exception.message(error)}"
        )
      end
    end
  end

  ## Calls

  @doc false
  # The default of a parameter whose default is no constant: Python's own applies.
  @spec default() :: atom()
  def default, do: :"$py_default"

  @doc false
  @spec call(map(), tuple(), [term()], keyword()) :: Py.result()
  def call(place, {name, kind, rest, keywords}, args, options) do
    add_root(place.root)
    args = arguments(args, rest)
    {kwargs, options} = split(options, keywords, place.call)
    call(kind, place.module, name, args, kwargs, options)
  end

  defp call(:function, module, name, args, kwargs, options),
    do: Py.call(module, name, args, [{:kwargs, kwargs} | options])

  defp call(:async, module, name, args, kwargs, options),
    do: Py.call("erlang._module", :run, [module, name, args, kwargs], options)

  defp call(_generator, module, name, args, kwargs, options),
    do: Py.call(module, name, args, [{:kwargs, kwargs}, {:return, :object} | options])

  @doc false
  @spec call!(map(), tuple(), [term()], keyword()) :: term()
  def call!(place, function, args, options) do
    case call(place, function, args, options) do
      {:ok, value} -> value
      {:error, error} -> raise error
    end
  end

  defp add_root(nil), do: :ok
  defp add_root({app, folder}), do: app |> Application.app_dir(folder) |> add_root()

  defp add_root(folder) do
    # While the application is not running, the call says so.
    if Py.Lifecycle.running?() and folder not in Py.Config.get(:paths),
      do: Py.Setup.add_paths([folder]),
      else: :ok
  end

  # Up to the first that has Python's default: those after it have theirs.
  defp arguments(args, false), do: Enum.take_while(args, &(&1 != default()))

  defp arguments(args, true) do
    {args, [rest]} = Enum.split(args, -1)
    if rest == [], do: arguments(args, false), else: args ++ rest
  end

  defp split(options, {names, any}, call) do
    keyword? = fn {key, _value} -> key in names or (any and key not in @call_options) end
    {kwargs, options} = Enum.split_with(options, keyword?)
    {Map.new(kwargs), Keyword.merge(call, options)}
  end
end
