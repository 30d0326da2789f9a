defmodule PhoenixApp.MixProject do
  use Mix.Project

  # Where Hex is out of reach, Phoenix and its libraries come compiled, from ERL_LIBS.
  @without_hex if System.get_env("ERLANG_PYTHON_NO_HEX") == "1",
                 do: [prune_code_paths: false, consolidate_protocols: false],
                 else: []

  @libraries [:phoenix_live_dashboard, :plug_cowboy, :jason]

  def project do
    [
      app: :phoenix_app,
      version: "1.0.0",
      deps: [{:erlang_python, path: System.fetch_env!("PACKAGE")} | phoenix()],
      start_permanent: true
    ] ++ @without_hex
  end

  def application do
    [
      mod: {PhoenixApp, []},
      extra_applications: [:logger] ++ if(@without_hex == [], do: [], else: @libraries)
    ]
  end

  defp phoenix do
    if @without_hex == [],
      do: [{:phoenix_live_dashboard, "~> 0.8"}, {:plug_cowboy, "~> 2.7"}, {:jason, "~> 1.4"}],
      else: []
  end
end
