Code.require_file("soak.exs", __DIR__)

{options, arguments} = OptionParser.parse!(System.argv(), strict: [seed: :integer])

minutes =
  case Enum.map(arguments, &Float.parse/1) do
    [] -> 1.0
    [{minutes, ""}] when minutes > 0 -> minutes
    _other -> Mix.raise("usage: script/soak [MINUTES] [--seed NUMBER]")
  end

seed = Keyword.get(options, :seed, :erlang.unique_integer([:positive]) + System.os_time(:second))
IO.puts("soak: #{minutes} minutes, seed #{seed}")
# Failures are part of the mix: contexts that are killed, casts that find none.
Logger.configure(level: :none)
{rows, failures} = Soak.run(minutes: minutes, seed: seed)
for {name, value} <- rows, do: IO.puts("  #{String.pad_trailing(name, 30)} #{value}")
for failure <- failures, do: IO.puts("FAILED: #{failure}")
if failures != [], do: System.halt(1)
