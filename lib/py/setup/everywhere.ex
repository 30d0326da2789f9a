defmodule Py.Setup.Everywhere do
  @moduledoc false
  # Changes of all contexts that run and of those that start later, for `Py.Setup`, `Py.Logging` and the Erlang API. The
  # options are checked, and say how values and errors look.

  alias Py.{Config, Context, Options, Request}
  alias Py.Context.Boot

  @doc "Puts directories in front of `sys.path`."
  @spec add_paths([String.t()], Options.t()) :: :ok | {:error, term()}
  def add_paths(paths, options) do
    paths = paths |> Enum.map(&Path.expand/1) |> Enum.uniq()
    Config.update(:paths, &Enum.uniq(&1 ++ paths))
    on_each_interpreter("erlang._setup", :add_paths, [paths], options)
  end

  # Dotted names, as in an import statement.
  @name ~r/\A[\p{L}_][\p{L}\p{N}_]*(\.[\p{L}_][\p{L}\p{N}_]*)*\z/u

  @doc "Imports a module in each context. Where that fails it is not kept."
  @spec add_import(String.t(), :all | String.t(), Options.t()) :: :ok | {:error, term()}
  def add_import(module, name, options) do
    if not (module =~ @name),
      do: raise(ArgumentError, "expected the name of a Python module, got: #{inspect(module)}")

    entry = {module, name}
    code = Boot.import_statement(entry)

    with :ok <- each(Context.Table.pids(), {:exec, code, nil}, options) do
      Config.update(:imports, &Enum.uniq(&1 ++ [entry]))
    end
  end

  @doc "Reloads a module wherever it is loaded."
  @spec reload(String.t(), Options.t()) :: :ok | {:error, term()}
  def reload(module, options),
    do: on_each_interpreter("erlang._setup", :reload, [module], options)

  @doc "Sends the records of Python's `logging` from a level on, in a format."
  @spec configure_logging(atom(), String.t() | nil, Options.t()) :: :ok | {:error, term()}
  def configure_logging(level, format, options) do
    level = Atom.to_string(level)
    arguments = [level | List.wrap(format)]

    with :ok <- on_each_interpreter("erlang._logging", :configure, arguments, options) do
      Config.update(:logging, fn _old -> {level, format} end)
    end
  end

  @doc "Calls a function on one context of each interpreter at once, one that is free if there is one; the first error."
  @spec on_each_interpreter(String.t(), atom(), [term()], Options.t()) :: :ok | {:error, term()}
  def on_each_interpreter(module, function, args, options) do
    contexts =
      for pid <- Context.Table.pids(), {:ok, info} <- [Context.info(pid)], do: {pid, info}

    contexts
    |> Enum.sort_by(fn {_pid, info} -> info.running + info.queued end)
    |> Enum.uniq_by(fn {_pid, info} -> info.interpreter end)
    |> Enum.map(fn {pid, _info} -> pid end)
    |> each({:call, module, function, args, nil}, options)
  end

  defp each(contexts, operation, options) do
    contexts
    |> Task.async_stream(&Request.run(operation, %{options | context: &1}),
      max_concurrency: 16,
      timeout: :infinity
    )
    |> Enum.map(fn {:ok, result} -> result end)
    |> Enum.find(:ok, &failed?/1)
  end

  # A context that ends meanwhile has nothing to be set up.
  defp failed?({:error, %Py.ContextError{}}), do: false
  defp failed?({:error, {:context_died, _reason}}), do: false
  defp failed?({:error, _reason}), do: true
  defp failed?({:ok, _value}), do: false
end
