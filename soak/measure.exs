defmodule Soak.Measure do
  @moduledoc false
  # What the process holds: sampled during a run, and exact when all is quiet.

  # A third of a run is warm-up: allocators and caches grow to their working size.
  @warm_up 1 / 3
  # Bytes that the fitted line may rise by after it: a bound for noise, and for each minute. In a run of a minute the heaps
  # are still growing to their working size (23 MiB seen, and 10 MiB in 20 minutes later): `@settling` is divided by minutes.
  @noise 24 * 1024 * 1024
  @each_minute 1024 * 1024
  @settling 48 * 1024 * 1024
  # CPython before 3.14 loses memory with each ended interpreter that has its own GIL: 4.6 MiB measured on 3.13.
  @each_interpreter 6 * 1024 * 1024
  # Milliseconds: a busy machine holds a thread for some itself.
  @long_schedule 500

  @doc "Starts a process that samples the memory every half second, and hears of held schedulers."
  @spec start(integer()) :: pid()
  def start(until) do
    parent = self()

    spawn_link(fn ->
      :erlang.system_monitor(self(), long_schedule: @long_schedule)
      sample(%{parent: parent, until: until, memory: [], long_schedule: []})
    end)
  end

  @doc "Ends it and returns what it saw."
  @spec stop(pid()) :: %{memory: [{integer(), integer()}], long_schedule: [term()]}
  def stop(sampler) do
    send(sampler, {:stop, self()})
    receive do: ({^sampler, samples} -> samples)
  end

  defp sample(state) do
    receive do
      {:monitor, subject, :long_schedule, details} ->
        where = {details[:timeout], subject_of(subject), details[:in], details[:out]}
        sample(%{state | long_schedule: [where | state.long_schedule]})

      {:stop, from} ->
        :erlang.system_monitor(:undefined)
        send(from, {self(), Map.take(state, [:memory, :long_schedule])})
    after
      500 ->
        now = System.monotonic_time(:millisecond)

        state =
          if now < state.until,
            do: %{state | memory: [{now, resident()} | state.memory]},
            else: state

        sample(state)
    end
  end

  defp subject_of(pid) when is_pid(pid), do: Process.info(pid, :initial_call)
  defp subject_of(port), do: port

  @doc "The fitted growth after the warm-up, its rows of the table, and the reason when it is too much."
  @spec memory(map(), non_neg_integer()) :: %{
          rows: [{String.t(), String.t()}],
          failure: String.t() | nil
        }
  def memory(samples, own_gil) do
    all = Enum.reverse(samples.memory)
    points = Enum.drop(all, round(length(all) * @warm_up))
    {{first, _}, {last, _}} = {hd(points), List.last(points)}
    minutes = (last - first) / 60_000
    growth = slope(points) * (last - first)
    lost = if Py.info().version < "3.14", do: own_gil * @each_interpreter, else: 0
    bound = @noise + @settling / minutes + minutes * @each_minute + lost
    text = "#{mib(growth)} in #{Float.round(minutes, 1)} min, at most #{mib(bound)}"

    %{
      rows: [
        {"memory", "#{mib(elem(hd(all), 1))} at first, #{mib(elem(List.last(all), 1))} at last"},
        {"fitted growth after warm-up", text}
      ],
      failure: if(growth > bound, do: "memory grew by #{text}")
    }
  end

  # Least squares: bytes in a millisecond.
  defp slope(points) do
    count = length(points)
    {times, sizes} = Enum.unzip(points)
    {time, size} = {Enum.sum(times) / count, Enum.sum(sizes) / count}

    Enum.sum_by(points, fn {t, s} -> (t - time) * (s - size) end) /
      Enum.sum_by(times, fn t -> (t - time) * (t - time) end)
  end

  @doc "What is held when nothing runs; polled until it is at rest, for a minute at most."
  @spec quiet() :: map()
  def quiet, do: quiet(60_000)

  defp quiet(left) do
    for pid <- Process.list(), do: :erlang.garbage_collect(pid)
    held = held()
    rest? = match?(%{permits: %{in_use: 0, waiting: 0}, handles: 0, load: 0, mailboxes: []}, held)

    if (rest? and held == settled(held)) or left <= 0, do: held, else: quiet(left - 200)
  end

  # The same a moment later: threads and descriptors end after their contexts.
  defp settled(_held) do
    receive do: ({:never, _} -> :ok), after: (200 -> :ok)
    held()
  end

  defp held do
    stats = Py.stats()

    %{
      permits: Map.take(Py.info(), [:in_use, :waiting]),
      handles: stats.handles,
      load: Enum.sum_by(stats.contexts, & &1.load),
      abandoned: stats.totals.contexts_abandoned,
      mailboxes:
        for(
          pid <- Process.list(),
          {:message_queue_len, n} when n > 0 <- [Process.info(pid, :message_queue_len)],
          do: {pid, Process.info(pid, [:registered_name, :messages])}
        ),
      descriptors: descriptors(),
      threads: length(File.ls!("/proc/self/task"))
    }
  end

  # What each of them is, so that one too many has a name.
  defp descriptors do
    for fd <- File.ls!("/proc/self/fd"),
        {:ok, target} <- [File.read_link("/proc/self/fd/#{fd}")],
        do: {String.to_integer(fd), target}
  end

  defp resident do
    [_size, pages | _] = "/proc/self/statm" |> File.read!() |> String.split()
    String.to_integer(pages) * 4096
  end

  defp mib(bytes), do: "#{Float.round(bytes / 1024 / 1024, 1)} MiB"
end
