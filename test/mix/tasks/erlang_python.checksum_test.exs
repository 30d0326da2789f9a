defmodule Mix.Tasks.ErlangPython.ChecksumTest do
  use ExUnit.Case, async: false

  alias Mix.Tasks.ErlangPython.Checksum
  alias Py.Native.Artifact

  @moduletag :tmp_dir

  setup %{tmp_dir: folder} do
    shell = Mix.shell()
    Mix.shell(Mix.Shell.Process)
    on_exit(fn -> Mix.shell(shell) end)
    for target <- Artifact.targets(), do: write(folder, target, "libraries for " <> target)
    %{sums: Path.join(folder, "checksums.exs")}
  end

  defp write(folder, target, content),
    do: File.write!(Path.join(folder, Artifact.name("1.2.3", target)), content)

  defp run(folder, sums, more \\ []),
    do: Checksum.run(["--version", "1.2.3", "--from", folder, "--file", sums | more])

  test "lists the artifact of every target, and finds them unchanged", %{
    tmp_dir: folder,
    sums: sums
  } do
    run(folder, sums)
    checksums = Artifact.checksums(sums)
    assert map_size(checksums) == length(Artifact.targets())

    for target <- Artifact.targets() do
      expected = :crypto.hash(:sha256, "libraries for " <> target) |> Base.encode16(case: :lower)
      assert checksums[Artifact.name("1.2.3", target)] == "sha256:" <> expected
    end

    run(folder, sums, ["--verify"])
    assert_received {:mix_shell, :info, ["6 artifacts are as listed"]}
  end

  test "writes the file as mix format leaves it", %{tmp_dir: folder, sums: sums} do
    run(folder, sums)
    {format, _options} = Mix.Tasks.Format.formatter_for_file(sums)
    assert File.read!(sums) == format.(File.read!(sums))
  end

  test "names the artifact that is not as listed", %{tmp_dir: folder, sums: sums} do
    run(folder, sums)
    before = File.read!(sums)
    write(folder, "aarch64-apple-darwin", "something else")

    message = assert_raise(Mix.Error, fn -> run(folder, sums, ["--verify"]) end).message
    assert message =~ Artifact.name("1.2.3", "aarch64-apple-darwin")
    refute message =~ "x86_64"
    assert File.read!(sums) == before
  end

  test "a missing artifact is an error, unless only what is there is wanted", %{
    tmp_dir: folder,
    sums: sums
  } do
    name = Artifact.name("1.2.3", "x86_64-unknown-linux-musl")
    File.rm!(Path.join(folder, name))

    assert_raise Mix.Error, ~r/#{Regex.escape(name)} is missing/, fn -> run(folder, sums) end
    refute File.exists?(sums)

    run(folder, sums, ["--only-available"])
    assert map_size(Artifact.checksums(sums)) == length(Artifact.targets()) - 1
    refute Map.has_key?(Artifact.checksums(sums), name)
  end

  test "where there is none, nothing is written", %{tmp_dir: folder, sums: sums} do
    assert_raise Mix.Error, ~r/there is no artifact/, fn ->
      run(Path.join(folder, "empty"), sums, ["--only-available"])
    end

    refute File.exists?(sums)
  end
end
