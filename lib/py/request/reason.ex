defmodule Py.Request.Reason do
  @moduledoc false
  # Maps the reasons for which the NIF ends a request to what users see: exceptions of Elixir, terms of the Erlang API.

  @doc "The exception struct of a native reason."
  @spec exception(term()) :: Exception.t()
  def exception(error) when is_exception(error), do: error

  def exception({:exception, {description, object}}) when is_tuple(description),
    do: Py.Error.from_description(description, object)

  # From a cast in the Erlang dialect.
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
      message: "(no details: an error occurred while the exception was described)",
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

  # A built-in struct with a struct for `Py.Encoder` in one of its fields, which is not encoded and submitted again.
  def exception(:encode) do
    %Py.ConversionError{
      reason:
        "a built-in struct holds a struct that only Py.Encoder converts; encode that struct before you call Python"
    }
  end

  def exception(reason) when reason in [:bad_request, :cancelled],
    do: %Py.ContextError{
      reason: {:failed, "unexpected reply #{inspect(reason)}; please report this as a bug"}
    }

  def exception(:wrong_interpreter), do: %Py.ContextError{reason: :wrong_interpreter}

  @doc "The term of the Erlang API for a reason."
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
