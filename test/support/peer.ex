defmodule Py.Test.Peer do
  @moduledoc false
  # Another BEAM, with a Python of its own choice: one VM embeds one Python.

  @doc "Starts a VM with `env` set, this project's code and further `args`; stopped with the test."
  def start(env, args \\ []), do: start(env, args, :code.get_path())

  @doc "Like `start/2`, with code of these folders instead."
  def start(env, args, paths) do
    options = %{
      connection: :standard_io,
      wait_boot: 60_000,
      env:
        for(
          {key, value} <- env,
          do: {to_charlist(key), if(value, do: to_charlist(value), else: false)}
        ),
      # Failing to start is what many of these VMs are for: no reports of it.
      args:
        args ++
          [
            ~c"-kernel",
            ~c"logger_level",
            ~c"none",
            ~c"-logger",
            ~c"level",
            ~c"none",
            ~c"-pa" | paths
          ]
    }

    {:ok, peer, _node} = :peer.start(options)
    ExUnit.Callbacks.on_exit(fn -> if Process.alive?(peer), do: :peer.stop(peer) end)
    peer
  end

  @doc "Makes this VM a node of Erlang distribution, which it stays: other tests may have nodes too."
  def start_distribution do
    if not Node.alive?() do
      {_output, 0} = System.cmd("epmd", ["-daemon"])
      name = :"erlang_python_#{System.pid()}@127.0.0.1"
      {:ok, _pid} = :net_kernel.start(name, %{name_domain: :longnames})
    end

    :ok
  end

  @doc "Starts a connected node with code of these folders; until :peer.stop/1, or the end of this VM."
  def start_node(paths \\ :code.get_path()) do
    args = [~c"-setcookie", Atom.to_charlist(Node.get_cookie()), ~c"-logger", ~c"level", ~c"none"]
    args = if paths == [], do: args, else: args ++ [~c"-pa" | paths]

    :peer.start(%{
      name: :peer.random_name(),
      host: ~c"127.0.0.1",
      longnames: true,
      wait_boot: 60_000,
      args: args
    })
  end

  @doc "Starts the application there."
  def start_python(peer, config \\ []) do
    :peer.call(peer, :application, :load, [:erlang_python])

    for {key, value} <- config,
        do: :peer.call(peer, :application, :set_env, [:erlang_python, key, value])

    :peer.call(peer, :application, :ensure_all_started, [:erlang_python], 60_000)
  end

  @doc "Calls a function there."
  def call(peer, module, function, args), do: :peer.call(peer, module, function, args, 60_000)
end
