defmodule Py.LiveDashboard.Source do
  @moduledoc false
  # Reads the data of the dashboard page from a node, in bounded time. An error is a sentence for the page.

  alias Py.LiveDashboard.{Format, Rows}

  @snapshot_timeout 2_000
  @state_timeout 5_000

  # Larger values are not read.
  @preview_bytes 64 * 1024
  @key_characters 120

  @doc "The snapshot of a node."
  @spec snapshot(node()) :: {:ok, Py.Stats.snapshot()} | {:error, String.t()}
  def snapshot(node) do
    with {:ok, snapshot} <- fetch(node, Py.Stats, :snapshot, [], @snapshot_timeout) do
      if Rows.understood?(snapshot), do: {:ok, snapshot}, else: {:error, other_version(node)}
    end
  end

  @doc "The Python frames that a context of a node runs now: lines of text, innermost last."
  @spec stack(node(), pid()) :: {:ok, [String.t()]} | {:error, String.t()}
  def stack(node, context) do
    with {:ok, result} <- fetch(node, Py.Context, :stack, [context], @snapshot_timeout) do
      case result do
        {:ok, frames} -> {:ok, Enum.map(frames, &Py.Context.Stack.format/1)}
        {:error, error} -> {:error, explain(error)}
      end
    end
  end

  @doc """
  Entries of a node's shared state: `{rows, total}`. That node selects, sorts and shortens them, so that large values do not
  travel.
  """
  @spec state(node(), Rows.params(), boolean()) ::
          {:ok, {[map()], non_neg_integer()}} | {:error, String.t()}
  def state(node, params, values?) do
    fetch(node, __MODULE__, :read_state, [params, values?], @state_timeout)
  end

  @doc "The part of `state/3` that runs on the node."
  @spec read_state(Rows.params(), boolean()) :: {[map()], non_neg_integer()}
  def read_state(params, values?) do
    {entries, total} = Rows.state(Py.State.sizes(), params)
    {Enum.map(entries, &preview(&1, values?)), total}
  end

  defp preview(%{key: key, bytes: bytes}, values?) do
    %{key: Format.text(key, @key_characters), bytes: bytes, value: value(key, bytes, values?)}
  end

  defp value(_key, _bytes, false), do: "(values are not shown)"

  defp value(_key, bytes, true) when bytes > @preview_bytes,
    do: "(#{Format.bytes(bytes)}, too large to show)"

  defp value(key, _bytes, true) do
    case Py.State.fetch(key) do
      {:ok, value} -> Format.preview(value)
      :error -> "(deleted since)"
    end
  end

  defp fetch(node, module, function, args, timeout) do
    {:ok, :erpc.call(node, module, function, args, timeout)}
  catch
    :error, {:erpc, :timeout} ->
      {:error,
       "#{node} did not answer within #{div(timeout, 1_000)} seconds. The page tries again at the next refresh."}

    :error, {:erpc, reason} ->
      {:error, "#{node} cannot be reached (#{inspect(reason)})."}

    :error, {:exception, :undef, [{^module, ^function, _args, _where} | _]} ->
      {:error, missing(node)}

    :error, {:exception, reason, _stack} ->
      {:error, not_running(node, reason)}

    kind, reason ->
      {:error, "#{node} failed: #{Format.preview({kind, reason})}"}
  end

  defp missing(node) do
    case version(node) do
      nil ->
        "erlang_python is not on #{node}. Choose a node that runs it, or add it to that node's release."

      _old ->
        other_version(node)
    end
  end

  defp other_version(node) do
    "#{node} runs erlang_python #{version(node) || "of another version"}, and this page is of #{version(node())}: it does " <>
      "not understand those statistics. Open the dashboard on a node with the same version."
  end

  defp not_running(node, reason) do
    if running?(node),
      do: "#{node} failed: #{explain(reason)}",
      else:
        "erlang_python is on #{node} but is not running there. Start it: Application.ensure_all_started(:erlang_python)."
  end

  defp explain(exception) when is_exception(exception),
    do: exception |> Exception.message() |> Format.text(300)

  defp explain(reason), do: Format.preview(reason, 300)

  defp running?(node) do
    case fetch(node, :application, :which_applications, [], @snapshot_timeout) do
      {:ok, applications} -> List.keymember?(applications, :erlang_python, 0)
      _error -> false
    end
  end

  defp version(node) do
    with {:ok, {:ok, version}} <-
           fetch(node, :application, :get_key, [:erlang_python, :vsn], @snapshot_timeout),
         do: version,
         else: (_unknown -> nil)
  end
end
