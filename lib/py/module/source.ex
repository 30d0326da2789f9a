defmodule Py.Module.Source do
  @moduledoc false
  # Reads the functions of a Python file while Elixir code is compiled. The file is not run: a Python reads its text
  # (priv/python/erlang/_signatures.py).

  @typedoc """
  A function: its name, docstring and signature, its kind (`"function"`, `"async"`, `"generator"` or `"async_generator"`), its
  positional parameters, the name of the one that takes further arguments, its keyword-only parameters, and `true` if it
  takes any keyword.

  A parameter has its default as `nil` for none, `{value}`, or `{}` for one that Elixir has no equal of. A keyword-only one
  has `true` if it must be given. A type hint is a list: its name, and the hints in its brackets.
  """
  @type function_spec ::
          {String.t(), String.t() | nil, String.t(), String.t(),
           [{String.t(), nil | {} | {term()}, hint()}], String.t() | nil,
           [{String.t(), boolean(), hint()}], boolean(), hint()}

  @type hint :: [String.t() | hint()] | nil

  @doc """
  Reads a file, or a module that is looked up in `paths` and in the paths of Python. Returns the path of the file, its
  docstring, and its public functions.

  Raises `CompileError` with the reason if there is no such file, it has a syntax error, or there is no Python to read it.
  """
  @spec read!({:file, Path.t()} | {:module, String.t()}, [Path.t()], Macro.Env.t()) ::
          {Path.t(), String.t() | nil, [function_spec()]}
  def read!(source, paths, env) do
    program = Application.app_dir(:erlang_python, "priv/python/erlang/_signatures.py")
    arguments = ["-I", program | arguments(source, paths)]

    # Both standard outputs: one has the result, the other the reason that there is none.
    case System.cmd(python!(env), arguments, stderr_to_stdout: true, env: [{"PYTHONHOME", nil}]) do
      {<<131, _rest::binary>> = result, 0} -> :erlang.binary_to_term(result)
      {reason, _status} -> error!(env, String.trim(reason))
    end
  end

  defp arguments({:file, file}, _paths), do: [file]
  defp arguments({:module, module}, paths), do: ["--module", module | paths]

  defp python!(env) do
    case Py.Interpreter.executable() do
      {:ok, executable} -> executable
      {:error, error} -> error!(env, Exception.message(error))
    end
  end

  @doc "Raises for a wrong use of `Py.Module`."
  @spec error!(Macro.Env.t(), String.t()) :: no_return()
  def error!(env, reason) do
    raise CompileError, file: env.file, line: env.line, description: "use Py.Module: " <> reason
  end
end
