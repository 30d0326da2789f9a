Code.require_file("bench.exs", __DIR__)
IO.puts(Bench.main(System.argv()))
