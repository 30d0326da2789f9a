defmodule Py.Env do
  @moduledoc """
  A namespace of its own on one context: names that code defines there are seen by later code run there, and by no other.

      iex> env = Py.Env.new()
      iex> Py.exec!("x = 20", env: env)
      iex> Py.eval!("x + 1", env: env)
      21

  It starts as a copy of its context's namespace, is usable from any process, and is freed when Elixir forgets it.
  """

  @enforce_keys [:object]
  defstruct [:object]

  @type t :: %__MODULE__{object: Py.Object.t()}

  @options Py.Schema.keys(:env)

  @doc """
  Makes a namespace, on the context given by `:context` or else on that of the calling process.

      iex> env = Py.Env.new(context: 1)
      iex> Py.eval("__name__", env: env)
      {:ok, "__main__"}

  ## Options

  #{Py.Schema.Docs.options(:env)}

  ## Errors

  Raises

  #{Py.Schema.Docs.errors([:context, :timeout, :overloaded])}

  and `ArgumentError` for a wrong option. `Py.Context.new_env/1` returns the exception instead.
  """
  @doc since: "0.1.0"
  @spec new(context: Py.Context.t()) :: t()
  def new(options \\ []) do
    options = Py.Options.new(options, @options)

    case Py.Request.run(:new_env, %{options | return: :object}) do
      {:ok, object} -> %__MODULE__{object: object}
      {:error, error} -> raise error
    end
  end

  defimpl Inspect do
    def inspect(_env, _options), do: "#Py.Env<>"
  end
end
