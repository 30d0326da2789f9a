defmodule Py.Interpreter do
  @moduledoc """
  Finds the Python to embed: its executable, its shared library, its virtual environment.

  In this order, the first that is set or found:

    1. `config :erlang_python, python: "…"` - a path, a name (`"python3.14"`), a version (`"3.14"`), or the folder of
       a virtual environment. `venv: "…"` is an alias for the last one, and goes before `python`
    2. the environment variable `ERLANG_PYTHON`, with the same values
    3. the environment variable `VIRTUAL_ENV`
    4. `python3` on the `PATH`
    5. the newest `python3.X` on the `PATH`

  What is set explicitly (1 to 3) must work. What is found on the `PATH` is skipped when it cannot be embedded. CPython
  3.11+ with a shared library can.
  """

  @enforce_keys [:executable, :version, :library]
  defstruct [:executable, :version, :library, :prefix, :base_prefix, free_threaded: false]

  @type t :: %__MODULE__{
          executable: Path.t(),
          version: {pos_integer(), non_neg_integer()},
          library: Path.t(),
          prefix: Path.t(),
          base_prefix: Path.t(),
          free_threaded: boolean()
        }

  @oldest {3, 11}
  @newest_known 20

  # Prints one fact per line. Runs isolated (-I), so no file of the working directory shadows a module.
  @probe """
  import os, sys, sysconfig, platform
  get = sysconfig.get_config_var
  names = [get('INSTSONAME'), get('LDLIBRARY'), get('PY3LIBRARY')]
  dirs = [get('LIBDIR'), get('LIBPL'), os.path.join(sys.base_prefix, 'lib'), get('PYTHONFRAMEWORKPREFIX')]
  libs = [os.path.join(d, n) for d in dirs if d for n in names if n and not n.endswith('.a')]
  print(platform.python_implementation())
  print('%d.%d' % sys.version_info[:2])
  print(sys.executable)
  print(next((l for l in libs if os.path.isfile(l)), ''))
  print(sys.prefix)
  print(sys.base_prefix)
  print(1 if get('Py_GIL_DISABLED') else 0)
  """

  @doc """
  Returns what the Python to embed can do. Before the application has started, the executable is asked.

      iex> Py.Interpreter.capabilities().own_gil == Py.info().own_gil
      true

    * `:own_gil` - `true` where own-GIL contexts are possible (CPython 3.12+)
    * `:free_threaded` - `true` for a build without a GIL; such builds are refused today

  ## Errors

  Before the start of the application: raises `Py.InterpreterError` when there is no usable Python, and
  `ArgumentError` for a wrong configuration.
  """
  @doc since: "0.1.0"
  @spec capabilities() :: %{own_gil: boolean(), free_threaded: boolean()}
  def capabilities do
    case :persistent_term.get(__MODULE__, nil) do
      %{own_gil: own_gil, interpreter: python} ->
        %{own_gil: own_gil, free_threaded: python.free_threaded}

      nil ->
        case find_configured() do
          {:ok, python} ->
            %{own_gil: python.version >= {3, 12}, free_threaded: python.free_threaded}

          {:error, error} ->
            raise error
        end
    end
  end

  @doc false
  # The executable of the Python to embed, for code that runs it as a program, also while an application is compiled.
  @spec executable() :: {:ok, Path.t()} | {:error, Py.InterpreterError.t()}
  def executable do
    case :persistent_term.get(__MODULE__, nil) do
      %{interpreter: python} -> {:ok, python.executable}
      nil -> with {:ok, python} <- find_configured(), do: {:ok, python.executable}
    end
  end

  # Before the application has started.
  defp find_configured do
    if :persistent_term.get(Py.Config, nil) == nil, do: Py.Config.load()
    find()
  end

  @doc """
  Finds the Python to embed, in the order above. Runs the executables that it finds.

      iex> {:ok, python} = Py.Interpreter.find()
      iex> python.library == Py.info().library
      true

  ## Errors

  `{:error, %Py.InterpreterError{}}` when there is none: the message says what was tried, and how to install or name
  one. Raises `Py.ContextError` before the configuration is read.
  """
  @doc since: "0.1.0"
  @spec find() :: {:ok, t()} | {:error, Py.InterpreterError.t()}
  def find do
    case explicit() do
      {source, python} -> python |> resolve() |> usable(source)
      nil -> discover()
    end
  end

  defp explicit do
    cond do
      venv = Py.Config.get(:venv) ->
        {"config :erlang_python, venv: #{inspect(venv)}", venv}

      python = Py.Config.get(:python) ->
        {"config :erlang_python, python: #{inspect(python)}", python}

      python = env("ERLANG_PYTHON") ->
        {"ERLANG_PYTHON=#{python}", python}

      venv = env("VIRTUAL_ENV") ->
        {"VIRTUAL_ENV=#{venv}", venv}

      true ->
        nil
    end
  end

  defp env(name) do
    case System.get_env(name) do
      "" -> nil
      value -> value
    end
  end

  # A folder is a virtual environment; "3.14" is python3.14; otherwise a path or a name on the PATH.
  defp resolve(python) do
    cond do
      File.dir?(python) -> Path.expand(Path.join(python, "bin/python"))
      python =~ ~r/^\d+\.\d+$/ -> System.find_executable("python#{python}") || python
      String.contains?(python, "/") -> Path.expand(python)
      true -> System.find_executable(python) || python
    end
  end

  defp usable(python, source) do
    case probe(python) do
      {:ok, interpreter} -> {:ok, interpreter}
      {:error, reason} -> {:error, error("#{source} cannot be used: #{reason}")}
    end
  end

  defp discover do
    found =
      ["python3" | Enum.map(@newest_known..11//-1, &"python3.#{&1}")]
      |> Enum.map(&System.find_executable/1)
      |> Enum.reject(&is_nil/1)

    found
    |> Enum.reduce_while([], fn python, tried ->
      case probe(python) do
        {:ok, interpreter} -> {:halt, {:ok, interpreter}}
        {:error, reason} -> {:cont, ["#{python}: #{reason}" | tried]}
      end
    end)
    |> case do
      {:ok, interpreter} ->
        {:ok, interpreter}

      [] ->
        {:error, error("there is no python3 on the PATH")}

      tried ->
        {:error,
         error(
           "none of the Pythons on the PATH can be used:\n  * " <>
             Enum.join(Enum.reverse(tried), "\n  * ")
         )}
    end
  end

  @doc """
  Asks one executable, given by its path, what it is, and whether it can be embedded.

      iex> {:ok, python} = Py.Interpreter.probe(Py.info().executable)
      iex> python.version >= {3, 11}
      true
      iex> Py.Interpreter.probe("/no/such/python")
      {:error, "/no/such/python does not exist"}

  ## Errors

  `{:error, text}`: the file does not exist or cannot be run, it is no CPython, its version is too old, it has no
  shared library, or it is a free-threaded build.
  """
  @doc since: "0.1.0"
  @spec probe(Path.t()) :: {:ok, t()} | {:error, String.t()}
  def probe(python) do
    cond do
      not String.contains?(python, "/") -> {:error, "there is no such executable on the PATH"}
      not File.exists?(python) -> {:error, "#{python} does not exist#{venv_hint(python)}"}
      true -> python |> run_probe() |> interpret(python)
    end
  end

  defp run_probe(python) do
    System.cmd(python, ["-I", "-c", @probe], stderr_to_stdout: true, env: [{"PYTHONHOME", nil}])
  rescue
    error in ErlangError -> {"#{python} cannot be run: #{inspect(error.original)}", 1}
  end

  defp interpret({output, 0}, python) do
    case String.split(output, "\n") do
      [implementation, version, executable, library, prefix, base_prefix, free_threaded | _] ->
        [major, minor] = version |> String.split(".") |> Enum.map(&String.to_integer/1)

        %__MODULE__{
          executable: if(executable == "", do: python, else: executable),
          version: {major, minor},
          library: library,
          prefix: prefix,
          base_prefix: base_prefix,
          free_threaded: free_threaded == "1"
        }
        |> check(implementation)

      _other ->
        {:error, "it did not say what it is: #{inspect(output)}"}
    end
  end

  defp interpret({output, status}, _python) do
    {:error, "it exited with status #{status}: #{String.trim(output)}"}
  end

  defp check(interpreter, implementation) do
    cond do
      implementation != "CPython" ->
        {:error, "#{implementation} cannot be embedded, only CPython can"}

      interpreter.version < @oldest ->
        {:error, "Python #{version(interpreter)} is too old, 3.11 or later is needed"}

      interpreter.free_threaded ->
        {:error,
         "a free-threaded build (#{version(interpreter)}t) has another binary interface; use the standard build"}

      interpreter.library == "" ->
        {:error,
         "Python #{version(interpreter)} was built without a shared library (libpython#{version(interpreter)}.so); " <>
           "rebuild it with --enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)"}

      true ->
        {:ok, interpreter}
    end
  end

  defp version(%{version: {major, minor}}), do: "#{major}.#{minor}"

  defp venv_hint(python) do
    case File.read_link(python) do
      {:ok, target} ->
        " (a broken virtual environment: it links to #{target}); make it again with python3 -m venv"

      {:error, _reason} ->
        ""
    end
  end

  defp error(reason) do
    %Py.InterpreterError{
      message: """
      erlang_python found no Python to embed: #{reason}

      It needs CPython 3.11 or later with its shared library: on Debian and Ubuntu `apt install libpython3-dev`, on \
      macOS `brew install python`, with uv `uv python install`. Then name it, if it is not the python3 on the PATH:

          config :erlang_python, python: "/path/to/python3"    # or the folder of a virtual environment, or ERLANG_PYTHON=…
      """
    }
  end
end
