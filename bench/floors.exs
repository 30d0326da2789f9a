defmodule Bench.Floors do
  @moduledoc false
  # What a path cannot be faster than. Each is measured in the same rounds as what is compared with it.

  import Bench.Measure

  alias Py.Native

  @operation {:call, :math, :sqrt, [16], %{}}

  @doc "Floors of their own, for the table."
  @spec run(map()) :: [map()]
  def run(options) do
    context = python()

    entries = [
      entry(
        "floors.clock",
        "reading the clock",
        batched(fn -> System.monotonic_time() end, 1_000)
      ),
      entry("floors.ping_pong", "message to another process and back", ping_pong()),
      entry("floors.echo", "through a queue to a thread and back, without Python", echo()),
      entry("floors.python_call", "`math.sqrt(16)` in Python alone", python_sqrt(context)),
      entry(
        "floors.python_sum",
        "10,000 integers built and summed in Python alone",
        inside(context, "ints_10000")
      ),
      entry("floors.memcpy_1mb", "memcpy of 1 MB", memcpy(context, 1_000_000)),
      entry("floors.memcpy_100mb", "memcpy of 100 MB", memcpy(context, 100_000_000))
    ]

    run(entries, %{}, options)
  end

  @doc "A message to another process and the answer."
  @spec ping_pong() :: Bench.Measure.sampler()
  def ping_pong do
    partner = spawn_link(&pong/0)

    timed(fn ->
      send(partner, self())

      receive do
        :pong -> :ok
      end
    end)
  end

  defp pong do
    receive do
      pid -> send(pid, :pong)
    end

    pong()
  end

  @doc "A term through a queue of ours to a thread, and back as a message."
  @spec echo() :: Bench.Measure.sampler()
  def echo, do: timed(echo_once())

  @doc "One such round trip, for processes of any number."
  @spec echo_once() :: (-> :ok)
  def echo_once do
    {:ok, thread} = Native.echo_start(Py.Config.get(:spin_us))

    fn ->
      ref = make_ref()
      :ok = Native.echo(thread, {ref, @operation})

      receive do
        {^ref, {:ok, _operation}} -> :ok
      end
    end
  end

  @doc "A context that knows `bench/workload.py`."
  @spec python(:worker | :owngil) :: pid()
  def python(mode \\ :worker) do
    {:ok, context} =
      Py.Context.start_link(mode: mode, paths: [__DIR__], preload: "import workload")

    context
  end

  @doc "The same work in Python alone, timed there: a function of `workload.alone`, by its name."
  @spec inside(pid(), String.t(), pos_integer()) :: Bench.Measure.sampler()
  def inside(context, name, repeat \\ 1) do
    fn number ->
      Py.call!(context, :workload, :timed, [name, number, repeat], timeout: :infinity)
    end
  end

  @spec python_sqrt(pid()) :: Bench.Measure.sampler()
  def python_sqrt(context), do: inside(context, "sqrt", 1_000)

  @doc "memcpy of `size` bytes between two buffers that are there already."
  @spec memcpy(pid(), pos_integer()) :: Bench.Measure.sampler()
  def memcpy(context, size), do: inside(context, "memcpy_#{size}")
end
