defmodule ErlangApiTest do
  # The tables of the Erlang API are test/erlang/MODULE_table.erl: a function for each one of the API, named after it.
  use ExUnit.Case, async: false

  @modules [:py, :py_context, :py_context_router, :py_semaphore, :py_state, :py_callback] ++
             [:py_preload, :py_import, :py_logger, :py_nif]

  # py_logger has only types.
  @tables for module <- @modules -- [:py_logger], do: :"#{module}_table"

  @doc "The rows of all tables, with the table of each: `{table, row}`."
  def rows do
    for table <- @tables,
        {row, 0} <- table.module_info(:exports),
        Atom.to_string(row) =~ "/",
        do: {table, row}
  end

  test "what is exported is what the table has" do
    exported =
      for module <- @modules,
          {name, arity} <- module.module_info(:exports),
          name != :module_info,
          do: {module, name, arity}

    assert Enum.sort(exported) == Enum.sort(Map.keys(table()))
    assert exported -- pending() == exported
  end

  test "every row of the table calls its function" do
    forms =
      for table <- @tables, into: %{} do
        {:ok, {_module, [abstract_code: {:raw_abstract_v1, forms}]}} =
          table |> :code.which() |> :beam_lib.chunks([:abstract_code])

        {table, forms}
      end

    for {{module, name, arity}, {table, row}} <- table() do
      assert {row, table} == {row, :"#{module}_table"}
      {:function, _at, ^row, 0, clauses} = List.keyfind(forms[table], row, 2)
      assert {row, calls?(clauses, module, name, arity)} == {row, true}
    end
  end

  test "no function calls one that does not exist" do
    Mix.ensure_application!(:tools)
    {:ok, xref} = :xref.start([])
    :xref.set_default(xref, warnings: false)
    :xref.set_library_path(xref, :code_path)

    {:ok, _modules} =
      :py
      |> :code.which()
      |> Path.dirname()
      |> to_charlist()
      |> then(&:xref.add_directory(xref, &1))

    # The browser of the dashboard's tests, and the download of precompiled libraries, use libraries that need not be there.
    {:ok, undefined} = :xref.analyze(xref, :undefined_function_calls)
    libraries = [Jason, RustlerPrecompiled]
    assert Enum.reject(undefined, fn {_from, {module, _, _}} -> module in libraries end) == []
    assert :xref.analyze(xref, :deprecated_function_calls) == {:ok, []}
    :xref.stop(xref)
  end

  test "every function has a specification and documentation" do
    for module <- @modules, module != :py_logger do
      {:ok, specs} = Code.Typespec.fetch_specs(module)
      specified = MapSet.new(specs, &elem(&1, 0))

      {:docs_v1, _at, :erlang, "text/markdown", %{"en" => _moduledoc}, _meta, docs} =
        Code.fetch_docs(module)

      documented =
        for {{:function, name, arity}, _at, _sig, %{"en" => _}, _meta} <- docs,
            into: MapSet.new(),
            do: {name, arity}

      for {^module, name, arity} <- Map.keys(table()) do
        assert {name, arity} in specified, "#{module}:#{name}/#{arity} has no -spec"
        assert {name, arity} in documented, "#{module}:#{name}/#{arity} has no -doc"
      end
    end
  end

  defp table do
    for {table, row} <- rows(),
        [_, module, name, arity] <- [Regex.run(~r"^(\w+):(\w+)/(\d)$", Atom.to_string(row))],
        into: %{},
        do:
          {{String.to_existing_atom(module), String.to_existing_atom(name),
            String.to_integer(arity)}, {table, row}}
  end

  defp pending do
    for table <- @tables,
        {:pending, functions} <- table.module_info(:attributes),
        function <- functions,
        do: function
  end

  defp calls?(
         {:call, _at, {:remote, _, {:atom, _, module}, {:atom, _, name}}, args} = call,
         module,
         name,
         arity
       ),
       do: length(args) == arity or nested?(call, module, name, arity)

  defp calls?(form, module, name, arity), do: nested?(form, module, name, arity)

  defp nested?(form, module, name, arity) when is_tuple(form),
    do: form |> Tuple.to_list() |> nested?(module, name, arity)

  defp nested?(forms, module, name, arity) when is_list(forms),
    do: Enum.any?(forms, &calls?(&1, module, name, arity))

  defp nested?(_form, _module, _name, _arity), do: false
end

for mode <- Py.Test.Case.modes() do
  defmodule Module.concat(ErlangApiTest, mode |> Atom.to_string() |> String.capitalize()) do
    # The rows of the table, with a default pool of this mode.
    use ExUnit.Case, async: false

    @moduletag :capture_log
    @mode mode
    setup_all do
      Py.Test.Interpreter.keep_path()
      Py.Test.Pool.default_pool(@mode)
    end

    setup do: on_exit(&Py.State.clear/0)

    for {table, row} <- ErlangApiTest.rows() do
      @table table
      @row row
      test "#{row}" do
        # What other tests have left behind may take a while to end.
        assert Py.Test.Wait.eventually(fn -> Py.Semaphore.in_use() == 0 end)
        apply(@table, @row, [])
      end
    end
  end
end
