defmodule Py.Operation do
  @moduledoc false
  # What Python is asked to do, and the names of it that failures and events show.
  #
  # They never show arguments or code: these may hold secrets, and have no bound.

  @typedoc """
  An operation, as the native code takes it:

    * `{:call, target, function, args, kwargs}` - a function of a module, or a method of a handle
    * `{kind, code, locals}` - an expression (`:eval`), or statements; `:exec_last` has the value
      of the last one
    * `:new_env` - a new namespace
  """
  @type t ::
          {:call, term(), term(), [term()], map() | nil}
          | {:eval | :exec | :exec_last, String.t(), map() | nil}
          | :new_env

  @typedoc "The result of an operation, in the dialect of the call."
  @type result :: {:ok, term()} | {:error, term()}

  @typedoc """
  An operation without its arguments. It is made for every call, so it converts nothing: `names/1`
  does when somebody reads it.
  """
  @type brief :: {:call, term(), term()} | :eval | :exec | :new_env

  @typedoc """
  The names of an operation. Module and function are `nil` for code, the function also for a
  callable.
  """
  @type names :: %{
          operation: :call | :eval | :exec | :new_env,
          module: String.t() | nil,
          function: String.t() | nil
        }

  @doc """
  Returns the operation without its arguments. For a handle, the name of its class is in place of
  the module.
  """
  @spec brief(t()) :: brief()
  def brief({:call, %Py.Object{type: type}, function, _args, _kwargs}),
    do: {:call, type, function}

  def brief({:call, target, function, _args, _kwargs}), do: {:call, target, function}
  def brief(:new_env), do: :new_env
  def brief(code), do: if(elem(code, 0) == :eval, do: :eval, else: :exec)

  @doc """
  Returns the names of an operation as strings.

      iex> Py.Operation.names({:call, :math, :sqrt})
      %{operation: :call, module: "math", function: "sqrt"}
  """
  @spec names(brief()) :: names()
  def names({:call, module, function}),
    do: %{operation: :call, module: to_string(module), function: function && to_string(function)}

  def names(kind), do: %{operation: kind, module: nil, function: nil}

  @doc """
  Returns module and function in one string, as Python writes them, or `nil` for code.

      iex> Py.Operation.qualified(%{operation: :call, module: "math", function: "sqrt"})
      "math.sqrt"
  """
  @spec qualified(names()) :: String.t() | nil
  def qualified(%{module: nil}), do: nil
  def qualified(%{module: module, function: nil}), do: module
  def qualified(%{module: module, function: function}), do: module <> "." <> function
end
