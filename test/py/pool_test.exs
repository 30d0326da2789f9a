defmodule Py.PoolTest do
  use ExUnit.Case, async: true

  import Py.Test.Wait

  alias Py.{Pool, Router}

  doctest Py.Pool

  setup do
    # For those that fail to start.
    Process.flag(:trap_exit, true)
    %{pool: :"own_pool_#{System.unique_integer([:positive])}"}
  end

  for mode <- Py.Test.Case.modes() do
    test "#{mode}: it starts and ends with its supervisor", %{pool: pool} do
      options = [name: pool, size: 2, mode: unquote(mode), preload: "answer = 42"]
      supervisor = start_supervised!({Pool, options})
      assert Py.eval("answer", context: pool) == {:ok, 42}
      assert Router.num_contexts(pool) == 2
      assert Router.mode(pool) == unquote(mode)
      contexts = Router.contexts(pool)
      assert pool in Router.pools()

      assert Pool.start_link(options) == {:error, {:already_started, pool}}
      assert Router.start_pool(pool, 2) == {:error, {:already_started, pool}}

      stop_supervised!({Pool, pool})
      refute Process.alive?(supervisor)
      refute Enum.any?(contexts, &Process.alive?/1)
      refute Router.pool_started?(pool)
      assert {:error, %Py.ContextError{reason: :not_found}} = Py.eval("1", context: pool)
    end
  end

  test "a context that ends comes back at its place", %{pool: pool} do
    start_supervised!({Pool, name: pool, size: 2})
    [first, second] = Router.contexts(pool)
    Process.exit(first, :kill)
    eventually(fn -> match?([new, ^second] when new != first, Router.contexts(pool)) end)
    assert Py.eval("1", context: pool) == {:ok, 1}
  end

  test "its supervisor starts it again", %{pool: pool} do
    first = start_supervised!({Pool, name: pool, size: 1})
    assert Router.stop_pool(pool) == {:error, :supervised}
    [old] = Router.contexts(pool)
    Process.exit(first, :kill)
    eventually(fn -> match?([new] when new != old, Router.contexts(pool)) end)
    assert Py.eval("1", context: pool) == {:ok, 1}
    refute Process.alive?(first)
  end

  test "it is told of again when its registration ends, as with the router", %{pool: pool} do
    supervisor = start_supervised!({Pool, name: pool, size: 1})
    [old] = Router.contexts(pool)

    registration =
      for {Pool.Registration, pid, :worker, _modules} <- Supervisor.which_children(supervisor),
          do: pid

    Process.exit(hd(registration), :kill)
    eventually(fn -> match?([new] when new != old, Router.contexts(pool)) end)
    assert Py.eval("1", context: pool) == {:ok, 1}
    assert Process.alive?(supervisor)
  end

  test "what cannot start says why", %{pool: pool} do
    assert {:error, %Py.ContextError{reason: {:failed, text}}} =
             Pool.start_link(name: pool, size: 1, preload: "1 / 0")

    assert text =~ "ZeroDivisionError"
    eventually(fn -> not Router.pool_started?(pool) end)

    for options <- [[name: pool], [size: 2], []] do
      assert_raise ArgumentError, ~r/the option :(name|size) is missing; expected a /, fn ->
        Pool.start_link(options)
      end
    end

    assert_raise ArgumentError, ~r/pool name/, fn -> Pool.start_link(name: "pool", size: 1) end
    assert_raise ArgumentError, ~r/positive/, fn -> Pool.start_link(name: pool, size: 0) end

    assert_raise ArgumentError, ~r/unknown option :siz.*; did you mean :size\?/, fn ->
      Pool.start_link(name: pool, siz: 2)
    end

    message = ~r/unknown option :modus, the allowed ones are \[.*\]$/
    assert_raise ArgumentError, message, fn -> Pool.start_link(name: pool, size: 1, modus: 1) end
  end
end
