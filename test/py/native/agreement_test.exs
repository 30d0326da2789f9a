defmodule Py.Native.AgreementTest do
  # Lists that stand in two languages: no compiler compares them.
  use Py.Test.Case, async: true

  # The native code sets it on requests of its own; no caller sends it.
  @only_rust ["CHORE"]

  test "the flags of requests have the same names and numbers in Elixir and Rust" do
    rust = rust_flags()
    assert elixir_flags() == Map.drop(rust, @only_rust)
    assert @only_rust -- Map.keys(rust) == []

    # Each flag is one bit, and no bit is two flags.
    bits = Map.values(rust)
    assert Enum.reject(bits, &(&1 in Enum.map(0..31, fn shift -> 2 ** shift end))) == []
    assert Enum.uniq(bits) == bits
  end

  test "the kinds of values have the same names and numbers in Python and Rust", %{
    contexts: contexts
  } do
    rust = source("native/*/src/**/*.rs", ~r/^#\[repr\(i64\)\]\npub enum Kind \{\n(.*?)^\}/ms)
    assert [[_name, "0"] | others] = variants = scan(~r/^    (\w+)(?: = (\d+))?,$/m, rust)
    # The compiler numbers the others in their order.
    assert Enum.reject(others, &match?([_name], &1)) == []
    names = Enum.map(variants, &hd/1)

    # A number becomes a kind by its place in this list.
    all = source("native/*/src/**/*.rs", ~r/const ALL: \[Kind; \d+\] = \[(.*?)\];/s)
    assert scan(~r/Kind::(\w+),/, all) == Enum.map(names, &[&1])

    kinds = names |> Enum.map(&String.upcase/1) |> Enum.with_index() |> Map.new()
    for {mode, ctx} <- contexts, do: assert({mode, python_kinds(ctx)} == {mode, kinds})
  end

  # As the running interpreter has them.
  defp python_kinds(ctx) do
    eval(
      ctx,
      "{name: value for name, value in vars(__import__('erlang._values', fromlist=['_'])).items()" <>
        " if name[0] != '_' and name.isupper() and type(value) is int}"
    )
  end

  defp elixir_flags do
    attributes = ~r/((?:^  @\w+ \d+\n)*^  @return_object \d+\n(?:^  @\w+ \d+\n)*)/m
    text = source("lib/**/*.ex", attributes)

    for [name, number] <- scan(~r/@(\w+) (\d+)/, text),
        into: %{},
        do: {String.upcase(name), String.to_integer(number)}
  end

  defp rust_flags do
    text = source("native/*/src/**/*.rs", ~r/^impl Flags \{\n(.*?)^\}/ms)
    constants = scan(~r/const (\w+): u32 = (\d+)(?: << (\d+))?;/, text)
    # No constant is written in another way.
    assert length(constants) == length(scan(~r/const (\w+)/, text))

    for [name, number | shift] <- constants, into: %{} do
      shift = shift |> List.first("0") |> String.to_integer()
      {name, String.to_integer(number) * 2 ** shift}
    end
  end

  # What the first group of `regex` matches: in one place only.
  defp source(files, regex) do
    found =
      for file <- Path.wildcard(files), [text] <- scan(regex, File.read!(file)), do: text

    assert [text] = found
    text
  end

  defp scan(regex, text), do: Regex.scan(regex, text, capture: :all_but_first)
end
