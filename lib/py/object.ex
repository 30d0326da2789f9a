defmodule Py.Object do
  @moduledoc """
  A handle on a Python object that stays in Python.

  A result without an Elixir counterpart comes back as a handle, and any other result does with
  the option `return: :object`. A handle can be called, passed as an argument, stored in
  `Py.State`, and sent to another process of this node.

      iex> path = Py.call!(:pathlib, :PurePosixPath, ["/etc/hosts"], return: :object)
      iex> Py.Object.getattr!(path, :name)
      "hosts"
      iex> Py.Object.call_method!(path, :with_suffix, [".bak"])
      "/etc/hosts.bak"
      iex> to_string(path)
      "/etc/hosts"

  As an argument it is the very object, not a copy:

      iex> list = Py.eval!("[3, 1, 2]", return: :object)
      iex> Py.Object.call_method!(list, :sort)
      nil
      iex> Py.call!(:builtins, :list, [list])
      [1, 2, 3]

  A handle of a callable is called by `Py.call/4`, with the arguments in second place:

      iex> double = Py.eval!("lambda n: 2 * n")
      iex> Py.call!(double, [21])
      42

  ## Lifetime

  The object lives at least as long as its handle. When the last copy of the handle is garbage
  collected, the reference to the object is released, soon after, by a thread of its interpreter.
  The end of a context releases the objects of an own-GIL interpreter, whoever has handles.

  ## Where a handle works

  A handle belongs to an interpreter. All worker contexts share the main interpreter, so a handle
  of one works on each of them. A handle of an own-GIL context works on that context only, until
  the context ends. Elsewhere, and on other nodes, a call with the handle returns
  `{:error, %Py.ContextError{reason: :wrong_interpreter}}`.

  Without `:context`, a call of a handle, or with a handle as one of its arguments, runs on the
  context that made the handle. A handle inside a list or a map does not choose a context.

  ## Items

  A handle has the behaviour `Access`, and the protocol `Enumerable` for whatever Python iterates
  over. Iteration fetches up to 100 items at once, fewer from an iterator that is slow, and closes a
  generator when it stops early:

      iex> prices = Py.eval!("{'tea': 3}", return: :object)
      iex> {prices["tea"], prices["milk"]}
      {3, nil}
      iex> Enum.take(Py.call!(:itertools, :count, [1], return: :object), 3)
      [1, 2, 3]

  ## Inspecting

  `inspect/2` shows the class and at most 80 characters of Python's `repr()`. It shows a reference
  instead of the `repr()` while the context is busy, where `repr()` raises, and where it takes
  longer than 100 ms.

      iex> inspect(Py.eval!("list(range(100))", return: :object))
      "#Py.Object<list [0, 1, 2, 3, 4, 5, ...]>"

  `to_string/1` returns Python's `str()`. It raises what `Py.call!/4` raises.

  ## Options

  The functions that run Python code take the options of calls, except `:kwargs` and `:return`
  where this page does not name them: see `Py`.

  ## Errors

  The functions that run Python code return `{:error, exception}`:

    * `Py.Error` - Python raised, `AttributeError` for example. Its `:type` is the class
    * `Py.ContextError` - the handle belongs to another interpreter, or its context has ended.
      Make the object again
    * `Py.TimeoutError`, `Py.InterruptedError`, `Py.OverloadedError` - as for any call
    * `Py.ConversionError` - an argument has no counterpart in Python, or the result is too large

  The variants with `!` return the value or raise that exception.
  """
  @moduledoc since: "0.1.0"

  @enforce_keys [:ref, :type, :context]
  defstruct [:ref, :type, :context]

  @typedoc """
  A handle. Only `:type`, the qualified name of the object's class, is for users; `type/1` returns
  it.
  """
  @type t :: %__MODULE__{ref: reference(), type: String.t(), context: reference()}

  @doc """
  Returns the value of the attribute `name`.

  `name` is an atom or a string. Dots reach into attributes of attributes: `"shape.width"`.

  ## Options

  Those of `Py.call/4`, except `:kwargs`. With `return: :object` the result is a handle on the
  attribute.

  ## Errors

  `Py.Error` of the type `"AttributeError"` when there is no such attribute. Further errors are
  listed at the top of this page. Raises `ArgumentError` when `name` is neither an atom nor a
  string.

  ## Examples

      iex> fraction = Py.call!(:fractions, :Fraction, [3, 4], return: :object)
      iex> Py.Object.getattr(fraction, :denominator)
      {:ok, 4}
      iex> Py.Object.getattr(fraction, "denominator.bit_length", return: :object)
      ...> |> then(fn {:ok, method} -> Py.call(method, []) end)
      {:ok, 3}
      iex> {:error, error} = Py.Object.getattr(fraction, :sign)
      iex> error.type
      "AttributeError"
  """
  @doc since: "0.1.0"
  @spec getattr(t(), atom() | String.t(), keyword()) :: Py.result()
  def getattr(%__MODULE__{} = object, name, options \\ []) do
    Py.call(:erlang, "_objects.getattr", [object, name(name)], options)
  end

  @doc """
  Returns the value of the attribute `name`, or raises. See `getattr/3`.

  ## Examples

      iex> number = Py.eval!("3 + 4j", return: :object)
      iex> Py.Object.getattr!(number, :imag)
      4.0
      iex> Py.Object.getattr!(number, :angle)
      ** (Py.Error) AttributeError: 'complex' object has no attribute 'angle'
  """
  @doc since: "0.1.0"
  @spec getattr!(t(), atom() | String.t(), keyword()) :: term()
  def getattr!(object, name, options \\ []), do: object |> getattr(name, options) |> Py.unwrap!()

  @doc """
  Sets the attribute `name` to `value` and returns `:ok`.

  `name` is one attribute name; dots are not followed. `value` is converted like an argument, and
  a handle sets the very object.

  ## Options

  Those of `Py.call/4`, except `:kwargs` and `:return`.

  ## Errors

  `Py.Error` of the type `"AttributeError"` or `"TypeError"` where the object takes no such
  attribute. Further errors are listed at the top of this page.

  ## Examples

      iex> object = Py.call!(:types, :SimpleNamespace, [], return: :object)
      iex> Py.Object.setattr(object, :x, [1, 2])
      :ok
      iex> Py.Object.getattr!(object, :x)
      [1, 2]
      iex> {:error, error} = Py.Object.setattr(Py.eval!("object()"), :x, 1)
      iex> error.type
      "AttributeError"
  """
  @doc since: "0.1.0"
  @spec setattr(t(), atom() | String.t(), term(), keyword()) :: :ok | {:error, Exception.t()}
  def setattr(%__MODULE__{} = object, name, value, options \\ []) do
    with {:ok, nil} <- Py.call(:builtins, :setattr, [object, name(name), value], options), do: :ok
  end

  @doc """
  Returns `object[key]`. The key is any value, a negative index too.

  Options and errors are those of `getattr/3`; a missing key is a `Py.Error` of the type
  `"KeyError"` or `"IndexError"`. `object[key]` in Elixir (`Access`) has `nil` for it.

      iex> Py.Object.getitem(Py.eval!("[1, 2, 3]", return: :object), -1)
      {:ok, 3}
  """
  @doc since: "0.1.0"
  @spec getitem(t(), term(), keyword()) :: Py.result()
  def getitem(%__MODULE__{} = object, key, options \\ []),
    do: Py.call(:operator, :getitem, [object, key], options)

  @doc """
  Sets `object[key]` to `value` and returns `:ok`. Options and errors are those of `setattr/4`.

      iex> prices = Py.eval!("{}", return: :object)
      iex> Py.Object.setitem(prices, "tea", 3)
      :ok
      iex> prices["tea"]
      3
  """
  @doc since: "0.1.0"
  @spec setitem(t(), term(), term(), keyword()) :: :ok | {:error, Exception.t()}
  def setitem(%__MODULE__{} = object, key, value, options \\ []) do
    with {:ok, nil} <- Py.call(:operator, :setitem, [object, key, value], options), do: :ok
  end

  @doc """
  Returns Python's `len()` of the object. Options and errors are those of `repr/2`.

      iex> Py.Object.len(Py.eval!("range(10)", return: :object))
      {:ok, 10}
  """
  @doc since: "0.1.0"
  @spec len(t(), keyword()) :: {:ok, non_neg_integer()} | {:error, Exception.t()}
  def len(%__MODULE__{} = object, options \\ []), do: Py.call(:builtins, :len, [object], options)

  @behaviour Access

  @impl Access
  @doc false
  def fetch(object, key) do
    case getitem(object, key) do
      {:error, %Py.Error{} = error} ->
        if Py.Error.is_a?(error, "LookupError"), do: :error, else: raise(error)

      other ->
        {:ok, Py.unwrap!(other)}
    end
  end

  @impl Access
  @doc false
  # The object itself is changed, as Python code changes it.
  def get_and_update(object, key, fun) do
    current = object[key]

    case fun.(current) do
      {value, new} ->
        with {:error, error} <- setitem(object, key, new), do: raise(error)
        {value, object}

      :pop ->
        pop(object, key)
    end
  end

  @impl Access
  @doc false
  def pop(object, key) do
    with {:ok, value} <- fetch(object, key) do
      Py.call!(:operator, :delitem, [object, key])
      {value, object}
    else
      :error -> {nil, object}
    end
  end

  @doc """
  Calls the method `method` of the object with the positional arguments `args`.

  The same as `Py.call(object, method, args, options)`. Options are those of `Py.call/4`.

  ## Errors

  `Py.Error` when there is no such method, or when it raises. Further errors are listed at the top
  of this page.

  ## Examples

      iex> counter = Py.call!(:collections, :Counter, ["hello"], return: :object)
      iex> Py.Object.call_method(counter, :most_common, [1])
      {:ok, [{"l", 2}]}
      iex> words = Py.eval!("['b', 'C', 'a']", return: :object)
      iex> Py.Object.call_method(words, :sort, [], kwargs: [key: &String.downcase/1])
      {:ok, nil}
      iex> Py.Object.to_term(words)
      {:ok, ["a", "b", "C"]}
  """
  @doc since: "0.1.0"
  @spec call_method(t(), atom() | String.t(), [term()], keyword()) :: Py.result()
  def call_method(%__MODULE__{} = object, method, args \\ [], options \\ []) do
    Py.call(object, method, args, options)
  end

  @doc """
  Calls a method and returns its value, or raises. See `call_method/4`.

      iex> text = Py.eval!("'a,b'", return: :object)
      iex> Py.Object.call_method!(text, :split, [","])
      ["a", "b"]
  """
  @doc since: "0.1.0"
  @spec call_method!(t(), atom() | String.t(), [term()], keyword()) :: term()
  def call_method!(object, method, args \\ [], options \\ []) do
    object |> call_method(method, args, options) |> Py.unwrap!()
  end

  @doc """
  Converts the object to a term.

  The result is a handle again when the object has no counterpart: see the table of values in
  `Py`.

  ## Options

  Those of `Py.call/4`, except `:kwargs`.

  ## Errors

  `Py.ConversionError` when a part of the object has no exact counterpart, or when the term would
  be larger than `max_value_size` of the configuration. Further errors are listed at the top of
  this page.

  ## Examples

      iex> Py.Object.to_term(Py.eval!("{'a': (1, 2)}", return: :object))
      {:ok, %{"a" => {1, 2}}}
      iex> {:ok, object} = Py.Object.to_term(Py.eval!("object()"))
      iex> Py.Object.type(object)
      "object"
  """
  @doc since: "0.1.0"
  @spec to_term(t(), keyword()) :: Py.result()
  def to_term(%__MODULE__{} = object, options \\ []) do
    Py.call(:erlang, "_objects.identity", [object], options)
  end

  @doc """
  Returns the qualified name of the object's class, without its module.

  The handle has the name, so no Python code runs and no error is possible.

      iex> Py.Object.type(Py.eval!("object()"))
      "object"
      iex> Py.Object.type(Py.eval!("__import__('datetime').timezone", return: :object))
      "type"
  """
  @doc since: "0.1.0"
  @spec type(t()) :: String.t()
  def type(%__MODULE__{type: type}), do: type

  @doc """
  Returns Python's `repr()` of the object, uncut.

  `inspect/2` of a handle shows a short form, and never waits for a busy context.

  ## Options

  Those of `Py.call/4`, except `:kwargs` and `:return`.

  ## Errors

  `Py.Error` with what `__repr__` raised. Further errors are listed at the top of this page.

  ## Examples

      iex> Py.Object.repr(Py.eval!("slice(1, 2)"))
      {:ok, "slice(1, 2, None)"}
  """
  @doc since: "0.1.0"
  @spec repr(t(), keyword()) :: {:ok, String.t()} | {:error, Exception.t()}
  def repr(%__MODULE__{} = object, options \\ []),
    do: Py.call(:builtins, :repr, [object], options)

  # For `inspect/2`, which must be cheap and safe wherever it is called: it asks Python only while
  # the context is idle, and for a bounded time.
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
