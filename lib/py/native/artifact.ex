defmodule Py.Native.Artifact do
  @moduledoc false
  # Precompiled libraries. An artifact is an archive with both libraries for one target. Its name, the cache it is kept in and
  # the file of checksums follow `rustler_precompiled`, whose settings (proxies, certificates, cache folder) apply.
  #
  # An artifact is read into memory and compared with its checksum before any part of it is written. Files are put in place by
  # renaming, so a compilation in another process sees either nothing or a whole file.

  alias Py.Native.Artifact.Download
  alias Py.Native.Files

  @targets for architecture <- ~w(aarch64 x86_64),
               system <- ~w(apple-darwin unknown-linux-gnu unknown-linux-musl),
               do: "#{architecture}-#{system}"

  # The version of the NIF interface that the libraries ask for: OTP 26 and later have it.
  @nif_version "2.17"

  @checksums Path.expand("../../../checksum-erlang_python.exs", __DIR__)
  @releases "https://github.com/erlang-python/erlang_python/releases/download"

  @doc "The targets that a release has artifacts for, named as Rust names them."
  @spec targets() :: [String.t()]
  def targets, do: @targets

  @doc "The file with the checksums of the artifacts of this version."
  @spec checksum_file() :: Path.t()
  def checksum_file, do: @checksums

  @doc "The file name of an artifact."
  @spec name(String.t(), String.t()) :: String.t()
  def name(version, target),
    do: "liberlang_python-v#{version}-nif-#{@nif_version}-#{target}.so.tar.gz"

  @doc """
  The target of a machine, from the architecture that its Erlang was built for.

  `TARGET_ARCH`, `TARGET_OS` and `TARGET_ABI`, as Nerves sets them, name the machine to compile for.
  """
  @spec target(String.t(), %{optional(String.t()) => String.t()}) ::
          {:ok, String.t()} | {:error, String.t()}
  def target(architecture \\ architecture(), env \\ System.get_env()) do
    processor = env["TARGET_ARCH"] || hd(String.split(architecture, "-"))
    system = env["TARGET_OS"] || architecture
    abi = env["TARGET_ABI"] || architecture

    with {:ok, processor} <- processor(processor),
         {:ok, system} <- system(system, abi) do
      {:ok, "#{processor}-#{system}"}
    else
      :error ->
        {:error,
         "there is none for #{architecture}; there are libraries for #{Enum.join(@targets, ", ")}"}
    end
  end

  defp architecture, do: List.to_string(:erlang.system_info(:system_architecture))

  defp processor(name) when name in ~w(x86_64 amd64), do: {:ok, "x86_64"}
  defp processor(name) when name in ~w(aarch64 arm64), do: {:ok, "aarch64"}
  # What Erlang calls the processors of Apple.
  defp processor("arm"), do: {:ok, "aarch64"}
  defp processor(_name), do: :error

  defp system(system, abi) do
    cond do
      system =~ "darwin" -> {:ok, "apple-darwin"}
      system =~ "linux" and abi =~ ~r/musl$/ -> {:ok, "unknown-linux-musl"}
      system =~ "linux" and abi =~ ~r/(gnu|linux)$/ -> {:ok, "unknown-linux-gnu"}
      true -> :error
    end
  end

  @doc """
  Puts the libraries of this machine's artifact into `folder`.

  Returns an error where there is no artifact to be had. Raises where there is one that is not what was released.
  """
  @spec install(String.t(), Path.t()) :: {:ok, String.t()} | {:error, String.t()}
  def install(version, folder) do
    with {:ok, target} <- target(),
         name = name(version, target),
         {:ok, checksum} <- checksum(name),
         {:ok, archive} <- fetch(version, name, checksum) do
      unpack!(archive, folder)
      {:ok, name}
    end
  end

  defp checksum(name) do
    case checksums() do
      %{^name => checksum} ->
        {:ok, checksum}

      _ ->
        {:error, "#{Path.basename(@checksums)} does not list #{name}"}
    end
  end

  @doc "The checksums of the artifacts: `%{name => \"sha256:…\"}`, empty where there is no file of them."
  @spec checksums(Path.t()) :: %{optional(String.t()) => String.t()}
  def checksums(file \\ @checksums) do
    if File.exists?(file), do: file |> Code.eval_file() |> elem(0), else: %{}
  end

  @doc "The checksum of an archive, as the file of checksums has it."
  @spec checksum_of(binary()) :: String.t()
  def checksum_of(archive),
    do: "sha256:" <> Base.encode16(:crypto.hash(:sha256, archive), case: :lower)

  # From the cache, where what it has is right.
  defp fetch(version, name, checksum) do
    cached = Path.join(Download.cache(), name)

    with {:ok, archive} <- File.read(cached), ^checksum <- checksum_of(archive) do
      {:ok, archive}
    else
      _ -> fetch_into(cached, version, name, checksum)
    end
  end

  defp fetch_into(cached, version, name, checksum) do
    origin = origin(version)

    with {:ok, archive} <- get(origin, name) do
      verify!(archive, checksum, describe(origin, name))
      # A cache that cannot be written to costs a download next time.
      if not is_binary(origin), do: _ = Files.write(cached, archive)
      {:ok, archive}
    end
  end

  @doc "Reads an artifact from a folder or an address, unchecked."
  @spec get(Path.t() | {String.t(), [{String.t(), String.t()}]}, String.t()) ::
          {:ok, binary()} | {:error, String.t()}
  def get({_address, _headers} = origin, name), do: Download.get(origin, name)

  def get(folder, name) do
    path = Path.join(folder, name)

    with {:error, reason} <- File.read(path),
         do: {:error, "#{path} cannot be read: #{:file.format_error(reason)}"}
  end

  @doc """
  Returns the origin of the artifacts of `version`: a folder, or an address with headers.

  They come from the releases, unless `ERLANG_PYTHON_ARTIFACTS` or `config :erlang_python, artifacts: …` names another.
  """
  @spec origin(String.t()) :: Path.t() | {String.t(), [{String.t(), String.t()}]}
  def origin(version) do
    configured =
      System.get_env("ERLANG_PYTHON_ARTIFACTS") || Application.get_env(:erlang_python, :artifacts)

    origin_of(configured || "#{@releases}/v#{version}")
  end

  @doc "The same for a text, or an address with headers, that names it."
  @spec origin_of(String.t() | {String.t(), [{String.t(), String.t()}]}) ::
          Path.t() | {String.t(), [{String.t(), String.t()}]}
  def origin_of({address, headers}), do: {address, headers}

  def origin_of(text) do
    if text =~ ~r{^https?://}, do: {text, []}, else: Path.expand(text)
  end

  defp describe({address, _headers}, name), do: Path.join(address, name)
  defp describe(folder, name), do: Path.join(folder, name)

  defp verify!(archive, checksum, origin) do
    found = checksum_of(archive)

    if found != checksum do
      raise """
      The precompiled libraries of erlang_python are not those that were released.

        from:      #{origin}
        checksum:  #{found} (#{byte_size(archive)} bytes)
        expected:  #{checksum}

      The file may be cut short, or changed on its way. Nothing of it was kept. Compile again to
      try once more, set ERLANG_PYTHON_ARTIFACTS to another address or folder, or build from
      source with ERLANG_PYTHON_BUILD=1 (needs Rust 1.91 or newer).
      """
    end
  end

  @doc "Puts the libraries of an archive into `folder`."
  @spec unpack!(binary(), Path.t()) :: :ok
  def unpack!(archive, folder) do
    {:ok, files} = :erl_tar.extract({:binary, archive}, [:compressed, :memory])
    files = Map.new(files, fn {name, content} -> {List.to_string(name), content} end)

    for library <- Files.libraries(),
        do: :ok = Files.write(Path.join(folder, library), files[library])

    :ok
  end

  @doc "Writes an archive with the libraries in `folder`. The same libraries give the same bytes."
  @spec pack!(Path.t(), Path.t()) :: :ok
  def pack!(folder, archive) do
    temporary = Files.beside(archive)
    {:ok, tar} = :erl_tar.open(temporary, [:write])
    same = [mtime: 0, atime: 0, ctime: 0, uid: 0, gid: 0]

    for library <- Files.libraries() do
      content = File.read!(Path.join(folder, library))
      :ok = :erl_tar.add(tar, content, String.to_charlist(library), same)
    end

    :ok = :erl_tar.close(tar)
    File.write!(archive, :zlib.gzip(File.read!(temporary)))
    File.rm!(temporary)
  end
end
