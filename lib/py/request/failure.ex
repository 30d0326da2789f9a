defmodule Py.Request.Failure do
  @moduledoc false
  # Maps a failed request to the error that users see, in the dialect of the call, and records it for the statistics.

  alias Py.{Native, Operation, Options}
  alias Py.Request.{Reason, Traceback}
  alias Py.Stats.Failures
  alias Py.Telemetry.Events

  @doc """
  Maps the reply to a submitted request to the result that users see. `context` is the request, the native context or its id;
  `nil` if no context was reached.
  """
  @spec result(
          {:ok, term()} | {:error, term()},
          Options.t(),
          {:request, Native.request() | nil} | Native.context() | pos_integer() | nil,
          Operation.brief()
        ) :: Operation.result()
  def result({:ok, _value} = ok, _options, _context, _brief), do: ok

  def result(error, options, {:request, nil}, brief), do: result(error, options, nil, brief)

  def result(error, options, {:request, request}, brief) do
    {context, _queued, _ran} = Native.request_times(request)
    result(error, options, context, brief)
  end

  def result({:error, reason}, options, context, brief),
    do: record(reason, options, context, brief)

  @doc "Records a failure and returns the error that users see. `context` is the native context or its id; `nil` if none was reached."
  @spec record(term(), Options.t(), Native.context() | pos_integer() | nil, Operation.brief()) ::
          {:error, term()}
  def record(reason, options, context, brief) do
    context = context_id(context)
    {error, location} = error(reason, options, context)
    if options.timed and location, do: Events.failed_at(location)
    Events.overload(reason, context)
    Failures.record(error, context, brief, location)
    {:error, error}
  end

  @doc "The error that users see, and the line of the program that raised if it is known. `context` is an id."
  @spec error(term(), Options.t(), pos_integer() | nil) ::
          {term(), {String.t(), pos_integer()} | nil}
  # From the watchdog, which does not know the timeout that was given.
  def error(:timeout, options, context),
    do: error({:timeout, options.timeout, :running}, options, context)

  def error(:timeout_queued, options, context),
    do: error({:timeout, options.timeout, :queued}, options, context)

  def error({:timeout, timeout, phase}, %{dialect: :elixir}, context),
    do: {%Py.TimeoutError{timeout: timeout, phase: phase, context: context}, nil}

  def error({:exception, {class, text, location, traceback}}, %{dialect: :erlang}, _context) do
    Traceback.put(traceback)
    {Reason.erlang({:exception, {class, text, location}}), location}
  end

  def error(reason, %{dialect: :erlang}, _context) do
    # Deletes the traceback of an earlier failure.
    if Traceback.kept?(), do: Traceback.put(nil)
    {Reason.erlang(reason), location(reason)}
  end

  def error(reason, _options, _context), do: {Reason.exception(reason), location(reason)}

  defp location({:exception, {description, _object}}) when is_tuple(description),
    do: elem(description, tuple_size(description) - 1)

  defp location({:exception, {_class, _text, location}}), do: location
  defp location(_reason), do: nil

  defp context_id(context) when is_reference(context), do: elem(Native.context_state(context), 0)
  defp context_id(id), do: id
end
