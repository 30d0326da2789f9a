# What erlang_python does with real work; run it with script/demo.
#
#   1. Syntax trees of Python's standard library, or of script/demo FOLDER: pure Python work on one worker context, and
#      on as many own-GIL contexts as there are schedulers.
#   2. Handwritten digits: scikit-learn trains a classifier, hundreds of Elixir processes ask it at once.

defmodule Demo.Analysis do
  @rounds 3

  def run(examples, folder) do
    files = files(folder)
    if files == [], do: raise("no Python files in #{folder}")
    IO.puts("#{length(files)} files of #{folder}, #{@rounds} rounds; the median counts.\n")

    # Both ways in every round, so that what else the machine does meets them alike.
    ways = ways(Py.info())
    runs = for _ <- 1..@rounds, way <- ways, do: measure(way, files, examples)
    found = runs |> Enum.map(fn {_way, _used, found} -> found end) |> Enum.uniq()
    IO.puts("\n#{describe(hd(found))}\n")
    Demo.Text.check!(length(found) == 1, "all #{length(runs)} runs found the same in every file.")

    medians = for way <- ways, do: {elem(way, 0), median(for {^way, used, _} <- runs, do: used)}

    Enum.map(medians, &rate(&1, length(files))) ++ speed_up(medians)
  end

  defp ways(%{own_gil: true}) do
    number = System.schedulers_online()
    [{"one worker context", :worker, 1}, {"#{number} own-GIL contexts", :owngil, number}]
  end

  defp ways(%{version: version}) do
    IO.puts("Own-GIL contexts need Python 3.12, this is #{version}: nothing to compare with.")
    [{"one worker context", :worker, 1}]
  end

  # Largest first, so that no context begins a large file when the others are done. Reading them all means that the
  # first run does not wait for the disk longer than the second.
  defp files(folder) do
    Path.wildcard(Path.join(folder, "**/*.py"))
    |> Enum.reject(&("site-packages" in Path.split(Path.relative_to(&1, folder))))
    |> Enum.filter(&File.regular?/1)
    |> Enum.sort_by(&{-byte_size(File.read!(&1)), &1})
  end

  # Every context takes the next file when it has done one.
  defp measure({name, mode, number} = way, files, examples) do
    contexts = for _ <- 1..number, do: start(mode, examples)
    queue = {List.to_tuple(files), :atomics.new(1, [])}
    caller = self()
    {start, cpu_start} = clocks()
    for context <- contexts, do: spawn_link(fn -> work(context, queue, caller) end)
    found = collect(length(files), Demo.Progress.new(name, length(files)), %{})
    {stop, cpu_stop} = clocks()
    Enum.each(contexts, &Py.Context.stop/1)
    {way, {stop - start, cpu_stop - cpu_start}, found}
  end

  # Seconds that passed, and seconds of processor time that this program used.
  defp clocks,
    do: {System.monotonic_time(:microsecond) / 1_000_000, Py.call!(:time, :process_time)}

  defp start(mode, examples) do
    {:ok, context} =
      Py.Context.start_link(mode: mode, paths: [examples], preload: "import analyse")

    context
  end

  defp work(context, {files, taken} = queue, caller) do
    index = :atomics.add_get(taken, 1, 1) - 1

    if index < tuple_size(files) do
      file = elem(files, index)
      send(caller, {:analysed, file, Py.call!(context, :analyse, :analyse, [file])})
      work(context, queue, caller)
    end
  end

  defp collect(0, _progress, results), do: results

  defp collect(left, progress, results) do
    receive do
      {:analysed, file, result} ->
        progress = Demo.Progress.step(progress)
        collect(left - 1, progress, Map.put(results, file, result))
    end
  end

  defp describe(results) do
    {broken, parsed} = Enum.split_with(results, fn {_file, result} -> result == nil end)
    sum = fn key -> Enum.sum(for {_file, result} <- parsed, do: result[key]) end

    """
      #{sum.("lines")} lines, #{sum.("classes")} classes, #{sum.("functions")} functions, #{sum.("branches")} branches
      #{length(broken)} files are not valid Python
      longest function: #{most(parsed, "longest", "lines")}
      most complex: #{most(parsed, "most_complex", "ways through it")}\
    """
  end

  defp most(parsed, key, unit) do
    found =
      for {file, %{^key => {number, name}}} <- parsed, do: {number, name, Path.basename(file)}

    with {number, name, file} <- Enum.max(found, fn -> "none" end),
         do: "#{name} of #{file}, #{number} #{unit}"
  end

  defp median(runs), do: runs |> Enum.sort() |> Enum.at(div(length(runs), 2))

  # The number of cores in use shows whether other programs kept the processors busy.
  defp rate({name, {time, cpu}}, files) do
    rate = "#{round(files / time)} files a second"
    cores = "#{Demo.Text.decimal(cpu / time, 2)} cores in use"
    {"Syntax trees, #{name}", "#{rate}, #{Demo.Text.decimal(time, 2)} s, #{cores}"}
  end

  defp speed_up([{_worker, {one, _}}, {name, {many, cpu}}]) do
    speed_up = "#{name}: #{Demo.Text.decimal(one / many, 2)} times as fast as one worker"
    busy? = cpu / many < 0.75 * System.schedulers_online()
    hint = {"", "(other programs kept the processors busy: run it again when they are idle)"}
    [{"Speed-up", speed_up} | if(busy?, do: [hint], else: [])]
  end

  defp speed_up(_one_way), do: []
end

defmodule Demo.Digits do
  @seed 2026

  def run(examples) do
    {:ok, context} = Py.Context.start_link(mode: :worker, paths: [examples])

    case Py.call(context, :digits, :Classifier, [@seed], return: :object, timeout: 120_000) do
      {:ok, classifier} ->
        measure(classifier)

      {:error, error} ->
        if not Py.Error.is_a?(error, "ModuleNotFoundError"), do: raise(error)
        IO.puts("Left out: #{error.message} (pip install scikit-learn).")
        []
    end
  end

  # The classifier stays in Python; only images and digits cross.
  defp measure(classifier) do
    {training, testing} = Py.Object.call_method!(classifier, :sizes)
    images = Py.Object.getattr!(classifier, :test_images)
    labels = Py.Object.getattr!(classifier, :test_labels)

    IO.puts(
      "Trained on #{training} images. #{testing} Elixir processes ask about one other image each …"
    )

    {time, digits} = :timer.tc(fn -> ask_at_once(classifier, images) end)
    same? = digits == Py.Object.call_method!(classifier, :predict_all, [images])
    pairs = Enum.zip(labels, digits)
    right = Enum.count(pairs, fn {label, digit} -> label == digit end)
    accuracy = "#{Demo.Text.decimal(100 * right / testing, 1)} % (#{right} of #{testing})"
    rate = "#{round(testing / time * 1_000_000)} calls a second"

    Demo.Text.check!(same?, "the processes got the digits that one call with all images gets.")
    IO.puts("#{rate}, accuracy #{accuracy}.\n\n#{confusion(pairs)}")

    [{"Digits, #{testing} processes at once", rate}, {"Digits, accuracy", accuracy}]
  end

  defp ask_at_once(classifier, images) do
    images
    |> Enum.map(&Task.async(fn -> Py.Object.call_method!(classifier, :predict, [&1]) end))
    |> Task.await_many(60_000)
  end

  # Rows: what it was; columns: what was answered.
  defp confusion(pairs) do
    counts = Enum.frequencies(pairs)

    for label <- [nil | Enum.to_list(0..9)], into: "" do
      cells =
        for digit <- 0..9 do
          if label, do: counts[{label, digit}] || ".", else: digit
        end

      "  #{label || "is"} |" <> Enum.map_join(cells, &String.pad_leading("#{&1}", 4)) <> "\n"
    end
    |> String.replace_prefix("  is", " is")
  end
end

defmodule Demo.Progress do
  # A bar on a terminal, otherwise one line at the end.
  defstruct [:name, :total, :start, :terminal?, done: 0, drawn: 0]

  @width 30

  def new(name, total) do
    %__MODULE__{name: name, total: total, start: now(), terminal?: IO.ANSI.enabled?()}
  end

  def step(progress) do
    progress = %{progress | done: progress.done + 1}
    if draw?(progress), do: draw(progress), else: progress
  end

  defp draw?(%{done: all, total: all}), do: true
  defp draw?(progress), do: progress.terminal? and now() - progress.drawn >= 100

  defp draw(%{done: done, total: total} = progress) do
    rate = round(done * 1_000 / max(now() - progress.start, 1))
    text = "#{progress.name}: #{done} of #{total} files, #{rate} a second"
    IO.write(if progress.terminal?, do: bar(done, total, text), else: "  #{text}\n")
    %{progress | drawn: now()}
  end

  defp bar(done, total, text) do
    full = div(done * @width, total)
    bar = String.duplicate("█", full) <> String.duplicate("░", @width - full)
    ["\r\e[K  ", bar, " ", text, if(done == total, do: "\n", else: "")]
  end

  defp now, do: System.monotonic_time(:millisecond)
end

defmodule Demo.Text do
  def decimal(number, digits), do: :erlang.float_to_binary(number * 1.0, decimals: digits)
  def check!(true, text), do: IO.puts("Checked: #{text}")
  def check!(false, text), do: raise("this does not hold: #{text}")
  def title(text), do: IO.puts("\n== #{text}\n")

  def table(rows) do
    width = rows |> Enum.map(fn {name, _value} -> String.length(name) end) |> Enum.max()
    for {name, value} <- rows, do: IO.puts("  #{String.pad_trailing(name, width)}  #{value}")
  end
end

info = Py.info()

IO.puts(
  "Python #{info.version}, Elixir #{System.version()}, Erlang/OTP #{System.otp_release()}, " <>
    "#{System.schedulers_online()} schedulers"
)

folder =
  case System.argv() do
    [folder | _] -> Path.expand(folder)
    [] -> Py.call!(:sysconfig, :get_paths)["stdlib"]
  end

# In this order: once scikit-learn is loaded, garbage collections of the main interpreter take longer.
Demo.Text.title("Syntax trees of Python files, on one context and on several")
analysis = Demo.Analysis.run(__DIR__, folder)
Demo.Text.title("Handwritten digits, a model asked by many processes")
digits = Demo.Digits.run(__DIR__)
Demo.Text.title("Measured")
Demo.Text.table(analysis ++ digits)
