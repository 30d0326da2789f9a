defmodule GuidesTest do
  # The pages of the book: that links lead somewhere, that mix.exs lists them, that prose is wrapped, and that the page on
  # the configuration knows all keys. Their code is run by docs_test.exs.
  use ExUnit.Case, async: true

  @width 98
  @outside ~w(README.md CONTRIBUTING.md ARCHITECTURE.md CHANGELOG.md)
  @pages @outside ++ Path.wildcard("guides/**/*.md")

  # Not a page of the book.
  for page <- ["RELEASE.md" | @pages] do
    @page page

    test "#{page}: prose is wrapped at #{@width} columns" do
      long =
        for {line, number} <- @page |> prose() |> Enum.with_index(1),
            String.length(line) > @width,
            do: "#{@page}:#{number}: #{line}"

      assert long == []
    end

    test "#{page}: links lead somewhere" do
      wrong =
        for link <- links(@page), not String.contains?(link, "://"), not leads?(@page, link) do
          "#{@page}: #{link}"
        end

      assert wrong == []
    end
  end

  test "mix.exs has each page once, and no two pages have one address" do
    docs = Mix.Project.config()[:docs]
    assert docs[:extras] |> Enum.map(&file/1) |> Enum.sort() == Enum.sort(@pages)

    grouped = Enum.flat_map(docs[:groups_for_extras], fn {_group, pages} -> pages end)
    assert Path.wildcard("guides/**/*.md") -- grouped == []
    assert grouped -- @pages == []

    addresses = Enum.map(docs[:extras], &address/1)
    assert addresses -- Enum.uniq(addresses) == []
  end

  test "the configuration has each key once, and its defaults are allowed" do
    text = File.read!("guides/introduction/configuration.md")

    rows =
      Regex.scan(~r/^\| `([a-z_]+)` \| ([^|]*) \|/m, text, capture: :all_but_first)

    assert rows |> Enum.map(fn [key, _default] -> String.to_atom(key) end) |> Enum.sort() ==
             Enum.sort(Py.Config.keys())

    for [key, "`" <> default] <- rows do
      {value, []} = default |> String.trim_trailing("`") |> Code.eval_string()
      key = String.to_atom(key)
      assert Py.Config.check!(key, value) == value
    end
  end

  test "the tables of the configuration are those of Py.Schema: script/docs writes them" do
    text = File.read!("guides/introduction/configuration.md")
    assert Py.Schema.Docs.update(text) == text
  end

  describe "what the checks find" do
    @describetag :tmp_dir

    test "links and anchors that lead nowhere", %{tmp_dir: folder} do
      page = page(folder, "# A `b`, c\n\n[a](page.md#a-b-c) [b](page.md#d) [c](no.md)\n")
      assert for(link <- links(page), not leads?(page, link), do: link) == ["page.md#d", "no.md"]
    end

    test "prose, but neither tables nor code", %{tmp_dir: folder} do
      page = page(folder, "text\n| table |\n```elixir\ncode\n```\n    code\n![](x.png)\n")
      assert page |> prose() |> Enum.reject(&(&1 == "")) == ["text"]
    end

    defp page(folder, text) do
      path = Path.join(folder, "page.md")
      File.write!(path, text)
      path
    end
  end

  defp file({file, _options}), do: Atom.to_string(file)
  defp file(file), do: file

  defp address({file, options}), do: options[:filename] || address(Atom.to_string(file))
  defp address(file), do: file |> Path.basename(".md") |> String.downcase()

  # The lines of a page, empty where they are no prose: code, tables, images, comments.
  defp prose(page) do
    page
    |> File.read!()
    |> String.split("\n")
    |> Enum.map_reduce(false, fn line, code? ->
      fence? = String.starts_with?(line, "```")

      {if(code? or fence? or line =~ ~r/^(\||    |!\[|<!--)/, do: "", else: line),
       code? != fence?}
    end)
    |> elem(0)
  end

  # Text of links may go over the end of a line.
  defp links(page) do
    text = page |> prose() |> Enum.join("\n")
    tables = page |> File.read!() |> String.split("\n") |> Enum.filter(&(&1 =~ ~r/^(\||!\[)/))

    Regex.scan(~r/\]\(([^)\s]+)\)/, Enum.join([text | tables], "\n"), capture: :all_but_first)
    |> List.flatten()
  end

  defp leads?(page, link) do
    {path, anchor} =
      case String.split(link, "#") do
        [path] -> {path, nil}
        [path, anchor] -> {path, anchor}
      end

    target = if path == "", do: page, else: Path.join(Path.dirname(page), path)
    File.exists?(target) and (anchor == nil or anchor in anchors(target))
  end

  # As GitHub and ExDoc make them; a heading of which they make different ones cannot be linked.
  defp anchors(page) do
    for "#" <> _ = line <- prose(page), anchor = anchor(line), do: anchor
  end

  defp anchor(heading) do
    text = heading |> String.trim_leading("#") |> String.trim() |> String.downcase()
    github = text |> String.replace(~r/[^\p{L}\p{N}_ -]/u, "") |> String.replace(" ", "-")
    ex_doc = text |> String.replace(~r/\W+/u, "-") |> String.trim("-")
    if github == ex_doc, do: github
  end
end
