defmodule Py.SchemaTest do
  use ExUnit.Case, async: true

  alias Py.Schema
  alias Py.Schema.{Docs, Entries, Type}

  # Public functions, and the name that Py.Schema has for their options.
  @documented [
    {Py, :call, 4, :call},
    {Py, :eval, 2, :eval},
    {Py, :exec, 2, :exec},
    {Py, :async, 4, :async},
    {Py, :cast, 4, :cast},
    {Py, :parallel, 2, :parallel},
    {Py, :memory_stats, 1, :memory},
    {Py, :gc, 2, :memory},
    {Py.Context, :start_link, 1, :context},
    {Py.Pool, :start_link, 1, :own_pool},
    {Py.Router, :start_pool, 3, :pool},
    {Py.Router, :start, 1, :default_pool},
    {Py.Env, :new, 1, :env},
    {Py.Setup, :add_paths, 2, :setup},
    {Py.Setup, :add_import, 3, :setup},
    {Py.Setup, :reload, 2, :setup},
    {Py.Setup, :sync_env, 1, :setup},
    {Py.Logging, :configure, 1, :logging}
  ]

  for {module, function, arity, name} <- @documented do
    test "#{inspect(module)}.#{function}/#{arity} documents its options and its errors" do
      text = doc(unquote(module), unquote(function), unquote(arity))
      assert text =~ "## Options\n\n" <> Docs.options(unquote(name))
      assert text =~ "## Errors\n\n"
    end
  end

  test "each key is documented with its values and its default" do
    assert Docs.options(:setup) ==
             "* `:timeout` (`:infinity` or milliseconds from 0 to 4,294,967,295; default: `30_000`) - limit for each context"

    assert Docs.options(:pool) =~
             "* `:replace_stuck` (a positive number of milliseconds or `:never`; default: as configured, `600_000`) - "

    assert Docs.options(:own_pool) =~ "* `:name` (a pool name as an atom; required) - "
  end

  test "a key that came later says since when" do
    [entry] = Entries.fetch!([:pg])
    assert Docs.item(%{entry | since: "0.2.0"}) =~ "default: `false`; since 0.2.0) - "
    refute Docs.item(entry) =~ "since"
  end

  test "the options of requests have one type each, and a place in the struct" do
    types =
      for function <- [:call, :eval, :memory, :env, :setup],
          %{key: key, type: type} <- Schema.options(function),
          uniq: true,
          do: {key, type}

    keys = Keyword.keys(types)
    assert keys == Enum.uniq(keys)
    assert keys -- Map.keys(%Py.Options{}) == []
    assert %Py.Options{timeout: 30_000, namespace: :context, return: :term} = %Py.Options{}
  end

  test "defaults are values of their types" do
    for function <- [:call, :exec, :parallel, :context, :pool, :logging],
        %{key: key, type: type, default: {:value, value}} <- Schema.options(function),
        do: assert({key, Type.cast(type, value)} == {key, {:ok, value}})
  end

  @paths "a list of strings or {application, folder in its priv}"

  describe "check!/2" do
    test "returns values, and defaults that are not configured" do
      assert Schema.check!(:logging, format: ~c"%(message)s", timeout: :infinity) ==
               [format: "%(message)s", timeout: :infinity, level: :debug]

      assert Schema.check!(:pool, []) == [
               mode: :worker,
               strategy: :affinity,
               pg: false,
               paths: []
             ]
    end

    test "names what is unknown, and what is no option" do
      assert_raise ArgumentError, "unknown option :x, the allowed ones are [:timeout]", fn ->
        Schema.check!(:setup, x: 1, x: 2)
      end

      assert_raise ArgumentError, ~r/^unknown options \[:y, :x\], the allowed/, fn ->
        Schema.check!(:setup, y: 1, timeout: 1, x: 2)
      end

      for wrong <- [:x, [1], %{timeout: 1}, [:timeout]] do
        assert_raise ArgumentError,
                     ~r/to be a keyword list, got: #{Regex.escape(inspect(wrong))}/,
                     fn ->
                       Schema.check!(:setup, wrong)
                     end
      end
    end

    test "names a wrong value, and what is expected" do
      for {function, key, value, expected} <- [
            {:setup, :timeout, -1, ":infinity or milliseconds from 0 to 4294967295"},
            {:pool, :start_timeout, nil, ":infinity or milliseconds from 0 to 4294967295"},
            {:pool, :mode, :fast, ":worker or :owngil"},
            {:pool, :pg, nil, "true or false"},
            {:pool, :max_queue, 0, "a positive integer"},
            {:pool, :replace_stuck, :infinity, "a positive number of milliseconds or :never"},
            {:pool, :preload, :code, "a string"},
            {:pool, :preload, [:code], "a string"},
            {:pool, :paths, "/a", @paths},
            {:pool, :paths, ~c"/a", @paths},
            {:pool, :paths, [no_such_application: "python"], @paths},
            {:pool, :paths, [{:erlang_python, 5}], @paths},
            {:pool, :strategy, String,
             ":affinity, :round_robin, :least_busy or a module with the behaviour Py.Router.Strategy"},
            {:context, :name, "name", "an atom, {:global, term} or {:via, module, term}"},
            {:own_pool, :name, nil, "a pool name as an atom"},
            {:own_pool, :size, 10_001, "a positive number of contexts up to 10000"},
            {:call, :kwargs, [1], "a map or a keyword list"},
            {:call, :env, %{}, "a Py.Env"},
            {:call, :return, :last, ":term or :object"},
            {:exec, :return, :term, ":last or :object"}
          ] do
        message = "invalid #{inspect(key)}: #{inspect(value)}; expected #{expected}"
        assert_raise ArgumentError, message, fn -> Schema.check!(function, [{key, value}]) end
      end
    end
  end

  test "the configuration takes strings of sys.config" do
    assert Py.Config.check!(:python, ~c"3.14") == "3.14"
    assert Py.Config.check!(:paths, [~c"/a", "/b"]) == ["/a", "/b"]

    assert Py.Config.check!(:imports, [:json, ~c"os.path", {"math", :sqrt}]) ==
             [{"json", :all}, {"os.path", :all}, {"math", "sqrt"}]

    assert_raise ArgumentError,
                 "invalid configuration: config :erlang_python, imports: [1]; expected a list of strings or {module, name}",
                 fn -> Py.Config.check!(:imports, [1]) end
  end

  defp doc(module, function, arity) do
    {:docs_v1, _, :elixir, _, _, _, docs} = Code.fetch_docs(module)

    Enum.find_value(docs, fn
      {{:function, ^function, ^arity}, _, _, %{"en" => text}, _} -> text
      _other -> nil
    end)
  end
end
