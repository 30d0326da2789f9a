defmodule Py.LayersTest do
  # The files of lib/ call each other in one direction only: each can be read, and changed, without those above it.
  #
  # Calls and captures of functions count. These do not:
  #
  #   * struct literals and patterns: a struct is data;
  #   * types: they are for the reader and for Dialyzer;
  #   * implementations of protocols, such as `inspect/2`, which reach a module above: they are found at run time, and whoever
  #     calls the protocol works without them;
  #   * modules in child specifications: a supervisor is above its children, wherever it is started.
  use ExUnit.Case, async: true

  test "no files of lib/ call each other in a circle" do
    calls = calls()
    # The calls are read at all: of a function, and of a captured one.
    assert {"lib/py/request.ex", "lib/py/native.ex"} in calls
    assert {"lib/py/telemetry/reporter.ex", "lib/py/telemetry/events.ex"} in calls

    assert circles(calls) == []
  end

  test "a circle is found" do
    assert [circle] = circles([{"a", "b"}, {"b", "c"}, {"c", "b"}, {"c", "d"}])
    assert Enum.sort(circle) == ["b", "c"]
  end

  defp circles(calls) do
    graph = :digraph.new()
    for pair <- calls, file <- Tuple.to_list(pair), do: :digraph.add_vertex(graph, file)
    for {from, to} <- calls, do: :digraph.add_edge(graph, from, to)
    circles = :digraph_utils.cyclic_strong_components(graph)
    :digraph.delete(graph)
    circles
  end

  # `{file, file that it calls}`.
  defp calls do
    files =
      for module <- Application.spec(:erlang_python, :modules),
          file = module.module_info(:compile)[:source] |> to_string() |> Path.relative_to_cwd(),
          String.starts_with?(file, "lib/"),
          into: %{},
          do: {module, file}

    for {module, file} <- files,
        called <- called(module),
        other = files[called],
        other not in [nil, file],
        uniq: true,
        do: {file, other}
  end

  defp called(module) do
    {:ok, {^module, [debug_info: {:debug_info_v1, backend, data}]}} =
      module |> :code.which() |> :beam_lib.chunks([:debug_info])

    {:ok, forms} = backend.debug_info(:erlang_v1, module, data, [])
    forms |> walk([]) |> Enum.uniq()
  end

  defp walk({:remote, _where, {:atom, _, module}, function}, found),
    do: walk(function, [module | found])

  defp walk({:fun, _where, {:function, {:atom, _, module}, _name, _arity}}, found),
    do: [module | found]

  defp walk(list, found) when is_list(list), do: walk_list(list, found)
  defp walk(form, found) when is_tuple(form), do: form |> Tuple.to_list() |> walk_list(found)
  defp walk(_other, found), do: found

  # Texts may end in an improper list.
  defp walk_list([head | tail], found), do: walk_list(tail, walk(head, found))
  defp walk_list([], found), do: found
  defp walk_list(other, found), do: walk(other, found)
end
