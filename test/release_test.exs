defmodule ReleaseTest do
  # What a release needs to be the same in several places.
  use ExUnit.Case, async: true

  alias Py.Native.Artifact

  @moduletag :once

  @version Mix.Project.config()[:version]
  @workflow File.read!(".github/workflows/release.yml")
  @script File.read!("script/artifacts")
  @guide File.read!("guides/operating/deployment.md")

  describe "the version" do
    test "is that of the native crates" do
      assert captures(~r/^\[workspace\.package\]\nversion = "(.*)"$/m, "native/Cargo.toml") == [
               @version
             ]

      crates = captures(~r/^name = "erlang_python_\w+"\nversion = "(.*)"$/m, "native/Cargo.lock")
      assert crates == List.duplicate(@version, 3)

      for manifest <- Path.wildcard("native/*/Cargo.toml"),
          do: assert(File.read!(manifest) =~ "\nversion.workspace = true\n")
    end

    test "is what script/version prints" do
      assert System.cmd(Path.expand("script/version"), []) == {@version <> "\n", 0}
    end

    test "of a release has a section with its date in the changelog" do
      headings = captures(~r/^## (.*)$/m, "CHANGELOG.md")
      assert hd(headings) == "[Unreleased]"
      assert Enum.all?(tl(headings), &(&1 =~ ~r/^\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}$/))

      if "dev" not in Version.parse!(@version).pre do
        assert to_string(Enum.at(headings, 1)) =~ "[#{@version}] - "
      end
    end
  end

  test "the pages ask for the version of a release" do
    asked =
      for page <- ["README.md" | Path.wildcard("guides/**/*.md")],
          requirement <- captures(~r/\{:erlang_python, "(.*?)"/, page),
          do: {page, requirement}

    assert length(asked) >= 3

    # While the next one is developed, they ask for the last one.
    for {page, requirement} <- asked, "dev" not in Version.parse!(@version).pre do
      assert {page, Version.match?(@version, requirement, allow_pre: true)} == {page, true}
    end
  end

  describe "script/version" do
    @describetag :tmp_dir

    setup %{tmp_dir: folder} do
      for file <- ~w(script/version mix.exs native/Cargo.toml native/Cargo.lock) do
        File.mkdir_p!(Path.dirname(Path.join(folder, file)))
        File.cp!(file, Path.join(folder, file))
      end

      %{command: Path.join(folder, "script/version")}
    end

    test "sets the version, and nothing else", %{tmp_dir: folder, command: command} do
      assert System.cmd(command, ["7.8.9-rc.1"]) == {"", 0}
      assert System.cmd(command, []) == {"7.8.9-rc.1\n", 0}

      for {file, count} <- [{"mix.exs", 1}, {"native/Cargo.toml", 1}, {"native/Cargo.lock", 3}] do
        before = file |> File.read!() |> String.split("\n")
        now = folder |> Path.join(file) |> File.read!() |> String.split("\n")
        changed = for {old, new} <- Enum.zip(before, now), old != new, do: {old, new}
        assert length(before) == length(now)
        assert length(changed) == count

        for {old, new} <- changed, do: assert(String.replace(old, @version, "7.8.9-rc.1") == new)
      end
    end

    test "refuses what is no version", %{command: command} do
      assert {text, 1} = System.cmd(command, ["v1"], stderr_to_stdout: true)
      assert text =~ "not a version: v1"
      assert System.cmd(command, []) == {@version <> "\n", 0}
    end
  end

  describe "the targets" do
    test "are those that are built" do
      [list] = Regex.run(~r/^targets=\(\n(.*?)^\)$/ms, @script, capture: :all_but_first)
      assert list |> String.split() |> Enum.sort() == Enum.sort(Artifact.targets())
    end

    test "are each tried by the release workflow" do
      tried = Regex.scan(~r/\{ target: (\S+),/, @workflow, capture: :all_but_first)
      assert tried |> List.flatten() |> Enum.sort() == Enum.sort(Artifact.targets())
    end

    test "are in the guide, with the oldest systems that the build is for" do
      rows = Regex.scan(~r/^\| `(\w+-\S+)` \|/m, @guide, capture: :all_but_first)
      assert rows |> List.flatten() |> Enum.sort() == Enum.sort(Artifact.targets())

      [glibc] = Regex.run(~r/^glibc=(.*)$/m, @script, capture: :all_but_first)
      [macos] = Regex.run(~r/MACOSX_DEPLOYMENT_TARGET=(\d+)/, @script, capture: :all_but_first)
      assert length(String.split(@guide, "glibc #{glibc}+")) == 3
      assert length(String.split(@guide, "macOS #{macos}+")) == 3
    end
  end

  test "the Rust that builds a release is one that the crates compile with" do
    [oldest] = captures(~r/^rust-version = "(.*)"$/m, "native/Cargo.toml")
    [used] = Regex.run(~r/RUSTUP_TOOLCHAIN: "(.*)"/, @workflow, capture: :all_but_first)
    assert Version.match?(used, ">= #{oldest}.0")
  end

  defp captures(pattern, file),
    do: pattern |> Regex.scan(File.read!(file), capture: :all_but_first) |> List.flatten()
end
