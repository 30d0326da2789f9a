defmodule Bench.Fresh do
  @moduledoc false
  # Another VM, for what depends on how this one was configured or on what it has done before.

  @doc "Starts a VM with this configuration, calls a function of the benchmarks there, and ends it."
  @spec call(keyword(), module(), atom(), [term()]) :: term()
  def call(config, module, function, arguments) do
    {:ok, peer, _node} =
      :peer.start_link(%{
        connection: :standard_io,
        args: [~c"-pa" | :code.get_path()],
        wait_boot: 60_000
      })

    :ok = :peer.call(peer, :application, :load, [:erlang_python])

    for {key, value} <- config,
        do: :ok = :peer.call(peer, :application, :set_env, [:erlang_python, key, value])

    {:ok, _} = :peer.call(peer, :application, :ensure_all_started, [:erlang_python], 60_000)
    :peer.call(peer, Code, :require_file, ["bench.exs", __DIR__])
    result = :peer.call(peer, module, function, arguments, :infinity)
    :peer.stop(peer)
    result
  end
end
