defmodule Bench.Data do
  @moduledoc false
  # What values cost on their way in, out and both ways.

  import Bench.Measure

  alias Bench.Floors

  @doc "Measures the conversions. Floor: the same built and read in Python alone; for binaries memcpy."
  @spec run(map()) :: [map()]
  def run(options) do
    context = Floors.python()
    names = Enum.map(lists(), &elem(&1, 0)) ++ Enum.map(binaries(), &elem(&1, 0))
    # Not on the heap of this process: its garbage collections would look at them.
    for name <- names, do: :persistent_term.put({__MODULE__, name}, input(context, name))
    bases = Map.new(bases(context))

    entries =
      Enum.flat_map(lists(), &of_list(context, &1)) ++
        Enum.flat_map(binaries(), &of_binary(context, &1))

    results = run(entries, bases, options)
    for name <- names, do: :persistent_term.erase({__MODULE__, name})
    Py.Context.stop(context)
    results
  end

  # {name in workload.py, title, floor, targets of the way in and out}
  defp lists do
    [
      {"ints_10000", "10,000 integers", :ints_10000, [%{to: :ints_10000, at_most: 3}]},
      {"ints_100000", "100,000 integers", :ints_100000, []},
      {"floats_10000", "10,000 floats", :floats_10000, []},
      {"floats_100000", "100,000 floats", :floats_100000, []},
      {"strings_10000", "10,000 short strings", :strings_10000, []},
      {"strings_100000", "100,000 short strings", :strings_100000, []},
      {"maps_1000", "map of 1,000 maps", :maps_1000, []}
    ]
  end

  defp binaries do
    [
      {"bytes_1000000", "1 MB of bytes", :memcpy_1000000, [%{to: :memcpy_1000000, at_most: 2}]},
      {"text_1000000", "1 MB of text", :memcpy_1000000, [%{to: :memcpy_1000000, at_most: 2}]},
      {"bytes_100000000", "100 MB of bytes", :memcpy_100000000, []}
    ]
  end

  defp bases(context) do
    for {_name, _title, floor, _targets} <- lists() ++ binaries(), uniq: true do
      {floor, Floors.inside(context, Atom.to_string(floor))}
    end
  end

  defp input(context, name), do: Py.call!(context, :workload, :give, [name])

  defp of_list(context, {name, title, floor, targets}) do
    [
      entry("data.#{name}.both", "#{title}, in and out", both(context, name),
        floor: floor,
        targets: targets
      ),
      entry("data.#{name}.in", "#{title}, in", inward(context, name), floor: floor),
      entry("data.#{name}.out", "#{title}, out", outward(context, name), floor: floor)
    ]
  end

  defp of_binary(context, {name, title, floor, targets}) do
    [
      entry("data.#{name}.both", "#{title}, in and out", both(context, name), floor: floor),
      entry("data.#{name}.in", "#{title}, in", inward(context, name),
        floor: floor,
        targets: targets
      ),
      entry("data.#{name}.out", "#{title}, out", outward(context, name),
        floor: floor,
        targets: targets
      )
    ]
  end

  defp both(context, name),
    do: fn -> {:ok, _} = Py.call(context, :workload, :echo, [get(name)]) end

  defp inward(context, name),
    do: fn -> {:ok, nil} = Py.call(context, :workload, :take, [get(name)]) end

  defp outward(context, name), do: fn -> {:ok, _} = Py.call(context, :workload, :give, [name]) end

  defp get(name), do: :persistent_term.get({__MODULE__, name})
end
