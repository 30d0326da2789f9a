defmodule Py.Erlang.Setup do
  @moduledoc false
  # What contexts start with: code, imports, directories; reloading, and the log records of Python.

  import Py.Erlang.Arguments
  import Py.Erlang.Dialect, only: [options: 0]

  alias Py.Setup.Everywhere

  def set_preload(code), do: code |> preload() |> Py.Setup.put_preload()
  def get_preload, do: Py.Setup.preload() |> preloaded()

  # A configured one may be a string of sys.config.
  defp preloaded(nil), do: :undefined
  defp preloaded(code), do: text(code)

  def ensure_imported(module, name) do
    case text(module) do
      "__main__" ->
        {:error, :main_not_cacheable}

      module ->
        result =
          badarg_on_raise(fn ->
            Everywhere.add_import(module, import_name(name), options())
          end)

        # As in the C package, a missing module is an error of the calls that use it.
        if match?({:error, {:ModuleNotFoundError, _text}}, result), do: :ok, else: result
    end
  end

  defp import_name(:all), do: :all
  defp import_name(name), do: text(name)

  def is_imported(module) do
    module = text(module)
    Enum.any?(Py.Setup.imports(), fn {imported, _name} -> imported == module end)
  end

  def is_imported(module, name) do
    {module, name} = {text(module), text(name)}
    Enum.any?(Py.Setup.imports(), &(&1 in [{module, :all}, {module, name}]))
  end

  def import_list do
    list =
      Enum.reduce(Py.Setup.imports(), %{}, fn
        {module, :all}, list -> Map.put_new(list, module, [])
        {module, name}, list -> Map.update(list, module, [name], &(&1 ++ [name]))
      end)

    {:ok, list}
  end

  def add_paths(paths) do
    paths = Enum.map(list(paths), &text/1)
    Everywhere.add_paths(paths, options())
  end

  def is_path_added(path), do: Path.expand(text(path)) in Py.Setup.paths()

  def reload(module) do
    case Everywhere.reload(text(module), options()) do
      :ok -> :ok
      {:error, reason} -> {:error, [{:context, reason}]}
    end
  end

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
