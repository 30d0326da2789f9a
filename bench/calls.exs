defmodule Bench.Calls do
  @moduledoc false
  # What one call costs, of every kind.

  import Bench.Measure

  alias Bench.Floors

  @depth 20

  @doc "Measures the calls."
  @spec run(map()) :: [map()]
  def run(options) do
    worker = Floors.python()
    own_gil = if Py.info().own_gil, do: Floors.python(:owngil)

    bases = %{
      echo: Floors.echo(),
      worker: timed(sqrt(worker)),
      python: Floors.python_sqrt(worker)
    }

    Py.register_function("bench_noop", fn -> nil end)
    Py.register_function("bench_nest", fn depth -> Py.call!(:workload, :nest, [depth - 1]) end)
    Py.State.put("bench_value", 1)

    results =
      run(
        calls(worker, own_gil) ++
          code(worker) ++ many(worker) ++ callbacks(worker) ++ shared(worker),
        bases,
        options
      )

    for name <- ["bench_noop", "bench_nest"], do: Py.unregister_function(name)
    for key <- ["bench_value", "bench_counter"], do: Py.State.delete(key)
    for context <- [worker, own_gil], context, do: Py.Context.stop(context)
    results
  end

  defp sqrt(context), do: fn -> {:ok, 4.0} = Py.call(context, :math, :sqrt, [16]) end

  defp calls(worker, own_gil) do
    handle = Py.eval!(worker, "__import__('math').sqrt", return: :object)

    [
      entry("calls.worker", "`math.sqrt`, worker", sqrt(worker),
        floor: :echo,
        targets: [%{to: :echo, at_most: 1.5}]
      ),
      own_gil &&
        entry("calls.own_gil", "`math.sqrt`, own-GIL", sqrt(own_gil),
          floor: :echo,
          targets: [%{to: :worker, at_most: 1.15}]
        ),
      entry(
        "calls.pool",
        "`math.sqrt`, context of the pool",
        fn -> Py.call(:math, :sqrt, [16]) end,
        floor: :echo
      ),
      entry("calls.handle", "`math.sqrt` by handle", fn -> Py.call(handle, [16]) end,
        floor: :echo
      ),
      entry(
        "calls.kwargs",
        "function with a keyword argument",
        fn -> Py.call(worker, :workload, :options, [1], kwargs: [second: 2]) end,
        floor: :echo
      ),
      entry("calls.error", "function that raises", fn -> Py.call(worker, :workload, :fail) end,
        floor: :echo
      )
    ]
    |> Enum.filter(& &1)
  end

  defp code(worker) do
    counter = :atomics.new(1, [])
    new = fn -> :atomics.add_get(counter, 1, 1) end

    [
      entry("calls.eval", "`eval`, source seen before", fn -> Py.eval(worker, "1 + 2") end,
        floor: :echo,
        targets: [%{to: :worker, at_most: 1.3}]
      ),
      entry("calls.eval_new", "`eval`, new source", fn -> Py.eval(worker, "1 + #{new.()}") end,
        floor: :echo
      ),
      entry("calls.exec", "`exec`, source seen before", fn -> Py.exec(worker, "x = 1") end,
        floor: :echo
      ),
      entry("calls.exec_new", "`exec`, new source", fn -> Py.exec(worker, "x = #{new.()}") end,
        floor: :echo
      )
    ]
  end

  defp many(worker) do
    async = fn -> Py.async(:math, :sqrt, [16], context: worker) end

    [
      entry("calls.async", "`async` and `await`", fn -> Py.await(async.()) end, floor: :echo),
      entry(
        "calls.async_10",
        "ten `async`, then `await_many`; each",
        fn -> Py.await_many(for _ <- 1..10, do: async.()) end,
        floor: :echo,
        per: 10
      ),
      entry(
        "calls.parallel_10",
        "`parallel` of ten; each",
        fn -> Py.parallel(List.duplicate({:math, :sqrt, [16]}, 10)) end,
        floor: :echo,
        per: 10
      ),
      entry(
        "calls.semaphore",
        "permit acquired and released",
        batched(
          fn ->
            :ok = Py.Semaphore.acquire()
            :ok = Py.Semaphore.release()
          end,
          20
        ),
        floor: :echo
      )
    ]
  end

  defp callbacks(worker) do
    [
      entry("calls.callback", "callback, round trip", Floors.inside(worker, "call_back", 10),
        floor: :echo,
        targets: [%{to: :echo, at_most: 1.5}]
      ),
      entry(
        "calls.callback_nested",
        "callbacks calling Python, #{@depth} deep; each level",
        fn -> {:ok, 0} = Py.call(worker, :workload, :nest, [@depth]) end,
        floor: :echo,
        per: @depth
      )
    ]
  end

  defp shared(worker) do
    [
      entry(
        "calls.state_incr_python",
        "`state_incr` from Python",
        Floors.inside(worker, "incr", 200),
        floor: :echo,
        targets: [%{to: nil, at_most: 300}, %{to: :echo, at_most: 0.1}]
      ),
      entry(
        "calls.state_get_python",
        "`state_get` from Python",
        Floors.inside(worker, "get", 200),
        floor: :echo
      ),
      entry(
        "calls.state_incr",
        "`Py.State.incr`",
        batched(fn -> Py.State.incr("bench_counter") end, 200),
        floor: :echo
      ),
      entry(
        "calls.state_get",
        "`Py.State.get`",
        batched(fn -> Py.State.get("bench_value") end, 200),
        floor: :echo
      )
    ]
  end
end
