defmodule Consumer.MixProject do
  use Mix.Project

  # A project of a user: nothing but this package. Where Hex is out of reach, telemetry comes compiled, from ERL_LIBS.
  @without_hex if System.get_env("ERLANG_PYTHON_NO_HEX") == "1",
                 do: [prune_code_paths: false, consolidate_protocols: false],
                 else: []

  def project do
    [
      app: :consumer,
      version: "1.0.0",
      deps: [{:erlang_python, path: System.fetch_env!("PACKAGE")}],
      start_permanent: true
    ] ++ @without_hex
  end

  def application, do: [extra_applications: [:logger]]
end
