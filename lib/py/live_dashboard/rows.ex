defmodule Py.LiveDashboard.Rows do
  @moduledoc false
  # The content of the dashboard page as plain data, computed from a snapshot: sorted, searched, in words. Pure functions.

  alias Py.LiveDashboard.{Format, History}

  @typedoc "The parameters of a table, as Phoenix.LiveDashboard.PageBuilder passes them."
  @type params :: %{
          sort_by: atom(),
          sort_dir: :asc | :desc,
          limit: pos_integer() | nil,
          search: String.t() | nil
        }

  any = fn keys -> Map.new(keys, &{&1, :any}) end

  # The keys of a snapshot that the page reads.
  @shape Map.merge(any.(~w(at uptime_ms mode handles)a), %{
           python: any.(~w(version executable library own_gil free_threaded)a),
           permits: any.(~w(in_use max_concurrent waiting)a),
           totals:
             any.(
               ~w(calls errors timeouts interrupts orphans rejected expired callbacks callback_errors
                     cast_failures contexts_started contexts_crashed contexts_stuck contexts_abandoned)a
             ),
           state: any.(~w(entries bytes max_entries)a),
           os: any.(~w(memory_bytes cpu_time_ms cpu_share cpus)a),
           contexts: [
             ~w(id pid pool index name mode state uptime_ms running_ms queued load max_queue calls errors
                timeouts interrupts orphans rejected expired callbacks callback_errors busy_ms busy_share
                restarts interpreter)a
             |> any.()
             |> Map.put(:latency, any.(~w(p50_us p99_us max_us)a))
           ],
           interpreters: [
             ~w(id mode contexts gc_runs gc_collected gc_time_us gc_max_us)a
             |> any.()
             |> Map.put(:sample, {:maybe, any.(~w(age_ms gc allocated_blocks)a)})
           ],
           callbacks: [any.(~w(name calls errors time_us)a)],
           failures: [
             any.(~w(at kind type operation function file line context context_name message)a)
           ]
         })

  @doc "Returns `true` if a snapshot, which may come from another version of erlang_python, has all keys that the page reads."
  @spec understood?(term()) :: boolean()
  def understood?(snapshot), do: fits?(snapshot, @shape)

  defp fits?(_value, :any), do: true
  defp fits?(value, {:maybe, shape}), do: value == nil or fits?(value, shape)
  defp fits?(list, [shape]), do: is_list(list) and Enum.all?(list, &fits?(&1, shape))

  defp fits?(map, shape) do
    is_map(map) and
      Enum.all?(shape, fn {key, inner} -> is_map_key(map, key) and fits?(map[key], inner) end)
  end

  @doc "Rows of the table of contexts, and their number before they are cut."
  @spec contexts(Py.Stats.snapshot(), params()) :: {[map()], non_neg_integer()}
  def contexts(snapshot, params) do
    snapshot.contexts |> Enum.map(&context/1) |> page(params, [:label, :mode, :state])
  end

  @doc "Everything about one context, with its latest failures; `nil` when it has ended."
  @spec context(Py.Stats.snapshot(), pos_integer()) :: map() | nil
  def context(snapshot, id) do
    with %{} = context <- Enum.find(snapshot.contexts, &(&1.id == id)) do
      own = Enum.filter(snapshot.failures, &(&1.context == id))
      Map.put(context(context), :failures, failures(%{snapshot | failures: own}))
    end
  end

  defp context(%{latency: latency} = context) do
    Map.merge(context, %{
      label: label(context),
      p50_us: latency.p50_us,
      p99_us: latency.p99_us,
      max_us: latency.max_us
    })
  end

  @doc "The label of a context: its name, else its pool and index, else its id."
  @spec label(map()) :: String.t()
  def label(%{name: name}) when name != nil, do: name |> to_string() |> Format.text(60)

  def label(%{pool: pool, index: index}) when index != nil,
    do: Format.text("#{pool} #{index}", 60)

  def label(%{id: id}), do: "context #{id}"

  @doc "Rows of the table of interpreters."
  @spec interpreters(Py.Stats.snapshot(), params()) :: {[map()], non_neg_integer()}
  def interpreters(snapshot, params) do
    labels = Map.new(snapshot.contexts, &{&1.id, label(&1)})
    snapshot.interpreters |> Enum.map(&interpreter(&1, labels)) |> page(params, [:label])
  end

  defp interpreter(%{sample: sample} = interpreter, labels) do
    Map.merge(interpreter, %{
      label: if(interpreter.id == 0, do: "main", else: "own-GIL #{interpreter.id}"),
      context_labels:
        interpreter.contexts
        |> Enum.map(&Map.get(labels, &1, "context #{&1}"))
        |> Enum.sort_by(&natural/1),
      blocks: sample && sample.allocated_blocks,
      uncollectable: sample && sample.gc |> Enum.map(& &1.uncollectable) |> Enum.sum(),
      generations: sample && Enum.map(sample.gc, & &1.collections),
      age_ms: sample && sample.age_ms
    })
  end

  @doc "Rows of the table of functions that Python calls."
  @spec callbacks(Py.Stats.snapshot(), params()) :: {[map()], non_neg_integer()}
  def callbacks(snapshot, params) do
    snapshot.callbacks |> Enum.map(&callback/1) |> page(params, [:label])
  end

  defp callback(callback) do
    label =
      if callback.name, do: Format.text(callback.name, 120), else: "functions passed as arguments"

    Map.merge(callback, %{label: label, mean_us: mean(callback.time_us, callback.calls)})
  end

  @doc """
  The latest failures, newest first, with printable texts. Equal failures in a row are one row, with their number in `:times`
  and their contexts in `:places`.
  """
  @spec failures(Py.Stats.snapshot()) :: [map()]
  def failures(snapshot) do
    labels = Map.new(snapshot.contexts, &{&1.id, label(&1)})

    snapshot.failures
    |> Enum.chunk_by(&equal/1)
    |> Enum.map(&failure(&1, labels))
  end

  # Each context numbers the code that it runs: the same code is <exec 2> in one and <exec 5> in another.
  defp equal(%{file: "<" <> _number} = failure), do: equal(%{failure | file: nil})
  defp equal(failure), do: Map.drop(failure, [:at, :context, :context_name])

  defp failure([latest | _earlier] = equal, labels) do
    places =
      for %{context: id, context_name: name} when id != nil <- equal, uniq: true do
        Map.get(labels, id) || ended(id, name)
      end

    %{
      at: latest.at,
      kind: latest.kind,
      type: Format.text(latest.type, 120),
      what: Format.text(to_string(latest.function || latest.operation || "–"), 120),
      line: line(latest),
      message: Format.text(latest.message, 500),
      times: length(equal),
      places: Enum.sort_by(places, &natural/1)
    }
  end

  defp ended(id, nil), do: "context #{id} (ended)"
  defp ended(_id, name), do: Format.text(name, 60) <> " (ended)"

  # Only the name of the file: its folder is long.
  defp line(%{file: nil}), do: nil

  defp line(%{file: file, line: line}),
    do: "#{file |> Path.basename() |> Format.text(80)}:#{line}"

  @doc "Rows of the shared state, from `{key, bytes}`. The keys are not made printable here."
  @spec state([{binary(), non_neg_integer()}], params()) :: {[map()], non_neg_integer()}
  def state(sizes, params) do
    page(for({key, bytes} <- sizes, do: %{key: key, bytes: bytes}), params, [:key])
  end

  # Searched, sorted and cut. Unknown values come last in both directions.
  defp page(rows, %{sort_by: key, sort_dir: direction} = params, searched) do
    found = Enum.filter(rows, &found?(&1, params.search, searched))
    {unknown, known} = Enum.split_with(found, &is_nil(&1[key]))
    sorted = Enum.sort_by(known, &natural(&1[key]), direction) ++ unknown
    {if(params.limit, do: Enum.take(sorted, params.limit), else: sorted), length(found)}
  end

  # "pool 10" after "pool 2".
  defp natural(text) when is_binary(text) do
    for part <- Regex.scan(~r/[0-9]+|[^0-9]+/, text) |> List.flatten() do
      case Integer.parse(part) do
        {number, ""} -> number
        _text -> String.downcase(part)
      end
    end
  end

  defp natural(other), do: other

  defp found?(_row, search, _keys) when search in [nil, ""], do: true

  defp found?(row, search, keys) do
    search = String.downcase(search)
    Enum.any?(keys, &String.contains?(row[&1] |> to_string() |> String.downcase(), search))
  end

  defp mean(_sum, 0), do: nil
  defp mean(sum, number), do: sum / number

  @doc "The number of contexts in each state. States without contexts are left out."
  @spec states(Py.Stats.snapshot()) :: [{atom(), pos_integer()}]
  def states(snapshot) do
    frequencies = Enum.frequencies_by(snapshot.contexts, & &1.state)

    for state <- [:running, :in_callback, :idle, :starting, :stuck, :dead],
        number = frequencies[state],
        do: {state, number}
  end

  @doc "The mean share of time in which contexts were busy; `nil` if there are none."
  @spec busy_share(Py.Stats.snapshot()) :: float() | nil
  def busy_share(%{contexts: contexts}) do
    contexts |> Enum.map(& &1.busy_share) |> Enum.sum() |> mean(length(contexts))
  end

  @long_ms 10_000

  @doc "Sentences about what needs attention: `{:danger | :warning | :info, text}`, worst first."
  @spec problems(Py.Stats.snapshot(), History.t()) :: [{:danger | :warning | :info, String.t()}]
  def problems(snapshot, history) do
    stuck(snapshot) ++
      dead(snapshot) ++
      refused(history) ++ limit(snapshot) ++ full_state(snapshot) ++ long(snapshot)
  end

  defp stuck(%{contexts: contexts}) do
    for %{state: :stuck} = context <- contexts do
      {:danger,
       "#{label(context)} is stuck: it has run the same request for #{Format.duration(context.running_ms)}, and an " <>
         "interrupt had no effect, because C code does not return. Callers get their errors in time. The context runs " <>
         "no other request until that code returns. Click the context to see where it is."}
    end
  end

  defp dead(%{contexts: contexts}) do
    case for %{state: :dead} = context <- contexts, do: label(context) do
      [] -> []
      labels -> [{:danger, "Ended and not replaced yet: #{Enum.join(labels, ", ")}."}]
    end
  end

  defp refused(history) do
    case History.latest(history, :refused) do
      rate when rate in [nil, 0] or rate == 0.0 ->
        []

      rate ->
        [
          {:warning,
           "Requests are being refused: #{Format.rate(rate)} per second, because no permit became free in time or the " <>
             "queue of a context was full. Add permits or contexts, or send fewer requests."}
        ]
    end
  end

  defp limit(%{permits: %{in_use: in_use, max_concurrent: max, waiting: waiting}})
       when in_use >= max and waiting > 0 do
    [
      {:warning,
       "The limit on concurrent requests is reached: all #{Format.count(max)} permits are in use (max_concurrent), " <>
         "#{Format.count(waiting)} waiting."}
    ]
  end

  defp limit(_snapshot), do: []

  defp full_state(%{state: %{entries: entries, max_entries: max}})
       when max != nil and entries >= max do
    [
      {:warning,
       "The shared state is full: it has #{Format.count(max)} entries (max_state_entries), and new keys are refused. " <>
         "Delete keys, or raise max_state_entries."}
    ]
  end

  defp full_state(_snapshot), do: []

  defp long(%{contexts: contexts}) do
    for %{state: :running, running_ms: ms} = context when is_integer(ms) and ms > @long_ms <-
          contexts do
      {:info, "#{label(context)} has run the same request for #{Format.duration(ms)}."}
    end
  end
end
