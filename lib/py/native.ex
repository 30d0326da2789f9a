defmodule Py.Native do
  @moduledoc false
  # Stubs of the NIF. `Py.Boundary` and `Py.Context.Server` are its only callers.

  # Not at run time: a release has no cargo.
  Py.Native.Build.build!()
  for source <- Py.Native.Build.sources(), do: @external_resource(source)

  @type context :: reference()
  @type request :: reference()

  @doc "Loads the library. libpython must be open: see `Py.Native.Loader`."
  @spec load() :: :ok | {:error, String.t()}
  def load do
    path = :filename.join(:code.priv_dir(:erlang_python), ~c"native/erlang_python_nif")

    case :erlang.load_nif(path, 0) do
      :ok -> :ok
      {:error, {:reload, _text}} -> :ok
      {:error, {_reason, text}} -> {:error, List.to_string(text)}
    end
  end

  @spec start_runtime(%{executable: String.t(), package: String.t()}) ::
          {:ok, %{version: String.t(), own_gil: boolean()}} | {:error, String.t()}
  def start_runtime(_options), do: stub()

  @spec permits() :: {non_neg_integer(), non_neg_integer(), non_neg_integer()}
  def permits, do: stub()

  @spec set_max_permits(non_neg_integer()) :: :ok
  def set_max_permits(_max), do: stub()

  @spec context_start(map()) :: {:ok, context(), pos_integer()} | {:error, String.t()}
  def context_start(_options), do: stub()

  @spec context_stop(context()) :: :ok
  def context_stop(_context), do: stub()

  @spec context_info(context()) :: map()
  def context_info(_context), do: stub()

  @spec context_interrupt(context()) :: boolean()
  def context_interrupt(_context), do: stub()

  @spec context_state(context()) :: {pos_integer(), boolean()}
  def context_state(_context), do: stub()

  @spec context_owner(context()) :: pid()
  def context_owner(_context), do: stub()

  @spec submit(context(), pid(), reference(), term(), term(), non_neg_integer(), integer()) ::
          request() | :stopped | {:overloaded, non_neg_integer(), non_neg_integer()}
  def submit(_context, _caller, _reference, _operation, _namespace, _flags, _deadline), do: stub()

  @spec cancel(request()) :: :waiting | :queued | :running | :lost
  def cancel(_request), do: stub()

  @spec cancel_waiting(request()) :: boolean()
  def cancel_waiting(_request), do: stub()

  defp stub, do: :erlang.nif_error(:nif_not_loaded)
end
