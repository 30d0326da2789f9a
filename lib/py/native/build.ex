defmodule Py.Native.Build do
  @moduledoc false
  # Builds the native libraries from source, while `Py.Native` is compiled.
  #
  # Compiled libraries go to `priv/native`, from where `Py.Native` and `Py.Native.Loader` load
  # them.

  @native Path.expand("../../../native", __DIR__)
  @priv Path.expand("../../../priv/native", __DIR__)
  @libraries ~w(erlang_python_loader erlang_python_nif)

  @doc """
  Builds both libraries with cargo and installs them into `priv/native`.

  With `ERLANG_PYTHON_PERF=1` it builds for the processor of this machine, with the profile
  `perf`. Such libraries may not run on another machine. `CARGO_TARGET_DIR` is respected.

  Raises `RuntimeError` when cargo is missing or fails.
  """
  @spec build!() :: :ok
  def build! do
    profile = profile()
    Mix.shell().info("Building the native libraries (cargo build --profile #{profile})")
    cargo!(profile)
    File.mkdir_p!(@priv)
    Enum.each(@libraries, &install!(&1, profile))
    link_priv()
  end

  @doc """
  Returns the files that the native libraries are made from. A change of one compiles `Py.Native`
  again.
  """
  @spec sources() :: [Path.t()]
  def sources do
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
      System.find_executable("cargo") ||
        raise """
        cargo was not found, and erlang_python is built from source here.

        Install Rust 1.91 or newer (https://rustup.rs), or run the command through script/exec in
        a checkout of erlang_python.
        """

    arguments = ["build", "--profile", profile]
    options = [cd: @native, env: env(profile), stderr_to_stdout: true, into: IO.stream()]

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

  # The file is replaced by renaming, so that a running VM keeps the file that it has mapped.
  defp install!(library, profile) do
    extension = if macos?(), do: "dylib", else: "so"
    built = Path.join([target(), profile, "lib#{library}.#{extension}"])
    installed = Path.join(@priv, "#{library}.so")
    temporary = "#{installed}.#{System.pid()}"
    File.cp!(built, temporary)
    File.rename!(temporary, installed)
  end

  defp target do
    case System.get_env("CARGO_TARGET_DIR") do
      nil -> Path.join(@native, "target")
      folder -> Path.expand(folder, @native)
    end
  end

  # Mix links priv before it compiles, so on the first build there was nothing to link.
  defp link_priv do
    Mix.Project.build_structure()
    :ok
  end
end
