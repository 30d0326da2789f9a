defmodule Py.Request.Reason do
  @moduledoc false
  # The reasons for which the native code ends a request, as users see them: exceptions of Elixir, terms of the Erlang API.

  @doc "The exception struct of a native reason."
  @spec exception(term()) :: Exception.t()
  def exception(error) when is_exception(error), do: error

  def exception({:exception, {description, object}}) when is_tuple(description),
    do: Py.Error.from_description(description, object)

  # In the Erlang dialect, of work that nobody waits for.
  def exception({:exception, {class, text, _location}}) do
    %Py.Error{
      type: to_string(class),
      message: List.to_string(text),
      bases: ["builtins.#{class}"]
    }
  end

  def exception({:exception, class}) do
    %Py.Error{
      type: class,
      message: "(no details: describing the exception failed)",
      bases: ["builtins.#{class}"]
    }
  end

  def exception({:conversion, reason, path}), do: %Py.ConversionError{reason: reason, path: path}
  def exception({:timeout, timeout}), do: %Py.TimeoutError{timeout: timeout}
  def exception(:timeout), do: %Py.TimeoutError{}
  def exception(:interrupted), do: %Py.InterruptedError{}

  def exception({refused, limit, current, max}) when refused in [:rejected, :overloaded],
    do: %Py.OverloadedError{current: current, max: max, limit: limit}

  def exception(:stopped), do: %Py.ContextError{reason: :stopped}
  def exception({:stopped, id}), do: %Py.ContextError{reason: :stopped, context: id}
  def exception({:panicked, text}), do: %Py.ContextError{reason: {:crashed, text}}

  # Only where nobody is there to encode and submit again: a built-in struct with such a struct in one of its fields.
  def exception(:encode),
    do: %Py.ConversionError{reason: "a built-in struct holds a value that only Py.Encoder knows"}

  def exception(reason) when reason in [:bad_request, :cancelled],
    do: %Py.ContextError{
      reason: {:failed, "unexpected reply #{inspect(reason)}; please report this"}
    }

  def exception(:wrong_interpreter), do: %Py.ContextError{reason: :wrong_interpreter}

  @doc "The reason of a failure as the Erlang API has it."
  @spec erlang(term()) :: term()
  def erlang({:exception, {:StopIteration, _text, _location}}),
    do: {:stop_iteration, :none}

  def erlang({:exception, {:KeyboardInterrupt, _text, _location}}), do: :interrupted
  def erlang({:exception, {class, text, _location}}), do: {class, text}
  def erlang({:timeout, _timeout}), do: :timeout
  def erlang({:timeout, _timeout, _phase}), do: :timeout

  def erlang({refused, _limit, current, max}) when refused in [:rejected, :overloaded],
    do: {:overloaded, current, max}

  def erlang(reason) when reason in [:timeout, :interrupted], do: reason

  def erlang(reason) do
    case exception(reason) do
      %Py.ContextError{reason: :not_found, context: name}
      when is_atom(name) and name not in [nil, :default] ->
        {:no_such_pool, name}

      %Py.ContextError{reason: reason} ->
        {:context_died, reason}

      %Py.OverloadedError{current: current, max: max} ->
        {:overloaded, current, max}

      %Py.TimeoutError{} ->
        :timeout

      %Py.ConversionError{} = error ->
        {:conversion_error, to_charlist(Exception.message(error))}
    end
  end
end
