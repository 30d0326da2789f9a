defmodule Py.State.ContentionTest do
  use Py.Test.Case

  alias Py.State

  setup {Py.Test.State, :clear}
  setup {Py.Test.State, :import_erlang}

  describe "from Elixir" do
    test "a bound holds under contention, and counts end exact" do
      Py.Native.state_set_max(100)

      1..8
      |> Task.async_stream(fn n ->
        for i <- 1..2_000 do
          key = "#{rem(i * n, 300)}"
          if rem(i, 3) == 0, do: State.delete(key), else: State.put(key, i)
          assert State.info().entries <= 100
        end
      end)
      |> Enum.each(fn {:ok, _} -> :ok end)

      assert length(State.keys()) == State.info().entries
    end
  end

  for mode <- modes() do
    describe "#{mode}: from Python" do
      @describetag mode: mode

      test "Python threads see it", %{ctx: ctx} do
        code = """
        from concurrent.futures import ThreadPoolExecutor
        State = {"list": [1, 2], "big": 2**100}
        def work(n):
            erlang.state_set(f"t{n}", State)
            erlang.state_incr("total", n)
            return erlang.state_get(f"t{n}") == State
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(work, range(100)))
        (all(results), erlang.state_get("total"))
        """

        assert Py.exec!(ctx, code, return: :last) == {true, 4950}
        assert State.get("t99") == %{"list" => [1, 2], "big" => 2 ** 100}
      end

      test "64 processes and 8 Python threads count exactly, from the first on", %{ctx: ctx} do
        Py.exec!(ctx, """
        import threading
        def count(times, keys):
            def work():
                for n in range(times):
                    erlang.state_incr("total")
                    erlang.state_incr(keys[n % len(keys)], 2)
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """)

        keys = for n <- 1..10, do: "key #{n}"
        python = Py.async("__main__", :count, [1_000, keys], context: ctx)

        tasks =
          for _ <- 1..64 do
            Task.async(fn ->
              for n <- 0..999 do
                State.incr("total")
                State.decr(Enum.at(keys, rem(n, 10)), 2)
              end
            end)
          end

        Task.await_many(tasks, 60_000)
        assert Py.await(python) == {:ok, nil}
        assert State.get("total") == 72 * 1_000
        # 8 threads up, 64 processes down.
        assert Enum.map(keys, &State.get/1) == List.duplicate(200 * (8 - 64), 10)

        # On first use: many at once make the same new key.
        for round <- 1..100 do
          key = "first #{round}"
          tasks = for _ <- 1..8, do: Task.async(fn -> State.incr(key) end)
          here = eval(ctx, "erlang.state_incr(key)", %{key: key})
          assert Enum.sort([here | Task.await_many(tasks)]) == Enum.to_list(1..9)
        end
      end

      test "a reader sees whole values, whoever writes", %{ctx: ctx} do
        State.put("v", {0, "0"})

        writers =
          for n <- 1..8,
              do: Task.async(fn -> for k <- 1..500, do: State.put("v", {n * k, "#{n * k}"}) end)

        readers =
          for _ <- 1..4 do
            Task.async(fn -> for _ <- 1..500, do: eval(ctx, "erlang.state_get('v')") end)
          end

        Task.await_many(writers, 60_000)

        for {n, text} <- List.flatten(Task.await_many(readers, 60_000)) do
          assert text == "#{n}"
        end
      end
    end
  end
end
