defmodule Py.Test.Peer do
  @moduledoc false
  # Another BEAM, with a Python of its own choice: one VM embeds one Python.

  @doc "Starts a VM with `env` set, this project's code and further `args`; stopped with the test."
  def start(env, args \\ []) do
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
            ~c"-pa" | :code.get_path()
          ]
    }

    {:ok, peer, _node} = :peer.start(options)
    ExUnit.Callbacks.on_exit(fn -> if Process.alive?(peer), do: :peer.stop(peer) end)
    peer
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
