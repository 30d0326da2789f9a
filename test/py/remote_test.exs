defmodule Py.RemoteTest do
  # Contexts of other nodes, by Erlang distribution.
  use ExUnit.Case, async: false

  import Py.Test.Wait

  @moduletag timeout: 120_000

  setup_all do
    Py.Test.Peer.start_distribution()
  end

  setup do
    {:ok, peer, node} = Py.Test.Peer.start_node()
    on_exit(fn -> if Process.alive?(peer), do: :peer.stop(peer) end)
    {:ok, _apps} = :erpc.call(node, :application, :ensure_all_started, [:erlang_python], 60_000)
    [pid | _] = :erpc.call(node, Py.Router, :contexts, [])
    {:ok, node: node, peer: peer, context: pid}
  end

  test "a pid of a connected node serves calls", %{context: context, node: node} do
    assert node(context) == node
    assert Py.call(context, :math, :sqrt, [16]) == {:ok, 4.0}
    assert Py.exec(context, "x = [1]") == :ok
    assert Py.eval(context, "x + [y]", locals: %{y: 2}) == {:ok, [1, 2]}

    assert {:error, %Py.Error{type: "ValueError", traceback: text}} =
             Py.call(context, :math, :sqrt, [-1])

    assert text =~ "ValueError"
    own = Py.call!(:os, :getpid)
    assert Py.call!(context, :os, :getpid) != own

    assert {:error, %Py.TimeoutError{timeout: 50}} =
             Py.exec(context, "while True: pass", timeout: 50)

    assert Py.eval(context, "len(x)") == {:ok, 1}
    assert mailbox() == []
  end

  test "a handle of another node is refused with an explanation", %{context: context} do
    assert {:ok, %Py.Object{} = object} = Py.eval(context, "object()")
    assert {:error, %Py.ContextError{reason: :wrong_interpreter}} = Py.call(object, :__hash__)
  end

  test "a killed caller interrupts its code over there", %{context: context, node: node} do
    caller = spawn(fn -> Py.exec(context, "while True: pass", timeout: :infinity) end)

    running = fn ->
      match?({:ok, %{running: 1}}, :erpc.call(node, Py.Context, :info, [context]))
    end

    assert eventually(running)
    Process.exit(caller, :kill)
    assert eventually(fn -> not running.() end)
    assert Py.eval(context, "1") == {:ok, 1}
  end

  test "a node that goes away is an error", %{context: context, peer: peer} do
    task = Task.async(fn -> Py.call(context, :time, :sleep, [20]) end)
    assert Py.eval(self(), "1") |> elem(0) == :error
    :peer.stop(peer)

    assert {:error, %Py.ContextError{reason: {:unreachable, _}} = error} =
             Task.await(task, 30_000)

    assert Exception.message(error) =~ "another node"
    assert {:error, %Py.ContextError{reason: {:unreachable, _}}} = Py.eval(context, "1")
  end

  test "a pool of another node is used by its name", %{node: node} do
    options = [pg: true, preload: "place = 'there'"]
    {:ok, _pids} = :erpc.call(node, Py.Router, :start_pool, [:shared_pool, 2, options])
    assert eventually(fn -> :pg.get_members(Py.Router.group_scope(), :shared_pool) != [] end)
    assert Py.eval("place", context: :shared_pool) == {:ok, "there"}
    Py.Router.register_pool(:shared_pool, :colorsys)
    on_exit(fn -> Py.Router.unregister_pool(:colorsys) end)
    assert Py.call(:colorsys, :rgb_to_hsv, [0, 0, 0]) == {:ok, {0.0, 0.0, 0}}

    # A pool of this node goes first.
    {:ok, _pids} = Py.Router.start_pool(:shared_pool, 1, preload: "place = 'here'")
    on_exit(fn -> Py.Router.stop_pool(:shared_pool) end)
    assert Py.eval("place", context: :shared_pool) == {:ok, "here"}
  end
end
