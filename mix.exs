defmodule ErlangPython.MixProject do
  use Mix.Project

  # The one place of the version. script/version changes it, here and in the manifest of the native crates.
  @version "0.1.0-dev"
  @source_url "https://github.com/erlang-python/erlang_python"

  # The native library is of NIF version 2.17.
  @oldest_otp 26
  if String.to_integer(System.otp_release()) < @oldest_otp do
    Mix.raise(
      "erlang_python needs Erlang/OTP #{@oldest_otp} or later, this is OTP #{System.otp_release()}; install a newer one"
    )
  end

  # Where Hex is out of reach the dependencies come compiled, from ERL_LIBS: see script/lib.sh.
  @hex? System.get_env("ERLANG_PYTHON_NO_HEX") != "1"

  def project do
    [
      app: :erlang_python,
      version: @version,
      elixir: "~> 1.17",
      name: "erlang_python",
      description: description(),
      source_url: @source_url,
      elixirc_paths: elixirc_paths(Mix.env()),
      erlc_paths: erlc_paths(Mix.env()),
      erlc_options: [:debug_info, :warnings_as_errors],
      start_permanent: Mix.env() == :prod,
      deps: deps(),
      docs: docs(),
      package: package(),
      dialyzer: [plt_add_apps: [:mix, :ex_unit]]
    ] ++ without_hex()
  end

  def application do
    [
      mod: {Py.Application, []},
      extra_applications: logger(Mix.env()) ++ if(@hex?, do: [], else: [:telemetry])
    ]
  end

  # Elixir's logger is for who works on this library. Its start would change how an Erlang node formats its log.
  defp logger(:prod), do: []
  defp logger(_env), do: [:logger]

  defp erlc_paths(:test), do: ["src", "test/erlang"]
  defp erlc_paths(_env), do: ["src"]

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp deps, do: if(@hex?, do: hex_deps(), else: [])

  defp hex_deps do
    [
      {:telemetry, "~> 1.0"},
      # Downloads the precompiled libraries, while this package is compiled.
      {:rustler_precompiled, "~> 0.8.4", runtime: false},
      {:telemetry_metrics, "~> 0.6 or ~> 1.0", optional: true},
      {:phoenix_live_dashboard, "~> 0.8", optional: true},
      # The application of dev.exs, which is tested in a browser.
      {:plug_cowboy, "~> 2.7", only: [:dev, :test]},
      {:jason, "~> 1.4", only: [:dev, :test]},
      {:telemetry_poller, "~> 1.1", only: [:dev, :test]},
      {:dialyxir, "~> 1.4", only: :dev, runtime: false},
      {:ex_doc, "~> 0.34", only: :dev, runtime: false},
      {:proper, "~> 1.4", only: :test}
    ]
  end

  # Mix would drop the code paths of ERL_LIBS, and consolidate the protocols of its libraries.
  defp without_hex do
    if @hex?, do: [], else: [prune_code_paths: false, consolidate_protocols: false]
  end

  defp description do
    "CPython inside the BEAM: call Python from Elixir and Erlang, and back, in microseconds. " <>
      "Worker threads and own-GIL sub-interpreters, timeouts that interrupt, telemetry. " <>
      "Precompiled native libraries, no Rust needed."
  end

  defp package do
    [
      licenses: ["Apache-2.0"],
      links: %{
        "GitHub" => @source_url,
        "Changelog" => "https://hexdocs.pm/erlang_python/changelog.html",
        "Precompiled libraries" => "#{@source_url}/releases"
      },
      files: [
        "lib",
        "src",
        "priv/python",
        "native/.cargo",
        "native/Cargo.toml",
        "native/Cargo.lock",
        "native/*/Cargo.toml",
        "native/*/src",
        "guides",
        "checksum-*.exs",
        ".formatter.exs",
        "mix.exs",
        "README.md",
        "CHANGELOG.md",
        "LICENSE"
      ],
      exclude_patterns: ["__pycache__", ".pyc"]
    ]
  end

  # The pages of the book, in their order.
  @guides [
    Introduction: ~w(installation first-steps choosing-a-mode configuration),
    Learning: ~w(values modules errors contexts interrupts routing callbacks shared-state
      limits-and-back-pressure),
    Operating: ~w(deployment telemetry dashboard memory-and-gc performance troubleshooting),
    Recipes: ~w(a-model-in-phoenix pandas-and-numpy testing-code-that-calls-python
      background-jobs),
    Erlang: ~w(erlang migrating),
    Internals: ~w(architecture benchmarks)
  ]

  defp docs do
    [
      main: "readme",
      source_ref: source_ref(),
      extras:
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] ++
          Enum.flat_map(@guides, &guides/1) ++
          ["ARCHITECTURE.md": [filename: "source", title: "Map of the source code"]],
      assets: %{"guides/internals/images" => "images", "guides/operating/images" => "images"},
      groups_for_extras: for({group, _pages} = guides <- @guides, do: {group, grouped(guides)}),
      redirects: %{"contexts-and-modes" => "choosing-a-mode"},
      # Where they are not among the dependencies that Mix knows.
      deps: [
        decimal: "https://hexdocs.pm/decimal",
        phoenix_live_dashboard: "https://hexdocs.pm/phoenix_live_dashboard",
        telemetry_metrics: "https://hexdocs.pm/telemetry_metrics"
      ],
      # Modules without documentation that guides name, and what names many such ones.
      skip_code_autolink_to: ["Py.Config", "Py.Native"],
      skip_undefined_reference_warnings_on: ["ARCHITECTURE.md"],
      groups_for_modules: [
        Running: [
          Py,
          Py.Context,
          Py.Pool,
          Py.Router,
          Py.Router.Strategy,
          Py.Semaphore,
          Py.Env,
          Py.Task
        ],
        Sharing: [Py.State, Py.Callback],
        "Setting up": [Py.Setup, Py.Logging, Py.Module],
        Values: [Py.Object, Py.Encoder, Py.Atom, Py.Bytes, Py.Float],
        Testing: [Py.Case],
        Watching: [Py.Stats, Py.Telemetry, Py.Tracing, Py.LiveDashboard],
        Starting: [Py.Interpreter],
        Errors: [Py.Error, ~r/^Py\..*Error$/],
        Erlang: ~r/^py(_|$)/
      ]
    ]
  end

  # The sources that the pages link to.
  defp source_ref, do: if(@version =~ "-dev", do: "main", else: "v#{@version}")

  defp grouped({:Internals, _pages} = guides), do: guides(guides) ++ ["ARCHITECTURE.md"]
  defp grouped(guides), do: guides(guides)

  # A page that only leads on to others keeps its old address.
  defp guides({:Operating = group, pages}),
    do: pages_of(group, pages) ++ ["guides/scalability.md"]

  defp guides({group, pages}), do: pages_of(group, pages)

  defp pages_of(group, pages) do
    folder = group |> Atom.to_string() |> String.downcase()
    for page <- pages, do: "guides/#{folder}/#{page}.md"
  end
end
