defmodule Py.Operation do
  @moduledoc false
  # What Python is asked to do, and what that is called in failures and events: never with its arguments or its code.

  @typedoc "`{:call, target, function, args, kwargs}`, `{kind, code, locals}`, or a new namespace."
  @type t ::
          {:call, term(), term(), [term()], map() | nil}
          | {:eval | :exec | :exec_last, String.t(), map() | nil}
          | :new_env

  @typedoc "What users see of an operation that has ended."
  @type result :: {:ok, term()} | {:error, term()}

  @typedoc "An operation without its arguments; made for every call that is tracked, so nothing is converted yet."
  @type brief :: {:call, term(), term()} | :eval | :exec | :new_env

  @type names :: %{
          operation: :call | :eval | :exec | :new_env,
          module: String.t() | nil,
          function: String.t() | nil
        }

  @doc "The operation without its arguments."
  @spec brief(t()) :: brief()
  def brief({:call, %Py.Object{type: type}, function, _args, _kwargs}),
    do: {:call, type, function}

  def brief({:call, target, function, _args, _kwargs}), do: {:call, target, function}
  def brief(:new_env), do: :new_env
  def brief(code), do: if(elem(code, 0) == :eval, do: :eval, else: :exec)

  @doc "Its names, as strings; `nil` for code."
  @spec names(brief()) :: names()
  def names({:call, module, function}),
    do: %{operation: :call, module: to_string(module), function: function && to_string(function)}

  def names(kind), do: %{operation: kind, module: nil, function: nil}

  @doc "Module and function in one string, as Python writes them; `nil` for code."
  @spec qualified(names()) :: String.t() | nil
  def qualified(%{module: nil}), do: nil
  def qualified(%{module: module, function: nil}), do: module
  def qualified(%{module: module, function: function}), do: module <> "." <> function
end
