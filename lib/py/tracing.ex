defmodule Py.Tracing do
  @moduledoc """
  Spans that Python code makes: which pieces of work it did, when, for how long, and inside of which others.

      iex> Py.Tracing.enable()
      :ok
      iex> code = "with erlang.Span('order', id=7) as span:\\n  with erlang.Span('price'): pass\\n  span.event('priced', euros=3)"
      iex> Py.exec!(code)
      :ok
      iex> [price, order] = Py.Tracing.traces()
      iex> {price.name, price.parent_id == order.span_id, order.attributes, hd(order.events).attrs}
      {"price", true, %{"id" => 7}, %{"euros" => 3}}
      iex> {Py.Tracing.disable(), Py.Tracing.clear()}
      {:ok, :ok}

  In Python, `erlang.Span(name, **attributes)` is a context manager with the method `event(name, **attributes)`, and
  `@erlang.trace()` makes each call of a function a span, of an async function too. They may stay in code that is never traced:
  while this is off they cost some microseconds.

  The last 10,000 spans that have ended are kept, until `clear/0` or the end of the application; of those that have not ended
  the newest 10,000, and of each the first 1,000 events.
  """
  @moduledoc since: "0.1.0"

  use Py.Server

  @max_kept 10_000
  @max_open 10_000
  @max_events 1_000

  @typedoc """
  A span that has ended. Times are microseconds since 1970; `:parent_id` is `nil` outside of any other span. `:end_attrs` has the
  text of the exception that ended it, as `"exception"`. Events are in their order.
  """
  @type trace :: %{
          name: String.t(),
          span_id: non_neg_integer(),
          parent_id: non_neg_integer() | nil,
          start_time: integer(),
          end_time: integer(),
          duration_us: non_neg_integer(),
          status: :ok | :error,
          attributes: map(),
          end_attrs: map(),
          events: [%{name: String.t(), attrs: map(), time: integer()}]
        }

  @doc "Collects spans from now on, of all contexts."
  @spec enable() :: :ok
  def enable, do: GenServer.call(server(), :enable)

  @doc "Collects no further spans. Those that have ended stay, those that have not are dropped."
  @spec disable() :: :ok
  def disable, do: GenServer.call(server(), :disable)

  @doc "The spans that have ended, in the order of their ends."
  @spec traces() :: [trace()]
  def traces, do: GenServer.call(server(), :traces)

  @doc "Forgets all spans."
  @spec clear() :: :ok
  def clear, do: GenServer.call(server(), :clear)

  # Python looks for the name, which this process has while it collects: so it is known otherwise too.
  defp server do
    Py.Lifecycle.running!()
    :persistent_term.get(__MODULE__)
  end

  @doc false
  def start_link(_options), do: GenServer.start_link(__MODULE__, nil)

  @impl true
  def init(nil) do
    :persistent_term.put(__MODULE__, self())
    {:ok, empty()}
  end

  defp empty, do: %{open: %{}, ended: :queue.new(), count: 0}

  @impl true
  def handle_call(:enable, _from, state) do
    if Process.whereis(__MODULE__) != self(), do: Process.register(self(), __MODULE__)
    {:reply, :ok, state}
  end

  def handle_call(:disable, _from, state) do
    if Process.whereis(__MODULE__) == self(), do: Process.unregister(__MODULE__)
    {:reply, :ok, %{state | open: %{}}}
  end

  def handle_call(:traces, _from, state), do: {:reply, :queue.to_list(state.ended), state}
  def handle_call(:clear, _from, _state), do: {:reply, :ok, empty()}

  @impl true
  def handle_info({:span_start, id, parent, name, attributes, time}, state) do
    span = %{
      name: name,
      span_id: id,
      parent_id: if(parent == :undefined, do: nil, else: parent),
      start_time: time,
      attributes: attributes,
      events: []
    }

    {:noreply, %{state | open: state.open |> make_room() |> Map.put(id, {span, 0})}}
  end

  def handle_info({:span_event, id, name, attributes, time}, state) do
    event = %{name: name, attrs: attributes, time: time}

    case state.open do
      %{^id => {span, count}} when count < @max_events ->
        span = %{span | events: [event | span.events]}
        {:noreply, put_in(state.open[id], {span, count + 1})}

      _unknown_or_full ->
        {:noreply, state}
    end
  end

  def handle_info({:span_end, id, status, attributes, time}, state) do
    case Map.pop(state.open, id) do
      {nil, _open} ->
        {:noreply, state}

      {{span, _count}, open} ->
        {:noreply, keep(ended(span, status, attributes, time), %{state | open: open})}
    end
  end

  # Some never end, as when their process was killed.
  defp make_room(open) when map_size(open) < @max_open, do: open

  defp make_room(open) do
    open
    |> Enum.sort_by(fn {_id, {span, _count}} -> span.start_time end)
    |> Enum.drop(div(@max_open, 10))
    |> Map.new()
  end

  defp ended(span, status, attributes, time) do
    Map.merge(span, %{
      status: status,
      end_attrs: attributes,
      end_time: time,
      duration_us: time - span.start_time,
      events: Enum.reverse(span.events)
    })
  end

  defp keep(span, %{count: @max_kept} = state),
    do: %{state | ended: :queue.in(span, :queue.drop(state.ended))}

  defp keep(span, state),
    do: %{state | ended: :queue.in(span, state.ended), count: state.count + 1}
end
