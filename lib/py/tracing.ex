defmodule Py.Tracing do
  @moduledoc """
  Collects the spans that Python code makes.

  A span is a piece of work with a name, a start, an end and attributes. Spans nest, and each
  knows the span that it began in.

      iex> Py.Tracing.enable()
      :ok
      iex> code = \"""
      ...> import erlang
      ...> with erlang.Span('order', id=7) as span:
      ...>     with erlang.Span('price'): pass
      ...>     span.event('priced', euros=3)
      ...> \"""
      iex> Py.exec!(code)
      :ok
      iex> [price, order] = Py.Tracing.traces()
      iex> {price.name, price.parent_id == order.span_id, order.attributes, hd(order.events).attrs}
      {"price", true, %{"id" => 7}, %{"euros" => 3}}
      iex> {Py.Tracing.disable(), Py.Tracing.clear()}
      {:ok, :ok}

  Collecting is off until `enable/0`. The events of calls and contexts are a different thing: see
  `Py.Telemetry`.

  ## In Python

    * `erlang.Span(name, **attributes)` - a context manager. An exception that leaves it ends the
      span with the status `:error`
    * `span.event(name, **attributes)` - records a moment within the span
    * `@erlang.trace()`, `@erlang.trace("name")` - makes each call of a function a span. The
      function may be `async`

  Attributes are numbers, strings, booleans and `None`; of any other value its `str()`. A span may
  stay in code that is never traced: while collecting is off it costs some microseconds.

  ## Bounds

  | kept | at most | beyond that |
  |---|---|---|
  | spans that have ended | 10,000 | the oldest are dropped |
  | spans that have not ended | 10,000 | the oldest 1,000 are dropped |
  | events of a span | 1,000 | further ones are dropped |

  ## Errors

  All functions raise `Py.ContextError` when the application is not running.
  """
  @moduledoc since: "0.1.0"

  use Py.Server

  @max_kept 10_000
  @max_open 10_000
  @max_events 1_000

  @typedoc """
  A span that has ended.

    * `:name` - the name given in Python, or the qualified name of a function decorated with
      `trace`
    * `:span_id` - a random number of 63 bits
    * `:parent_id` - the `:span_id` of the span around it, or `nil`
    * `:start_time`, `:end_time` - microseconds since 1970, from Python's clock
    * `:duration_us` - the difference, in microseconds
    * `:status` - `:error` when an exception left the span, else `:ok`
    * `:attributes` - the attributes, with string keys
    * `:end_attrs` - `%{"exception" => text}` when an exception left the span, else `%{}`
    * `:events` - the events in their order, each with its `:name`, `:attrs` and `:time`
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

  @doc """
  Collects the spans of all contexts from now on.

  Spans that began before are not collected. Calling it again changes nothing.
  """
  @doc since: "0.1.0"
  @spec enable() :: :ok
  def enable, do: GenServer.call(server(), :enable)

  @doc """
  Stops collecting.

  Spans that have ended stay until `clear/0`. Spans that have not ended are dropped.
  """
  @doc since: "0.1.0"
  @spec disable() :: :ok
  def disable, do: GenServer.call(server(), :disable)

  @doc """
  Returns the collected spans that have ended, in the order in which they ended.

  So a span comes after the spans within it. The list is copied to the calling process.

  ## Examples

      iex> Py.Tracing.enable()
      iex> Py.exec("import erlang\\nwith erlang.Span('bad'): 1 / 0")
      iex> [%{name: name, status: status, end_attrs: attributes}] = Py.Tracing.traces()
      iex> {Py.Tracing.disable(), Py.Tracing.clear()}
      iex> {name, status, attributes}
      {"bad", :error, %{"exception" => "division by zero"}}
  """
  @doc since: "0.1.0"
  @spec traces() :: [trace()]
  def traces, do: GenServer.call(server(), :traces)

  @doc """
  Deletes all spans, the ones that have not ended included.
  """
  @doc since: "0.1.0"
  @spec clear() :: :ok
  def clear, do: GenServer.call(server(), :clear)

  # Python looks up the registered name, which this process has only while it collects. Elixir
  # needs the process always, so a persistent term has its pid.
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

  # Some spans never end, for example in code that was interrupted.
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
