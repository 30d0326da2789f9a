Code.require_file("fuzz.exs", __DIR__)

{options, arguments} = OptionParser.parse!(System.argv(), strict: [seed: :integer])

count =
  case Enum.map(arguments, &Integer.parse(String.replace(&1, "_", ""))) do
    [] -> 100_000
    [{count, ""}] when count > 0 -> count
    _other -> Mix.raise("usage: script/fuzz [COUNT] [--seed NUMBER]")
  end

seed = Keyword.get(options, :seed, System.os_time(:second))
IO.puts("fuzz: #{count} values, seed #{seed}")

case Fuzz.run(count, seed) do
  {:ok, refused} ->
    IO.puts("  all as the tables say, #{refused} of them refused")

  {:error, text} ->
    IO.puts("FAILED: #{text}")
    System.halt(1)
end
