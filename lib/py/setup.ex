defmodule Py.Setup do
  @moduledoc """
  What every context starts with: directories of modules, imports, and code.

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

  Functions that reach running contexts take `:timeout` (milliseconds for each, default 30_000), and return the
  first error of a context. The others are changed all the same.
  """

  alias Py.Config
  alias Py.Setup.Everywhere

  @options Py.Schema.keys(:setup)

  @typedoc "An imported module, and the name in it that was asked for, or all of it."
  @type import :: {String.t(), :all | String.t()}

  ## Directories

  @doc "Puts directories in front of `sys.path`, in their order, of all contexts and of those that start later."
  @spec add_paths([Path.t()], keyword()) :: :ok | {:error, term()}
  def add_paths(paths, options \\ []) when is_list(paths) do
    options = options!(options)
    paths |> Enum.map(&to_string/1) |> Everywhere.add_paths(options)
  end

  @doc "The directories of the configuration and of `add_paths/2`."
  @spec paths() :: [Path.t()]
  def paths, do: Config.get(:paths)

  @doc "Forgets the directories; contexts that run keep them."
  @spec clear_paths() :: :ok
  def clear_paths, do: Config.update(:paths, fn _paths -> [] end)

  ## Imports

  @doc """
  Imports a module in all contexts, and in those that start later. Their code sees its name.

  Where that fails nothing is kept, so that contexts go on to start. `name` is what will be used of the module: it is
  noted for `imports/0` and looks nothing up.
  """
  @spec add_import(Py.name(), :all | Py.name(), keyword()) :: :ok | {:error, term()}
  def add_import(module, name \\ :all, options \\ []) do
    name = if name == :all, do: :all, else: to_string(name)
    Everywhere.add_import(to_string(module), name, options!(options))
  end

  @doc "The imports of the configuration and of `add_import/3`."
  @spec imports() :: [import()]
  def imports, do: Config.get(:imports)

  @doc "Forgets the imports; contexts that run keep them."
  @spec clear_imports() :: :ok
  def clear_imports, do: Config.update(:imports, fn _imports -> [] end)

  ## Code

  @doc """
  Has contexts that start from now on run `code` first, in place of the configured `:preload`. What it defines is seen by all
  code they run. May be called before the application starts.
  """
  @spec put_preload(String.t()) :: :ok
  def put_preload(code) when is_binary(code), do: set_preload(code)

  @doc "The code that contexts run when they start, or `nil`."
  @spec preload() :: String.t() | nil
  def preload, do: Application.get_env(:erlang_python, :preload)

  @doc "Undoes `put_preload/1`, and the configured `:preload`."
  @spec delete_preload() :: :ok
  def delete_preload, do: set_preload(nil)

  # `persistent`: the environment of the application may be loaded later.
  defp set_preload(code) do
    Application.put_env(:erlang_python, :preload, code, persistent: true)
    if Py.Lifecycle.running?(), do: Config.update(:preload, fn _code -> code end), else: :ok
  end

  ## Everywhere

  @doc """
  Reloads a module wherever it is loaded, as `importlib.reload` does: its names are defined anew, what was imported *from* it
  stays.
  """
  @spec reload(Py.name(), keyword()) :: :ok | {:error, term()}
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
  """
  @doc since: "0.1.0"
  @spec sync_env(keyword()) :: :ok | {:error, term()}
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
  # Whether nobody has said how much memory the C library keeps: neither the configuration, nor the environment, nor the
  # flags of the VM, which has defaults of its own.
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
