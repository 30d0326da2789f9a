defmodule Py.Setup do
  @moduledoc """
  The start of every context: directories of modules, imports, and code.

  The configuration says so for the start of the application (`:paths`, `:imports`, `:preload`). The functions here change it
  until the application stops. Directories and imports also reach the contexts that run already; code that is preloaded does
  not.

      iex> Py.Setup.add_import("fractions")
      :ok
      iex> Py.call!(:sys, "modules.__contains__", ["fractions"])
      true
      iex> {:error, error} = Py.Setup.add_import("no_such_module")
      iex> error.type
      "ModuleNotFoundError"

  Functions that reach running contexts ask one context of each interpreter (imports: each context), up to 16 at
  once. A context that ends meanwhile is no error: it has nothing to be set up.
  """

  alias Py.Config
  alias Py.Setup.Everywhere

  @options Py.Schema.keys(:setup)

  @typedoc "An imported module, and the name in it that was asked for, or all of it."
  @type import :: {String.t(), :all | String.t()}

  ## Directories

  @doc """
  Puts directories (or zip files) in front of `sys.path`, in their order, of all contexts and of those that start
  later.

      iex> Py.Setup.add_paths([System.tmp_dir!()])
      :ok
      iex> Path.expand(System.tmp_dir!()) in Py.Setup.paths()
      true
      iex> Py.Setup.clear_paths()
      :ok

  Relative ones are expanded. `{:my_app, "python"}` is the folder `priv/python` of the application `:my_app`, in a release as
  well. They are kept also where an error is returned.

  ## Options

  #{Py.Schema.Docs.options(:setup)}

  ## Errors

  `{:error, exception}` with the first error of a context, one of

  #{Py.Schema.Docs.errors([:timeout, :overloaded])}

  The other contexts are changed all the same. Raises `ArgumentError` for a wrong option, and for paths that are no
  such list. A directory need not exist yet, as in `sys.path`.
  """
  @doc since: "0.1.0"
  @spec add_paths([Path.t() | {atom(), String.t()}], keyword()) :: :ok | {:error, Exception.t()}
  def add_paths(paths, options \\ []) do
    options = options!(options)
    :paths |> Py.Schema.value!(:paths, paths) |> Everywhere.add_paths(options)
  end

  @doc """
  The directories of the configuration and of `add_paths/2`, in the order of `sys.path`.

  ## Errors

  Raises `Py.ContextError` while the application does not run.
  """
  @doc since: "0.1.0"
  @spec paths() :: [Path.t()]
  def paths, do: Config.get(:paths)

  @doc """
  Forgets the directories of the configuration and of `add_paths/2`: contexts that start later do not have them.
  Contexts that run keep them.
  """
  @doc since: "0.1.0"
  @spec clear_paths() :: :ok
  def clear_paths, do: Config.update(:paths, fn _paths -> [] end)

  ## Imports

  @doc """
  Imports a module in all contexts, and in those that start later. Their code sees its name.

  `module` is a dotted name, as in an import statement. `name` is what will be used of the module: it is noted for
  `imports/0` and looks nothing up. `put_preload/1` with an `import` statement reaches the contexts that start later
  only.

      iex> Py.Setup.add_import("statistics", :mean)
      :ok
      iex> {"statistics", "mean"} in Py.Setup.imports()
      true
      iex> Py.eval!("statistics.mean([1, 3])", context: 1)
      2

  ## Options

  #{Py.Schema.Docs.options(:setup)}

  ## Errors

  `{:error, exception}` with the first error of a context, one of

  #{Py.Schema.Docs.errors([:python, :timeout, :overloaded])}

  A `Py.Error` of type `ModuleNotFoundError` names the missing module. An import that fails is not kept, so that
  contexts go on to start. Raises `ArgumentError` for a wrong option, and for a name that no import statement takes.
  """
  @doc since: "0.1.0"
  @spec add_import(Py.name(), :all | Py.name(), keyword()) :: :ok | {:error, Exception.t()}
  def add_import(module, name \\ :all, options \\ []) do
    name = if name == :all, do: :all, else: to_string(name)
    Everywhere.add_import(to_string(module), name, options!(options))
  end

  @doc """
  The imports of the configuration and of `add_import/3`, in the order in which a context makes them.

  ## Errors

  Raises `Py.ContextError` while the application does not run.
  """
  @doc since: "0.1.0"
  @spec imports() :: [import()]
  def imports, do: Config.get(:imports)

  @doc """
  Forgets the imports of the configuration and of `add_import/3`: contexts that start later do not make them.
  Contexts that run keep the names.
  """
  @doc since: "0.1.0"
  @spec clear_imports() :: :ok
  def clear_imports, do: Config.update(:imports, fn _imports -> [] end)

  ## Code

  @doc """
  Has contexts that start from now on run `code` first, in place of the configured `:preload`. What it defines is seen by all
  code they run. May be called before the application starts.

      iex> Py.Setup.put_preload("rate = 1.5")
      :ok
      iex> {:ok, context} = Py.Context.start_link()
      iex> Py.eval(context, "rate")
      {:ok, 1.5}
      iex> Py.Setup.delete_preload()
      :ok

  Code that raises is an error of the start of each context: `Py.Context.start_link/1` returns it.
  """
  @doc since: "0.1.0"
  @spec put_preload(String.t()) :: :ok
  def put_preload(code) when is_binary(code), do: set_preload(code)

  @doc "The code that contexts run when they start, or `nil`."
  @doc since: "0.1.0"
  @spec preload() :: String.t() | nil
  def preload, do: Application.get_env(:erlang_python, :preload)

  @doc "Undoes `put_preload/1`, and the configured `:preload`."
  @doc since: "0.1.0"
  @spec delete_preload() :: :ok
  def delete_preload, do: set_preload(nil)

  # `persistent`: the environment of the application may be loaded later.
  defp set_preload(code) do
    Application.put_env(:erlang_python, :preload, code, persistent: true)
    if Py.Lifecycle.running?(), do: Config.update(:preload, fn _code -> code end), else: :ok
  end

  ## Everywhere

  @doc """
  Reloads a module wherever it is loaded, as `importlib.reload` does: its names are defined again, what was imported
  *from* it stays.

      iex> Py.Setup.reload("statistics")
      :ok

  Where the module is not loaded nothing happens.

  ## Options

  #{Py.Schema.Docs.options(:setup)}

  ## Errors

  `{:error, exception}` with the first error of a context, one of

  #{Py.Schema.Docs.errors([:python, :timeout, :overloaded])}

  The other contexts are changed all the same. Raises `ArgumentError` for a wrong option.
  """
  @doc since: "0.1.0"
  @spec reload(Py.name(), keyword()) :: :ok | {:error, Exception.t()}
  def reload(module, options \\ []) do
    module |> to_string() |> Everywhere.reload(options!(options))
  end

  @doc """
  Copies the environment variables of the VM (`System.get_env/0`) to `os.environ` of every interpreter, and so to the
  programs that Python starts.

  This happens by itself when Python starts. Later changes by `System.put_env/2` and `System.delete_env/1` are seen by
  Python after this. Changes that Python makes to `os.environ` are seen by that interpreter, C code and the
  programs that Python starts, never by `System.get_env/1`; this undoes them.

      iex> System.put_env("GREETING", "hello")
      iex> Py.Setup.sync_env()
      :ok
      iex> Py.eval!("__import__('os').environ['GREETING']")
      "hello"
      iex> System.delete_env("GREETING")
      iex> Py.Setup.sync_env()
      :ok

  ## Options

  #{Py.Schema.Docs.options(:setup)}

  ## Errors

  `{:error, exception}` with the first error of a context, one of

  #{Py.Schema.Docs.errors([:timeout, :overloaded])}

  The other contexts are changed all the same. Raises `ArgumentError` for a wrong option.
  """
  @doc since: "0.1.0"
  @spec sync_env(keyword()) :: :ok | {:error, Exception.t()}
  def sync_env(options \\ []) do
    arguments = [Map.new(environment())]
    Everywhere.on_each_interpreter("erlang._setup", :sync_env, arguments, options!(options))
  end

  @doc false
  # Names and values that are no text are left as they are.
  @spec environment() :: [{String.t(), String.t()}]
  def environment do
    for {name, value} <- System.get_env(),
        String.valid?(name) and String.valid?(value),
        do: {name, value}
  end

  @heap_variables ~w(MALLOC_MMAP_THRESHOLD_ MALLOC_TRIM_THRESHOLD_ MALLOC_TOP_PAD_)
  @heap_tunables ~r/glibc\.malloc\.(mmap_threshold|trim_threshold|top_pad)=/

  @doc false
  # Returns `true` if nobody has said how much memory the C library keeps: neither the configuration, nor the environment,
  # nor the flags of the VM, which has defaults of its own.
  @spec memory_tuning?() :: boolean()
  def memory_tuning? do
    Config.get(:memory_tuning) and
      not Enum.any?(@heap_variables, &System.get_env/1) and
      not (System.get_env("GLIBC_TUNABLES", "") =~ @heap_tunables) and
      default_flags?(:erlang.system_info({:allocator, :sys_alloc}))
  end

  # +MYtt and +MYtp.
  defp default_flags?(info) when is_list(info) do
    options = info[:options] || []
    options[:tt] in [nil, 131_072] and options[:tp] in [nil, 0]
  end

  defp default_flags?(_info), do: true

  defp options!(options), do: Py.Options.new(options, @options)
end
