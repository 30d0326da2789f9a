defmodule Py.NativeTest do
  # New versions of the module that has the native functions, in a VM of its own.
  use ExUnit.Case, async: true

  alias Py.Test.Peer

  @kept "(lambda e: (e.state_get('o') or e.state_set('o', object()), id(e.state_get('o')))[1])(__import__('erlang'))"

  setup do
    peer = Peer.start([])
    assert {:ok, _started} = Peer.start_python(peer, num_contexts: 2)
    {:ok, peer: peer}
  end

  defp call(peer, module, function, args), do: Peer.call(peer, module, function, args)

  test "the current version stays where it can", %{peer: peer} do
    id = call(peer, Py, :eval!, [@kept])
    assert call(peer, :code, :load_file, [Py.Native]) == {:error, :on_load_failure}
    assert call(peer, Py, :eval, ["1 + 1"]) == {:ok, 2}
    # Handles made before are as good as ever.
    assert call(peer, Py, :eval!, [@kept]) == id
    assert call(peer, Application, :stop, [:erlang_python]) == :ok
    assert {:ok, _started} = Peer.start_python(peer)
    assert call(peer, Py, :eval, ["1 + 1"]) == {:ok, 2}
  end

  # As the compiler does: it deletes the module before it loads the new version.
  test "another version says what to do, and takes nothing along", %{peer: peer} do
    busy = call(peer, Py.Router, :get_context, [1]) |> elem(1)
    call(peer, Py, :exec!, [busy, "import threading, time\nticks = 0", []])

    call(peer, Py, :exec!, [
      busy,
      """
      def tick():
          global ticks
          while True:
              ticks += 1
              time.sleep(0.001)
      threading.Thread(target=tick, daemon=True).start()
      """,
      []
    ])

    call(peer, :code, :purge, [Py.Native])
    assert call(peer, :code, :delete, [Py.Native])
    assert call(peer, :code, :load_file, [Py.Native]) == {:module, Py.Native}

    for {function, args} <- [eval: ["1 + 1"], call: [:math, :sqrt, [4]], info: []] do
      error = catch_error(call(peer, Py, function, args))
      assert Exception.message(error) =~ "restart the VM"
    end

    # The VM closes the library, whose threads go on, and forgets the contexts.
    call(peer, :code, :purge, [Py.Native])
    for pid <- call(peer, Process, :list, []), do: call(peer, :erlang, :garbage_collect, [pid])
    call(peer, Application, :stop, [:erlang_python])
    for pid <- call(peer, Process, :list, []), do: call(peer, :erlang, :garbage_collect, [pid])
    assert {:error, {_reason, _stack}} = Peer.start_python(peer)
    assert call(peer, :erlang, :+, [1, 1]) == 2
  end
end
