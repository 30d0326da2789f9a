defmodule Py.OptionsTest do
  use ExUnit.Case, async: false

  import Py.Test.Wait

  alias Py.Test.Dialect

  for mode <- [:worker, :owngil] do
    describe "#{mode}" do
      setup do
        {:ok, context: start_supervised!({Py.Context, mode: unquote(mode)})}
      end

      test "what Python refuses is an error, and the next call works", %{context: context} do
        cases = [
          {fn -> Py.call(context, :no_such_module, :f) end, "ModuleNotFoundError",
           "no_such_module"},
          {fn -> Py.call(context, "json.nothing", :f) end, "ModuleNotFoundError", "json.nothing"},
          {fn -> Py.call(context, :math, :no_such_function) end, "AttributeError",
           "no_such_function"},
          {fn -> Py.call(context, "__main__", :nothing) end, "NameError", "nothing"},
          {fn -> Py.call(context, :math, :sqrt, [1, 2]) end, "TypeError", "exactly one argument"},
          {fn -> Py.call(context, :json, :dumps, [1], kwargs: [nope: 1]) end, "TypeError",
           "nope"},
          {fn -> Py.call(context, :math, :pi) end, "TypeError", "not callable"},
          {fn -> Py.call(context, "ma\0th", :sqrt) end, "ModuleNotFoundError", ""},
          {fn -> Py.call(context, :math, "sq\0rt") end, "AttributeError", ""},
          {fn -> Py.exec(context, "x = 1\nif x:\n") end, "IndentationError", "line 2"},
          {fn -> Py.exec(context, "x = = 1") end, "SyntaxError", "line 1"},
          {fn -> Py.eval(context, "x = 1") end, "SyntaxError", "line 1"},
          {fn -> Py.eval(context, "") end, "SyntaxError", ""},
          {fn -> Py.exec(context, "x = 'a\0b'") end, "SyntaxError", "null bytes"}
        ]

        for {run, type, text} <- cases do
          assert {:error, %Py.Error{} = error} = run.()
          assert {error.type, error.message =~ text} == {type, true}, inspect(error)
          assert Py.call(context, :math, :sqrt, [4]) == {:ok, 2.0}
        end
      end

      test "source and names that are no text", %{context: context} do
        assert {:error, %Py.ConversionError{} = error} = Py.exec(context, <<255>>)
        assert Exception.message(error) =~ "UTF-8"
        assert {:error, %Py.ConversionError{}} = Py.call(context, <<255>>, :f)
        assert Py.eval(context, "1") == {:ok, 1}
      end

      test "structs nested without end", %{context: context} do
        nested =
          Enum.reduce(1..200_000, 1, fn _, inner ->
            %{__struct__: Range, first: inner, last: 1, step: 1}
          end)

        assert {:error, %Py.ConversionError{} = error} =
                 Py.call(context, :builtins, :len, [[nested]])

        assert Exception.message(error) =~ "nested deeper than"
        assert Py.eval(context, "1") == {:ok, 1}
      end

      test "a date whose fields are dates", %{context: context} do
        Py.exec!(context, """
        import datetime

        class Date(datetime.date):
            year = property(lambda self: Date(2020, 1, 1))
        """)

        assert {:error, %Py.ConversionError{}} = Py.eval(context, "Date(2020, 1, 1)")
        assert Py.eval(context, "datetime.date(2020, 1, 2)") == {:ok, ~D[2020-01-02]}
      end

      test "an endless str() of an exception is interrupted like anything else", %{
        context: context
      } do
        Py.exec!(context, """
        class Endless(Exception):
            def __str__(self):
                while True: pass
        def f(): raise Endless
        """)

        assert {:error, %Py.TimeoutError{}} = Py.call(context, "__main__", :f, [], timeout: 100)
        assert Py.eval(context, "1") == {:ok, 1}
      end

      test "a module that prints megabytes", %{context: context} do
        code =
          "import sys, io\nold = sys.stdout\nsys.stdout = io.StringIO()\nprint('x' * 5_000_000)\nsys.stdout = old"

        assert Py.exec(context, code) == :ok
        assert Py.eval(context, "1") == {:ok, 1}
      end
    end
  end

  describe "contexts that are none" do
    test "give Py.ContextError" do
      dead = spawn(fn -> :ok end)
      eventually(fn -> not Process.alive?(dead) end)

      for context <- [
            dead,
            self(),
            0,
            -1,
            1_000_000,
            :nobody,
            {:global, :nobody},
            "text",
            1.5,
            %{}
          ] do
        assert {:error, %Py.ContextError{reason: :not_found, context: ^context} = error} =
                 Py.eval("1", context: context)

        assert Exception.message(error) =~ "Py.Context.list"
        assert {:error, %Py.ContextError{}} = Py.Context.info(context)
        assert {:error, %Py.ContextError{}} = Py.interrupt(context)
        assert_raise Py.ContextError, fn -> Py.Env.new(context: context) end
      end

      assert {:error, %Py.ContextError{}} = Py.Context.stop(dead)
      assert_raise Py.ContextError, fn -> Py.call!(dead, :math, :sqrt, [4]) end
    end
  end

  describe "misuse raises ArgumentError that names what is allowed" do
    test "tasks" do
      for run <- [&Py.await/1, &Py.yield/1, &Py.cancel/1, &Py.await_many([&1])] do
        assert_raise ArgumentError, "expected a task of Py.async, got: 5", fn -> run.(5) end
      end

      assert_raise ArgumentError, "expected a list of tasks, got: 5", fn -> Py.await_many(5) end
    end

    test "options" do
      assert_raise ArgumentError, ~r/unknown option :tiemout.*:timeout/, fn ->
        Py.call(:math, :sqrt, [4], tiemout: 1)
      end

      # The Erlang API has its own way to say so.
      for run <- [
            fn options -> Py.call(:math, :sqrt, [4], options) end,
            fn options -> Py.eval("1", options) end,
            fn options -> Py.parallel([], options) end,
            &Py.memory_stats/1,
            &Py.Setup.sync_env/1,
            &Py.Logging.configure/1
          ] do
        assert_raise ArgumentError, ~r/unknown option :dialect/, fn -> run.(dialect: :erlang) end
      end

      for timeout <- [-1, 1.5, "5", nil, 4_294_967_296, :never] do
        assert_raise ArgumentError, ~r/invalid :timeout.*milliseconds/, fn ->
          Py.eval("1", timeout: timeout)
        end
      end

      assert_raise ArgumentError, ~r/invalid :wait/, fn -> Py.eval("1", wait: -1) end
      assert_raise ArgumentError, ~r/invalid :return/, fn -> Py.eval("1", return: :handle) end
      assert_raise ArgumentError, ~r/invalid :return/, fn -> Py.exec("1", return: :handle) end
      assert_raise ArgumentError, ~r/invalid :locals/, fn -> Py.eval("1", locals: [1]) end

      assert_raise ArgumentError, ~r/invalid :kwargs/, fn ->
        Py.call(:math, :sqrt, [4], kwargs: 1)
      end

      assert_raise ArgumentError, ~r/either :context or :env/, fn ->
        Py.eval("1", env: Py.Env.new(), context: 1)
      end

      assert {:error, %Py.Error{type: "TypeError", message: message}} =
               Py.eval("__import__('erlang').call('name', x=1)")

      assert message =~ "no keyword arguments, got x"
      assert_raise ArgumentError, ~r/invalid :env/, fn -> Py.eval("1", env: :x) end
      assert_raise ArgumentError, ~r/keyword list/, fn -> Py.eval("1", %{timeout: 1}) end
      assert_raise ArgumentError, ~r/keyword list/, fn -> Py.eval("1", [:timeout]) end

      assert_raise ArgumentError, ~r/invalid :mode.*:owngil/, fn ->
        Py.Context.start_link(mode: :fast)
      end

      assert_raise ArgumentError, ~r/unknown option :moed.*:mode/, fn ->
        Py.Context.start_link(moed: :worker)
      end

      assert_raise ArgumentError, ~r/:max_queue/, fn -> Py.Context.start_link(max_queue: 0) end
    end

    test "modules, functions, arguments, code" do
      assert_raise ArgumentError, ~r/a module/, fn -> Py.call(nil, :sqrt, [4]) end
      assert_raise ArgumentError, ~r/a module/, fn -> Py.call(1, :sqrt, [4]) end
      assert_raise ArgumentError, ~r/a module/, fn -> Py.call("", :sqrt, [4]) end
      assert_raise ArgumentError, ~r/a function/, fn -> Py.call(:math, nil, [4]) end

      assert_raise ArgumentError, ~r/list of arguments/, fn ->
        apply(Py, :call, [:math, :sqrt, 4])
      end

      assert_raise ArgumentError, ~r/list of arguments/, fn ->
        apply(Py, :async, [:math, :sqrt, 4])
      end

      assert_raise ArgumentError, ~r/list of arguments/, fn ->
        apply(Py, :call, [:math, :sqrt, [4 | 5]])
      end

      assert_raise ArgumentError, ~r/code as a string/, fn -> apply(Py, :eval, [:code]) end
      assert_raise ArgumentError, ~r/code as a string/, fn -> Py.exec(~c"x = 1") end
    end

    test "tasks of other processes" do
      task = Py.async(:math, :sqrt, [4])

      Task.await(
        Task.async(fn ->
          assert_raise ArgumentError, ~r/only the process/, fn -> Py.await(task) end
        end)
      )

      assert Py.await(task) == {:ok, 2.0}
    end
  end

  describe "limits" do
    test "wait: 0 sheds load at once, others wait their turn" do
      %{max_concurrent: max} = Py.info()

      holders =
        for n <- 1..max do
          context = start_supervised!(Py.Context, id: n)
          Py.async(:time, :sleep, [0.3], context: context)
        end

      eventually(fn -> permits().in_use == max end)

      assert {:error, %Py.OverloadedError{current: ^max, max: ^max}} = Py.eval("1", wait: 0)
      assert {:error, %Py.OverloadedError{}} = Py.eval("1", wait: 20)
      assert {:error, %Py.OverloadedError{}} = Py.eval("1", timeout: 20)
      assert {:error, {:overloaded, ^max, ^max}} = Dialect.eval("1", wait: 0, dialect: :erlang)

      waiting = Task.async(fn -> Py.eval("1 + 1") end)
      eventually(fn -> permits().waiting > 0 end)
      Enum.each(holders, &Py.cancel/1)
      assert Task.await(waiting) == {:ok, 2}
      assert eventually(fn -> permits() == %{in_use: 0, waiting: 0} end)
    end
  end
end
