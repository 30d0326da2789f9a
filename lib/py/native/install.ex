defmodule Py.Native.Install do
  @moduledoc false
  # Puts the native libraries where the VM finds them, while `Py.Native` is compiled: precompiled ones for a release, built
  # ones else.

  alias Py.Native.{Artifact, Build, Files}

  @package Path.expand("../../..", __DIR__)
  @version Mix.Project.config()[:version]

  @doc "Installs both libraries. Returns the files that they were made from."
  @spec install!() :: [Path.t()]
  def install! do
    folder = Path.join(own_priv!(), "native")

    if from_source?(@version) do
      Build.build!(folder)
    else
      install_artifact!(folder)
    end
  end

  @doc "Returns `true` if the libraries are where the VM looks for them."
  @spec installed?() :: boolean()
  def installed? do
    folder = Path.join(Mix.Project.app_path(), "priv/native")
    Enum.all?(Files.libraries(), &File.exists?(Path.join(folder, &1)))
  end

  @doc """
  Returns `true` if `version` is built from source here: one that was never released has no artifacts. The settings of
  `rustler_precompiled` that ask for it count as well.
  """
  @spec from_source?(String.t()) :: boolean()
  def from_source?(version) do
    "dev" in Version.parse!(version).pre or
      Enum.any?(
        ~w(ERLANG_PYTHON_BUILD ERLANG_PYTHON_PERF RUSTLER_PRECOMPILED_FORCE_BUILD_ALL),
        &(System.get_env(&1) in ~w(1 true))
      ) or
      Application.get_env(:rustler_precompiled, :force_build_all, false) == true or
      Application.get_env(:rustler_precompiled, :force_build, [])[:erlang_python] == true
  end

  defp install_artifact!(folder) do
    case Artifact.install(@version, folder) do
      {:ok, name} ->
        Mix.shell().info("Installed the precompiled libraries #{name}")
        [Artifact.checksum_file()]

      {:error, reason} ->
        if !Build.cargo(), do: raise(neither(reason))
        Mix.shell().info("No precompiled libraries (#{reason}): building from source")
        Build.build!(folder)
    end
  end

  defp neither(reason) do
    """
    erlang_python has no native libraries here: #{reason}.

    Either of these helps:

      * Make the artifacts reachable: set ERLANG_PYTHON_ARTIFACTS to an address or a folder that
        has them. HTTP_PROXY, HTTPS_PROXY and HEX_CACERTS_PATH apply to addresses.
      * Install Rust 1.91 or newer (https://rustup.rs) and compile again: the libraries are then
        built from source.
    """
  end

  # Mix links the priv folder of the package into the build. The libraries belong to the build alone: builds of other
  # environments, and a package that cannot be written to, keep theirs. So the link becomes a folder. Another compilation
  # may do the same at this moment: each step leaves alone what is done already.
  defp own_priv! do
    # Checkouts had the libraries here once, and Mix would copy them into the build.
    File.rm_rf(Path.join(@package, "priv/native"))
    Mix.Project.build_structure()
    priv = Path.join(Mix.Project.app_path(), "priv")

    if match?({:ok, _link}, File.read_link(priv)) do
      # A folder stays.
      _ = File.rm(priv)
      File.mkdir_p!(priv)
      Mix.Utils.symlink_or_copy(Path.join(@package, "priv/python"), Path.join(priv, "python"))
    end

    priv
  end
end
