defmodule Py.Erlang.Setup do
  @moduledoc false
  # The functions of `py_preload` and `py_import`, and of `py` for reloading and logging: what
  # contexts start with.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect, only: [options: 0]

  alias Py.Setup.Everywhere

  @doc "Sets the code that contexts run first. Raises `badarg` unless it is UTF-8 text."
  def set_preload(code), do: code |> preload() |> Py.Setup.put_preload()
  @doc "Returns that code as a binary, or `:undefined`."
  def get_preload, do: Py.Setup.preload() |> preloaded()

  # A configured one may be a string of sys.config.
  defp preloaded(nil), do: :undefined
  defp preloaded(code), do: text(code)

  @doc """
  Imports a module into every context and keeps it for later ones.

  As in the C package, a missing module is `:ok` here, and an error of the calls that use it.
  """
  def ensure_imported(module, name) do
    case text(module) do
      "__main__" ->
        {:error, :main_not_cacheable}

      module ->
        result =
          badarg_on_raise(fn ->
            Everywhere.add_import(module, import_name(name), options())
          end)

        if match?({:error, {:ModuleNotFoundError, _text}}, result), do: :ok, else: result
    end
  end

  defp import_name(:all), do: :all
  defp import_name(name), do: text(name)

  @doc "Returns `true` if a module, or a function of it, was added."
  def is_imported(module) do
    module = text(module)
    Enum.any?(Py.Setup.imports(), fn {imported, _name} -> imported == module end)
  end

  @doc "Returns `true` if a function, or its whole module, was added."
  def is_imported(module, name) do
    {module, name} = {text(module), text(name)}
    Enum.any?(Py.Setup.imports(), &(&1 in [{module, :all}, {module, name}]))
  end

  @doc "Returns the modules that were added, each with the functions that were named."
  def import_list do
    list =
      Enum.reduce(Py.Setup.imports(), %{}, fn
        {module, :all}, list -> Map.put_new(list, module, [])
        {module, name}, list -> Map.update(list, module, [name], &(&1 ++ [name]))
      end)

    {:ok, list}
  end

  @doc "Puts directories in front of `sys.path` of every context."
  def add_paths(paths) do
    paths = Enum.map(list(paths), &text/1)
    Everywhere.add_paths(paths, options())
  end

  @doc "Returns `true` if a directory was added. A relative path is expanded first."
  def is_path_added(path), do: Path.expand(text(path)) in Py.Setup.paths()

  @doc "Reloads a module in every interpreter that has loaded it."
  def reload(module) do
    case Everywhere.reload(text(module), options()) do
      :ok -> :ok
      {:error, reason} -> {:error, [{:context, reason}]}
    end
  end

  @doc """
  Sends the records of Python's `logging` to OTP's logger. Raises `badarg` for an unknown level or
  option.
  """
  def configure_logging(settings) do
    settings =
      for {key, value} <- settings(settings, [:level, :format]), do: {key, logging(key, value)}

    badarg_on_raise(fn ->
      {level, format} = :logging |> Py.Schema.check!(settings) |> Py.Logging.settings()
      Everywhere.configure_logging(level, format, options())
    end)
  end

  defp logging(:format, :undefined), do: nil
  defp logging(:format, format), do: text(format)
  defp logging(:level, level), do: level
end
