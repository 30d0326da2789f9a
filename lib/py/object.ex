defmodule Py.Object do
  @moduledoc """
  A handle on a Python object that stays in Python.

  Objects without an Elixir counterpart come back as handles, and any result does with `return: :object`. A handle keeps
  its object alive until Elixir forgets it, can be passed as an argument or called, and can be used from any process.

      iex> path = Py.call!(:pathlib, :PurePosixPath, ["/etc/hosts"], return: :object)
      iex> Py.Object.getattr!(path, :name)
      "hosts"
      iex> Py.Object.call_method!(path, :with_suffix, [".bak"])
      "/etc/hosts.bak"
      iex> to_string(path)
      "/etc/hosts"

  `inspect/2` shows the class and a short form of Python's `repr()`, at most 80 characters; a reference in its place while
  the context is busy, where `repr()` fails, or when it takes longer than 100 ms.

      iex> inspect(Py.eval!("list(range(100))", return: :object))
      "#Py.Object<list [0, 1, 2, 3, 4, 5, ...]>"

  A handle belongs to an interpreter. Handles of worker contexts work on every worker context; those of an own-GIL context
  only there, and until it ends (`Py.ContextError`).
  """

  @enforce_keys [:ref, :type, :context]
  defstruct [:ref, :type, :context]

  @type t :: %__MODULE__{ref: reference(), type: String.t(), context: Py.Native.context()}

  @doc """
  The attribute `name`, which may be dotted. Options are those of `Py.call/4`.

      iex> Py.Object.getattr(Py.call!(:fractions, :Fraction, [3, 4], return: :object), :denominator)
      {:ok, 4}
  """
  @spec getattr(t(), atom() | String.t(), keyword()) :: Py.result()
  def getattr(%__MODULE__{} = object, name, options \\ []) do
    Py.call(:erlang, "_objects.getattr", [object, name(name)], options)
  end

  @doc "Like `getattr/3`, but returns the value or raises."
  @spec getattr!(t(), atom() | String.t(), keyword()) :: term()
  def getattr!(object, name, options \\ []), do: object |> getattr(name, options) |> Py.unwrap!()

  @doc """
  Sets the attribute `name`.

      iex> object = Py.call!(:types, :SimpleNamespace, [], return: :object)
      iex> Py.Object.setattr(object, :x, [1, 2])
      :ok
      iex> Py.Object.getattr!(object, :x)
      [1, 2]
  """
  @spec setattr(t(), atom() | String.t(), term(), keyword()) :: :ok | {:error, Exception.t()}
  def setattr(%__MODULE__{} = object, name, value, options \\ []) do
    with {:ok, nil} <- Py.call(:builtins, :setattr, [object, name(name), value], options), do: :ok
  end

  @doc """
  Calls a method. Options are those of `Py.call/4`.

      iex> counter = Py.call!(:collections, :Counter, ["hello"], return: :object)
      iex> Py.Object.call_method(counter, :most_common, [1])
      {:ok, [{"l", 2}]}
  """
  @spec call_method(t(), atom() | String.t(), [term()], keyword()) :: Py.result()
  def call_method(%__MODULE__{} = object, method, args \\ [], options \\ []) do
    Py.call(object, method, args, options)
  end

  @doc "Like `call_method/4`, but returns the value or raises."
  @spec call_method!(t(), atom() | String.t(), [term()], keyword()) :: term()
  def call_method!(object, method, args \\ [], options \\ []) do
    object |> call_method(method, args, options) |> Py.unwrap!()
  end

  @doc """
  The object as a term; a handle again when it has no counterpart.

      iex> Py.Object.to_term(Py.eval!("{'a': (1, 2)}", return: :object))
      {:ok, %{"a" => {1, 2}}}
  """
  @spec to_term(t(), keyword()) :: Py.result()
  def to_term(%__MODULE__{} = object, options \\ []) do
    Py.call(:erlang, "_objects.identity", [object], options)
  end

  @doc """
  The qualified name of the object's class, known without asking Python.

      iex> Py.Object.type(Py.eval!("object()"))
      "object"
  """
  @spec type(t()) :: String.t()
  def type(%__MODULE__{type: type}), do: type

  @doc """
  Python's `repr()` of the object.

      iex> Py.Object.repr(Py.eval!("slice(1, 2)"))
      {:ok, "slice(1, 2, None)"}
  """
  @spec repr(t(), keyword()) :: {:ok, String.t()} | {:error, Exception.t()}
  def repr(%__MODULE__{} = object, options \\ []),
    do: Py.call(:builtins, :repr, [object], options)

  # For `inspect/2`, which must be cheap and safe wherever it is called: only where nothing is under way, and not for long.
  @brief_ms 100

  @doc false
  @spec brief(t()) :: String.t()
  def brief(%__MODULE__{context: context} = object) do
    with 0 <- Py.Native.context_load(context),
         0 <- Py.Native.context_pressure(context),
         {:ok, text} when is_binary(text) <-
           Py.call(:erlang, "_objects.brief", [object], timeout: @brief_ms, wait: 0) do
      text
    else
      _busy -> reference(object)
    end
  rescue
    # Of another node, or the application does not run.
    _error in [ArgumentError, Py.ContextError] -> reference(object)
  end

  defp reference(object), do: object.ref |> :erlang.ref_to_list() |> List.to_string()

  defp name(name) when is_atom(name) and not is_nil(name), do: Atom.to_string(name)
  defp name(name) when is_binary(name), do: name
  defp name(name), do: raise(ArgumentError, "expected an attribute name, got: #{inspect(name)}")

  defimpl Inspect do
    def inspect(object, _options), do: "#Py.Object<#{object.type} #{Py.Object.brief(object)}>"
  end

  defimpl String.Chars do
    def to_string(object), do: Py.call!(:builtins, :str, [object])
  end
end
