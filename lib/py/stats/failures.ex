defmodule Py.Stats.Failures do
  @moduledoc false
  # The latest failures, in a table of fixed size. The process whose request failed writes to it.

  alias Py.Context.Table
  alias Py.Operation

  @size 50
  @max_message 500

  @type kind ::
          :python
          | :timeout
          | :interrupted
          | :overloaded
          | :context
          | :conversion
          | :callback
          | :cancelled

  @doc "Creates the table, which ends with the calling process."
  @spec init() :: :ok
  def init do
    :ets.new(__MODULE__, [:named_table, :public, write_concurrency: true])
    :ets.insert(__MODULE__, {:next, 0})
    :ok
  end

  @doc "The number of failures that are kept."
  @spec size() :: pos_integer()
  def size, do: @size

  @typedoc "File and line."
  @type location :: {String.t(), pos_integer()} | nil

  @doc "Records a failure of an operation: an exception, or the term of the Erlang API."
  @spec record(term(), pos_integer() | nil, Operation.brief(), location()) :: :ok
  def record(error, context, brief, location) do
    {kind, type} = classify(error)
    names = Operation.names(brief)
    where = {names.operation, Operation.qualified(names), context, location}
    put(kind, type, message(error), where)
  end

  @doc "Records the failure of a function that Python called."
  @spec record_callback(String.t(), String.t(), String.t() | nil, pos_integer() | nil, location()) ::
          :ok
  def record_callback(type, message, name, context, location),
    do: put(:callback, type, message, {:callback, name, context, location})

  @doc "Records the crash of a context."
  @spec record_crash(String.t(), pos_integer()) :: :ok
  def record_crash(message, context),
    do: put(:context, "crash", message, {nil, nil, context, nil})

  defp put(kind, type, message, {operation, function, context, location}) do
    number = :ets.update_counter(__MODULE__, :next, 1)
    {file, line} = location || {nil, nil}

    failure = %{
      at: System.system_time(:millisecond),
      kind: kind,
      type: type,
      context: context,
      context_name: Table.label(context),
      operation: operation,
      function: function && cut(function),
      file: file && cut(file),
      line: line,
      message: cut(message)
    }

    :ets.insert(__MODULE__, {{:slot, rem(number, @size)}, number, failure})
    :ok
  rescue
    # The application is stopping.
    ArgumentError -> :ok
  end

  @doc "The failures, newest first."
  @spec list() :: [Py.Stats.failure()]
  def list do
    slots = :ets.match_object(__MODULE__, {{:slot, :_}, :_, :_})
    for {_slot, _number, failure} <- Enum.sort_by(slots, &elem(&1, 1), :desc), do: failure
  end

  @doc "The kind of a failure, and its type: Python's class or the name of the Elixir exception."
  @spec classify(term()) :: {kind(), String.t()}
  def classify(%Py.Error{type: type}), do: {:python, type}
  def classify(%module{} = error) when is_exception(error), do: {kind(module), inspect(module)}
  def classify(:timeout), do: classify(%Py.TimeoutError{})
  def classify(:interrupted), do: classify(%Py.InterruptedError{})
  def classify(:cancelled), do: {:cancelled, "cancelled"}
  def classify({:overloaded, _current, _max}), do: {:overloaded, "Py.OverloadedError"}

  def classify({kind, _reason}) when kind in [:context_died, :no_such_pool],
    do: {:context, "Py.ContextError"}

  def classify({:conversion_error, _text}), do: {:conversion, "Py.ConversionError"}
  def classify({:stop_iteration, _none}), do: {:python, "StopIteration"}
  def classify({class, _text}) when is_atom(class) or is_binary(class), do: {:python, "#{class}"}
  def classify(_other), do: {:python, "Exception"}

  defp kind(Py.TimeoutError), do: :timeout
  defp kind(Py.InterruptedError), do: :interrupted
  defp kind(Py.OverloadedError), do: :overloaded
  defp kind(Py.ConversionError), do: :conversion
  defp kind(_other), do: :context

  # Not `Exception.message/1` of a Python error, which has the traceback in it.
  defp message(%Py.Error{message: message}) when is_binary(message), do: message
  defp message(error) when is_exception(error), do: Exception.message(error)
  defp message({_class, text}) when is_list(text), do: List.to_string(text)
  defp message(other), do: inspect(other)

  defp cut(message) when byte_size(message) <= @max_message, do: :binary.copy(message)

  defp cut(message) do
    {head, more?} = Py.Text.head(message, @max_message)
    # A copy, because a part of a binary keeps the whole in memory.
    head |> String.replace_invalid("") |> Py.Text.cut(@max_message - 1, more?) |> :binary.copy()
  end
end
