defmodule Bench.Instructions do
  @moduledoc false
  # The guard against changes that make a path slower without breaking anything.
  #
  # `bench/instructions/` runs the library in a stand-in for the Erlang VM, under callgrind. Counted are, for each call or
  # element: instructions of the library itself, its calls into the VM (`enif_*`) and its calls into Python. That does not
  # depend on the machine's speed; other versions of Rust and of Python change it a little. Where threads wait for each
  # other, a loaded machine adds to it, never takes away: of several counts the lowest is right.

  @here Path.join(__DIR__, "instructions")
  @stored Path.join(@here, "counts.exs")

  # More than so much above the stored count is too slow: a part of it, and a constant for small counts.
  @tolerances %{instructions: {0.1, 5}, vm_calls: {0.03, 0.3}, python_calls: {0.03, 0.3}}
  @kinds [:instructions, :vm_calls, :python_calls]

  # Counted at most so often, until nothing is too slow.
  @runs 6

  # Threads spin as long as they have nothing to do: nobody waits for that.
  @spinning ~r/Queue<T>::wait|Spin::run|sync::spin::spin|std::time::|unix::time::|yield_now/

  @spec main([String.t()]) :: :ok
  def main([]), do: run() |> check(@runs - 1)
  def main(["--update"]), do: run() |> store()
  def main(_other), do: Mix.raise("usage: script/instructions [--update]")

  ## Counting

  # The counts of each path, for each of its units.
  defp run do
    valgrind =
      System.find_executable("valgrind") || Mix.raise("valgrind was not found; install it")

    folder = Path.join(System.tmp_dir!(), "instructions-#{System.pid()}")
    File.mkdir_p!(folder)
    Py.Config.load()
    {:ok, python} = Py.Interpreter.find()
    program = compile(folder)

    arguments = [
      python.executable,
      python.library,
      Path.expand("priv/python/erlang"),
      library(),
      __DIR__
    ]

    options = ~w(--tool=callgrind --instr-atstart=no --vgdb=no --quiet)
    out = "--callgrind-out-file=#{folder}/out"
    command!(valgrind, options ++ [out, program | arguments])

    counts =
      for file <- Path.wildcard("#{folder}/out.*"),
          {path, count} <- [parse(file, program)],
          into: %{},
          do: {path, count}

    File.rm_rf!(folder)
    counts
  end

  defp compile(folder) do
    program = Path.join(folder, "driver")
    include = Path.join([:code.root_dir(), "usr", "include"])
    sources = Path.wildcard("#{@here}/*.c")
    command!("cc", ~w(-O1 -rdynamic -I#{include} -o #{program}) ++ sources ++ ~w(-ldl -lpthread))
    program
  end

  # The release build, whatever was built last.
  defp library do
    native = Path.expand("native")
    command!("cargo", ~w(build --release), cd: native)
    target = Path.expand(System.get_env("CARGO_TARGET_DIR", "target"), native)
    Path.join(target, "release/liberlang_python_nif.so")
  end

  defp command!(program, arguments, options \\ []) do
    case System.cmd(program, arguments, [stderr_to_stdout: true] ++ options) do
      {_output, 0} ->
        :ok

      {output, status} ->
        Mix.raise("#{Path.basename(program)} failed with status #{status}:\n#{output}")
    end
  end

  ## The files of callgrind
  #
  # `ob=`, `fn=`: the costs that follow are of this object and function; `cob=`, `calls=`: a call to that object, whose
  # cost is in the next line and belongs to the callee. Names come once, then as their numbers.

  defp parse(file, program) do
    state = %{
      names: %{},
      object: nil,
      callee: nil,
      spinning: false,
      call: false,
      program: program,
      title: nil,
      counts: Map.from_keys(@kinds, 0)
    }

    %{title: {path, units}, counts: counts} =
      file |> File.stream!() |> Enum.reduce(state, &line(String.trim_trailing(&1), &2))

    {path, Map.new(counts, fn {kind, count} -> {kind, count / units} end)}
  end

  defp line("desc: Trigger: Client Request: count " <> title, state) do
    [path, units] = String.split(title)
    %{state | title: {path, String.to_integer(units)}}
  end

  defp line("ob=" <> name, state) do
    {name, state} = name(:object, name, state)
    %{state | object: kind(name, state), callee: nil}
  end

  defp line("fn=" <> name, state) do
    {name, state} = name(:function, name, state)
    %{state | spinning: name =~ @spinning, callee: nil}
  end

  defp line("cob=" <> name, state) do
    {name, state} = name(:object, name, state)
    %{state | callee: kind(name, state)}
  end

  defp line("cfn=" <> name, state), do: name(:function, name, state) |> elem(1)

  defp line("calls=" <> count, %{object: :library, callee: callee} = state)
       when callee in [:vm_calls, :python_calls] do
    {count, _rest} = Integer.parse(count)
    state |> add(callee, count) |> Map.merge(%{call: true, callee: nil})
  end

  defp line("calls=" <> _count, state), do: %{state | call: true, callee: nil}

  defp line(<<first, _rest::binary>>, %{call: true} = state) when first in ~c"0123456789+-*",
    do: %{state | call: false}

  defp line(<<first, _rest::binary>> = line, %{object: :library, spinning: false} = state)
       when first in ~c"0123456789+-*" do
    [_position, cost] = String.split(line)
    add(state, :instructions, String.to_integer(cost))
  end

  defp line(_line, state), do: state

  defp name(kind, text, state) do
    case String.split(text, " ", parts: 2) do
      [number, name] -> {name, put_in(state.names[{kind, number}], name)}
      [number] -> {Map.fetch!(state.names, {kind, number}), state}
    end
  end

  defp kind(program, %{program: program}), do: :vm_calls

  defp kind(path, _state) do
    cond do
      path =~ "erlang_python_nif" -> :library
      path =~ "libpython" -> :python_calls
      true -> :other
    end
  end

  defp add(state, kind, count), do: update_in(state.counts[kind], &(&1 + count))

  ## Judging

  defp check(counts, runs_left) do
    stored = stored()

    IO.puts(
      "#{pad("counted (stored)")}  #{Enum.map_join(@kinds, &String.pad_leading(label(&1), 22))}"
    )

    slow = for {path, count} <- Enum.sort(counts), line = compare(path, count, stored), do: line

    missing = Map.keys(stored) -- Map.keys(counts)
    if missing != [], do: Mix.raise("not counted: #{Enum.join(missing, ", ")}")

    slow = List.flatten(slow)

    cond do
      slow == [] -> :ok
      runs_left > 0 -> counts |> Map.merge(run(), &lowest/3) |> check(runs_left - 1)
      true -> fail(slow)
    end
  end

  defp lowest(_path, counts, others),
    do: Map.merge(counts, others, fn _kind, count, other -> min(count, other) end)

  defp fail(slow) do
    Mix.raise("""
    more work than the counts in #{Path.relative_to_cwd(@stored)} allow:

    #{Enum.map_join(slow, "\n", &"  #{&1}")}

    If that is wanted, or another compiler's doing: script/instructions --update
    """)
  end

  # Prints one path and returns what is too slow of it.
  defp compare(path, count, stored) do
    before =
      stored[path] || Mix.raise("#{path} has no stored count: script/instructions --update")

    IO.puts("#{pad(path)}  #{Enum.map_join(@kinds, &shown(count[&1], before[&1]))}")

    for kind <- comparable(), count[kind] > limit(kind, before[kind]) do
      "#{path}: #{text(count[kind])} #{label(kind)}, stored #{text(before[kind])}"
    end
  end

  # Other processors have other instructions, and the same calls.
  defp comparable do
    case List.to_string(:erlang.system_info(:system_architecture)) do
      "x86_64" <> _system -> @kinds
      _other -> @kinds -- [:instructions]
    end
  end

  defp limit(kind, before) do
    {part, constant} = Map.fetch!(@tolerances, kind)
    before * (1 + part) + constant
  end

  defp label(kind), do: kind |> Atom.to_string() |> String.replace("_", " ")
  defp pad(path), do: String.pad_trailing(path, 18)
  defp shown(count, before), do: String.pad_leading("#{text(count)} (#{text(before)})", 22)
  defp text(count), do: :erlang.float_to_binary(count / 1, decimals: 1)

  # One line a path, so that a difference shows what became dearer.
  defp store(counts) do
    lines =
      for {path, count} <- Enum.sort(counts) do
        ~s(  "#{path}" => %{) <> Enum.map_join(@kinds, ", ", &"#{&1}: #{text(count[&1])}") <> "}"
      end

    File.write!(@stored, "%{\n" <> Enum.join(lines, ",\n") <> "\n}\n")
    IO.puts("stored in #{Path.relative_to_cwd(@stored)}")
  end

  defp stored, do: @stored |> Code.eval_file() |> elem(0)
end

Bench.Instructions.main(System.argv())
