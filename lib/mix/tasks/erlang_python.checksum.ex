defmodule Mix.Tasks.ErlangPython.Checksum do
  @shortdoc "Makes or verifies the file with the checksums of the precompiled libraries"

  @moduledoc """
  Makes or verifies `checksum-erlang_python.exs`, for those who release this package.

      $ mix erlang_python.checksum --from artifacts
      $ mix erlang_python.checksum --verify

  The file lists the SHA-256 of the artifact of each target. A compilation that uses precompiled libraries
  accepts no others, so the file is made from the artifacts of a version before the package is published.

  ## Options

    * `--from` - the folder, or the `http` or `https` address, that has the artifacts. Default: the
      address that a compilation takes them from.
    * `--verify` - leave the file as it is, and exit with status 1 unless every artifact is as listed.
    * `--version` - the version that the artifacts belong to. Default: that of the package.
    * `--file` - the file to write or to compare with. Default: `checksum-erlang_python.exs` of the package.
    * `--only-available` - list the artifacts that are there. Without it, one that is missing is an error.

  Since 0.1.0.
  """

  use Mix.Task

  alias Py.Native.Artifact

  @switches [
    file: :string,
    from: :string,
    only_available: :boolean,
    verify: :boolean,
    version: :string
  ]

  @impl true
  def run(arguments) do
    {options, []} = OptionParser.parse!(arguments, strict: @switches)
    Mix.Task.run("loadpaths")
    version = options[:version] || Mix.Project.config()[:version]

    origin =
      if options[:from], do: Artifact.origin_of(options[:from]), else: Artifact.origin(version)

    found = found(version, origin, options[:only_available])

    file = options[:file] || Artifact.checksum_file()
    if options[:verify], do: verify!(found, file), else: write!(found, file)
  end

  defp found(version, origin, only_available) do
    for target <- Artifact.targets(),
        name = Artifact.name(version, target),
        {:ok, archive} <- [Artifact.get(origin, name)] |> available(name, only_available),
        do: {name, Artifact.checksum_of(archive)}
  end

  defp available([{:error, reason}], name, true) do
    Mix.shell().info("not there: #{name} (#{reason})")
    []
  end

  defp available([{:error, reason}], name, _only_available),
    do: Mix.raise("#{name} is missing: #{reason}. --only-available leaves it out")

  defp available(result, _name, _only_available), do: result

  defp write!([], _file), do: Mix.raise("there is no artifact: nothing was written")

  defp write!(found, file) do
    lines = for {name, checksum} <- Enum.sort(found), do: ~s("#{name}" => "#{checksum}",\n)
    {format, _options} = Mix.Tasks.Format.formatter_for_file(file)
    File.write!(file, format.(IO.iodata_to_binary(["%{\n", lines, "}\n"])))
    Mix.shell().info("#{Path.basename(file)}: #{length(found)} artifacts")
  end

  defp verify!(found, file) do
    listed = Artifact.checksums(file)
    wrong = for {name, checksum} <- found, listed[name] != checksum, do: name

    if wrong != [] or found == [] do
      Mix.raise("not as #{Path.basename(file)} says: #{Enum.join(wrong, ", ")}")
    end

    Mix.shell().info("#{length(found)} artifacts are as listed")
  end
end
