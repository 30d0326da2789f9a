defmodule Py.ParallelTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      setup do
        pool = :"parallel_#{System.unique_integer([:positive])}"
        preload = "import threading, time\ndef where(n): return [n, threading.get_ident()]"
        {:ok, _pids} = Py.Router.start_pool(pool, 2, mode: unquote(mode), preload: preload)
        on_exit(fn -> Py.Router.stop_pool(pool) end)
        {:ok, pool: pool}
      end

      test "one result each, in order, over all contexts", %{pool: pool} do
        calls = for n <- 1..200, do: {"__main__", :where, [n]}
        assert {:ok, results} = Py.parallel(calls, context: pool)
        assert for({:ok, [n, _ident]} <- results, do: n) == Enum.to_list(1..200)
        assert results |> Enum.uniq_by(fn {:ok, [_n, ident]} -> ident end) |> length() == 2
        assert mailbox() == []
      end

      test "work that fails does not stop the rest", %{pool: pool} do
        calls = for n <- [4, -1, 9, -4], do: {:math, :sqrt, [n]}

        assert {:ok,
                [
                  {:ok, 2.0},
                  {:error, %Py.Error{type: "ValueError"}},
                  {:ok, 3.0},
                  {:error, %Py.Error{}}
                ]} =
                 Py.parallel(calls, context: pool)

        assert {:ok, [{:error, %Py.ConversionError{}}, {:ok, 2.0}]} =
                 Py.parallel([{:math, :sqrt, [<<1::1>>]}, {:math, :sqrt, [4]}], context: pool)
      end

      test "its timeout bounds the whole", %{pool: pool} do
        calls =
          [{:math, :sqrt, [4]}] ++
            for(_ <- 1..20, do: {:time, :sleep, [0.2]}) ++ [{:math, :sqrt, [4]}]

        assert {:ok, results} = Py.parallel(calls, context: pool, timeout: 100)
        assert length(results) == 22
        assert hd(results) == {:ok, 2.0}
        assert {:error, %Py.TimeoutError{timeout: 100}} = List.last(results)
        assert Py.eval("1", context: pool) == {:ok, 1}
        assert mailbox() == []
      end

      test "contexts that are killed give errors, not hangs", %{pool: pool} do
        task =
          Task.async(fn ->
            Py.parallel(for(_ <- 1..10, do: {:time, :sleep, [0.1]}), context: pool)
          end)

        [first | _] = Py.Router.contexts(pool)
        until_running(first)
        Process.exit(first, :kill)
        assert {:ok, results} = Task.await(task, 30_000)
        assert length(results) == 10

        assert Enum.all?(
                 results,
                 &(match?({:ok, nil}, &1) or match?({:error, %Py.ContextError{}}, &1))
               )

        assert {:ok, nil} in results
      end
    end
  end

  test "nothing to do, and misuse" do
    assert Py.parallel([]) == {:ok, []}
    assert {:error, %Py.ContextError{reason: :not_found}} = Py.parallel([], context: :no_pool)
    assert_raise ArgumentError, ~r/list of calls/, fn -> apply(Py, :parallel, [:x]) end

    assert_raise ArgumentError, ~r/{module, function, args}/, fn ->
      apply(Py, :parallel, [[{:math, :sqrt}]])
    end

    assert_raise ArgumentError, ~r/unknown option/, fn -> Py.parallel([], kwargs: %{}) end
  end

  test "the context is the name of a pool" do
    for wrong <- [1, self(), "default"] do
      assert_raise ArgumentError, ~r/invalid :context: .*; expected a pool name as an atom/, fn ->
        Py.parallel([{:math, :sqrt, [4]}], context: wrong)
      end
    end
  end
end
