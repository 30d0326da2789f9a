defmodule Py.Native.ArtifactTest do
  use ExUnit.Case, async: true

  alias Py.Native.{Artifact, Install}

  @moduletag :tmp_dir

  describe "the target of a machine" do
    for {architecture, target} <- [
          {"x86_64-pc-linux-gnu", "x86_64-unknown-linux-gnu"},
          {"x86_64-redhat-linux-gnu", "x86_64-unknown-linux-gnu"},
          {"aarch64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"},
          {"x86_64-alpine-linux-musl", "x86_64-unknown-linux-musl"},
          {"aarch64-alpine-linux-musl", "aarch64-unknown-linux-musl"},
          {"amd64-pc-linux-gnu", "x86_64-unknown-linux-gnu"},
          {"aarch64-apple-darwin24.1.0", "aarch64-apple-darwin"},
          {"arm-apple-darwin", "aarch64-apple-darwin"},
          {"x86_64-apple-darwin23.6.0", "x86_64-apple-darwin"}
        ] do
      test "#{architecture} is #{target}" do
        assert Artifact.target(unquote(architecture), %{}) == {:ok, unquote(target)}
        assert unquote(target) in Artifact.targets()
      end
    end

    test "is that of TARGET_ARCH, TARGET_OS and TARGET_ABI where they are set" do
      env = %{"TARGET_ARCH" => "aarch64", "TARGET_OS" => "linux", "TARGET_ABI" => "musl"}
      assert Artifact.target("x86_64-pc-linux-gnu", env) == {:ok, "aarch64-unknown-linux-musl"}

      env = %{"TARGET_ARCH" => "arm", "TARGET_OS" => "linux", "TARGET_ABI" => "gnueabihf"}
      assert {:error, text} = Artifact.target("x86_64-pc-linux-gnu", env)
      assert text =~ "there is none for"
    end

    for architecture <- ["riscv64-unknown-linux-gnu", "x86_64-unknown-freebsd14.1", "win32"] do
      test "there is none for #{architecture}" do
        assert {:error, text} = Artifact.target(unquote(architecture), %{})
        assert text =~ unquote(architecture)
        assert text =~ "x86_64-unknown-linux-gnu"
      end
    end

    test "of this machine has an artifact" do
      assert {:ok, target} = Artifact.target()
      assert target in Artifact.targets()
    end
  end

  describe "an archive" do
    setup %{tmp_dir: folder} do
      for library <- Py.Native.Files.libraries(),
          do: File.write!(Path.join(folder, library), "content of " <> library)

      archive = Path.join(folder, "artifact.tar.gz")
      :ok = Artifact.pack!(folder, archive)
      %{archive: archive}
    end

    test "has the libraries, byte for byte", %{tmp_dir: folder, archive: archive} do
      target = Path.join(folder, "unpacked/native")
      :ok = Artifact.unpack!(File.read!(archive), target)
      assert Enum.sort(File.ls!(target)) == Enum.sort(Py.Native.Files.libraries())

      for library <- Py.Native.Files.libraries(),
          do: assert(File.read!(Path.join(target, library)) == "content of " <> library)
    end

    test "of the same libraries is the same, whenever they were built", %{
      tmp_dir: folder,
      archive: archive
    } do
      other = Path.join(folder, "other.tar.gz")
      for library <- Py.Native.Files.libraries(), do: File.touch!(Path.join(folder, library), 0)
      :ok = Artifact.pack!(folder, other)
      assert File.read!(other) == File.read!(archive)
    end

    test "takes the place of libraries that a VM has open", %{tmp_dir: folder, archive: archive} do
      [library | _] = Py.Native.Files.libraries()
      path = Path.join(folder, library)
      {:ok, open} = File.open(path, [:read, :binary])
      File.write!(path <> ".old", "")
      before = File.stat!(path).inode
      :ok = Artifact.unpack!(File.read!(archive), folder)
      assert File.stat!(path).inode != before
      assert IO.read(open, :eof) == "content of " <> library
    end
  end

  describe "the place of artifacts" do
    test "is an address with http or https, else a folder" do
      assert Artifact.origin_of("https://mirror.example/py") == {"https://mirror.example/py", []}
      assert Artifact.origin_of("http://127.0.0.1:1") == {"http://127.0.0.1:1", []}
      assert Artifact.origin_of("folder") == Path.expand("folder")

      headers = [{"authorization", "Bearer x"}]

      assert Artifact.origin_of({"https://mirror.example", headers}) ==
               {"https://mirror.example", headers}
    end

    test "of a folder without the artifact names the file", %{tmp_dir: folder} do
      assert {:error, text} = Artifact.get(folder, "missing.tar.gz")
      assert text =~ Path.join(folder, "missing.tar.gz")
      assert text =~ "no such file"
    end
  end

  test "a version that was never released is built from source" do
    assert Install.from_source?("0.1.0-dev")
    refute Install.from_source?("0.1.0")
    refute Install.from_source?("0.2.0-rc.1")
  end

  test "the libraries of this VM are those of its build" do
    assert Install.installed?()
    priv = :erlang_python |> :code.priv_dir() |> List.to_string()
    assert File.lstat!(priv).type == :directory
    assert File.exists?(Path.join(priv, "python/erlang/__init__.py"))
  end

  test "the file of checksums lists artifacts of the package's targets only" do
    for {name, checksum} <- Artifact.checksums() do
      assert checksum =~ ~r/^sha256:[0-9a-f]{64}$/
      assert Enum.any?(Artifact.targets(), &String.ends_with?(name, "-#{&1}.so.tar.gz"))
    end
  end
end
