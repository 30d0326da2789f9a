defmodule Py.Native.Build do
  @moduledoc false
  # Builds the native libraries from source, while `Py.Native` is compiled.

  @native Path.expand("../../../native", __DIR__)

  alias Py.Native.Files

  @doc """
  Builds both libraries with cargo and puts them into `folder`. Returns the files that they are
  made from: a change of one compiles `Py.Native` again.

  With `ERLANG_PYTHON_PERF=1` it builds for the processor of this machine, with the profile
  `perf`. Such libraries may not run on another machine. `CARGO_TARGET_DIR` is respected.

  Raises `RuntimeError` when cargo is missing or fails.
  """
  @spec build!(Path.t()) :: [Path.t()]
  def build!(folder) do
    profile = profile()
    Mix.shell().info("Building the native libraries (cargo build --profile #{profile})")
    cargo!(profile)
    Enum.each(Files.names(), &install!(&1, profile, folder))
    sources()
  end

  @doc "The path of cargo, if it is there."
  @spec cargo() :: Path.t() | nil
  def cargo, do: System.find_executable("cargo")

  defp sources do
    patterns = ["*/src/**/*.rs", "*/Cargo.toml", "Cargo.{toml,lock}", ".cargo/config.toml"]

    patterns
    |> Enum.flat_map(&Path.wildcard(Path.join(@native, &1), match_dot: true))
    |> Enum.sort()
  end

  defp profile do
    if System.get_env("ERLANG_PYTHON_PERF") == "1", do: "perf", else: "release"
  end

  defp cargo!(profile) do
    cargo =
      cargo() ||
        raise """
        cargo was not found, and erlang_python is built from source here.

        Install Rust 1.91 or newer (https://rustup.rs), or run the command through script/exec in
        a checkout of erlang_python.
        """

    arguments = ["build", "--profile", profile]
    env = [{"CARGO_TARGET_DIR", target()} | env(profile)]
    options = [cd: @native, env: env, stderr_to_stdout: true, into: IO.stream()]

    case System.cmd(cargo, arguments, options) do
      {_output, 0} ->
        :ok

      {_output, status} ->
        raise "cargo build failed with status #{status}; its output above says why"
    end
  end

  defp env("perf") do
    flags = String.trim("#{System.get_env("RUSTFLAGS")} -C target-cpu=native")
    # RUSTFLAGS takes the place of the flags in .cargo/config.toml.
    macos = "-C link-arg=-undefined -C link-arg=dynamic_lookup"
    [{"RUSTFLAGS", if(macos?(), do: "#{flags} #{macos}", else: flags)}]
  end

  defp env("release"), do: []

  defp macos?, do: :os.type() == {:unix, :darwin}

  defp install!(name, profile, folder) do
    extension = if macos?(), do: "dylib", else: "so"
    built = Path.join([target(), profile, "lib#{name}.#{extension}"])
    :ok = Files.write(Path.join(folder, Files.library(name)), File.read!(built))
  end

  # A checkout keeps what cargo has built, whatever is done to the builds of Elixir. As a dependency, the package is not
  # written to.
  defp target do
    builds = Path.expand(Path.dirname(Mix.Project.build_path()))

    cond do
      folder = System.get_env("CARGO_TARGET_DIR") -> Path.expand(folder, @native)
      String.starts_with?(builds, Path.dirname(@native) <> "/") -> Path.join(@native, "target")
      true -> Path.join(builds, "erlang_python_native")
    end
  end
end
