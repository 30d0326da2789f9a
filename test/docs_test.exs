defmodule DocsTest do
  # The code of README, of the guides and of the documentation of the Erlang modules: see Py.Test.Docs.
  # Guides change the limit, directories and imports, start pools and register functions.
  use ExUnit.Case, async: false

  alias Py.Test.Docs

  @moduletag :capture_log

  setup do
    limit = Py.Semaphore.max_concurrent()
    # That of the main interpreter, which keeps what is added to it.
    path = Py.eval!(Py.context(1), "__import__('sys').path[:]")

    on_exit(fn ->
      Py.exec!(Py.context(1), "import sys\nsys.path[:] = path", locals: %{path: path})
      Py.Semaphore.set_max_concurrent(limit)
      Py.State.clear()
      Py.Setup.clear_imports()
      Py.Setup.clear_paths()
      for pool <- Py.Router.pools() -- [:default], do: Py.Router.stop_pool(pool)
    end)
  end

  for file <- ["README.md" | Path.wildcard("guides/**/*.md")] do
    doctest_file(file)

    @blocks Docs.blocks(file)
    for language <- ["elixir", "erlang", "python"],
        Enum.any?(@blocks, &(&1.language == language)) do
      @language language
      test "#{file}: #{language}", do: Docs.run(@blocks, @language)
    end
  end

  # The attributes of documentation came with OTP 27.
  if String.to_integer(System.otp_release()) >= 27 do
    for module <-
          ~w(py py_callback py_context py_context_router py_import py_logger py_nif py_preload
        py_semaphore py_state)a do
      @module module

      test "the documentation of #{module}: examples" do
        {:docs_v1, _at, :erlang, _format, %{"en" => text}, _meta, docs} = Code.fetch_docs(@module)

        places =
          for {{kind, name, arity}, _, _, _, _} <- docs, do: "#{@module} #{kind} #{name}/#{arity}"

        texts = for {_, _, _, %{"en" => text}, _} <- docs, do: text

        for {text, place} <- [{text, "#{@module}.erl"} | Enum.zip(texts, places)],
            do: text |> Docs.blocks(place) |> Docs.run("erlang")
      end

      test "the documentation of #{module}: every function and type, with a version" do
        {:docs_v1, _at, :erlang, _format, _text, meta, docs} = Code.fetch_docs(@module)
        assert meta[:since] == "0.1.0"

        for {{kind, name, arity}, _at, _signature, text, meta} <- docs do
          assert is_map(text), "#{kind} #{name}/#{arity} has no documentation"
          if kind == :function, do: assert(is_binary(meta[:since]), "#{name}/#{arity}")
        end

        exported = @module.module_info(:exports) -- [module_info: 0, module_info: 1]

        assert exported -- for({{:function, name, arity}, _, _, _, _} <- docs, do: {name, arity}) ==
                 []
      end
    end
  end

  describe "blocks" do
    test "of each kind are found" do
      assert [
               %{language: "erlang", place: "x.md:3", only_compile: nil},
               %{only_compile: " import Plug.Conn"}
             ] =
               Docs.blocks(
                 "text\n\n```erlang\n1> ok.\nok\n```\n\n<!-- compile only: import Plug.Conn -->\n```elixir\n1\n```\n",
                 "x.md"
               )
    end

    for {text, language} <- [
          {"```erlang\n1> 1 + 1.\n3\n```", "erlang"},
          {"```erlang\n1> error(badarg).\nok\n```", "erlang"},
          {"```erlang\n1> {a, 1}.\n{_, 2}\n```", "erlang"},
          {"```erlang\n[{erlang_python, [{no_such_key, 1}]}].\n```", "erlang"},
          {"```erlang\n[{erlang_python, [{num_contexts, many}]}].\n```", "erlang"},
          {"```erlang\n-module(m).\n-export([f/0]).\nf() -> X = 1, ok.\n```", "erlang"},
          {"```python\n>>> 1 + 1\n3\n```", "python"},
          {"```python\n1 / 0\n```", "python"},
          {"```elixir\nraise \"no\"\n```", "elixir"},
          {"<!-- compile only -->\n```elixir\nfoo(1\n```", "elixir"}
        ] do
      @text text
      @language language
      test "that are wrong fail: #{inspect(text)}" do
        assert_raise ExUnit.AssertionError, fn ->
          (@text <> "\n") |> Docs.blocks("x.md") |> Docs.run(@language)
        end
      end
    end
  end
end

defmodule DocsTest.Modules do
  # The examples of the Elixir modules that have no other test of their documentation.
  use ExUnit.Case, async: true

  doctest Py
  doctest Py.Atom
  doctest Py.Bytes
  doctest Py.Callback
  doctest Py.Context
  doctest Py.Deadline
  doctest Py.ConversionError
  doctest Py.Encoder
  doctest Py.Env
  doctest Py.Error
  doctest Py.Float
  doctest Py.Object
  doctest Py.Operation
  doctest Py.Router
  doctest Py.Task
  doctest Py.Text
end
