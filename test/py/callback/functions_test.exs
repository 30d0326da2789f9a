defmodule Py.Callback.FunctionsTest do
  use Py.Test.Case

  import Py.Test.Callback
  import Py.Test.Wait

  alias Py.Test.Dialect

  def add(a, b), do: a + b

  for mode <- modes() do
    describe "#{mode}: functions" do
      @describetag mode: mode

      test "are called by name, as attributes and after an import", %{ctx: ctx} do
        register("double", &(2 * &1))
        register(:sum3, fn a, b, c -> a + b + c end)
        register("none", fn -> nil end)
        register("pair", {__MODULE__, :add})
        Py.exec!(ctx, "import erlang\nfrom erlang import double as twice, sum3")
        assert eval(ctx, "erlang.call('double', 4)") == 8
        assert eval(ctx, "erlang.call(erlang.atom('double'), 4)") == 8
        assert eval(ctx, "erlang.double(5) + twice(6)") == 22
        assert eval(ctx, "sum3(1, 2, 3), erlang.call('sum3', *[4, 5, 6])") == {6, 15}
        assert eval(ctx, "erlang.none() is None") == true
        assert eval(ctx, "erlang.pair(20, 22)") == 42
        assert Py.call(ctx, :erlang, :call, ["double", 21]) == {:ok, 42}
        assert Py.call(ctx, :erlang, "double", [21]) == {:ok, 42}
      end

      test "are found as they are registered now", %{ctx: ctx} do
        Py.exec!(ctx, "import erlang")
        register("version", fn -> 1 end)
        Py.exec!(ctx, "from erlang import version")
        assert eval(ctx, "version(), erlang.version()") == {1, 1}
        register(:version, fn -> 2 end)
        assert eval(ctx, "version(), erlang.version()") == {2, 2}
        assert Py.unregister_function(:version) == :ok
        assert Py.unregister_function("version") == :ok
        assert %Py.Error{type: "AttributeError"} = error(ctx, "erlang.version")
        assert %Py.Error{type: "CallbackError"} = error(ctx, "version()")
      end

      test "that nobody registered", %{ctx: ctx} do
        assert {"error", reason, "", true, reason} = caught(ctx, "erlang.call('nobody', 1)")
        assert reason =~ ~s(no function is registered as "nobody"; register it with)

        assert %Py.Error{type: "AttributeError", message: message} = error(ctx, "erlang.nobody")
        assert message =~ "module 'erlang' has no attribute 'nobody'"

        assert {:error, %Py.Error{type: "ImportError", notes: [note]} = error} =
                 Py.exec(ctx, "from erlang import nobody")

        assert error.message =~ "cannot import name 'nobody' from 'erlang'"
        assert note =~ "no function is registered under that name; Py.register_function/2"
        assert {"error", reason, _, true, _} = caught(ctx, "erlang.call(5)")
        assert reason =~ "no function is registered as 5"
        assert {"error", _, _, true, _} = caught(ctx, "erlang.call('')")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.call()")
        works(ctx)
      end

      test "must be functions, and names names" do
        for wrong <- [1, "f", {String, "upcase"}, {1, :f}, nil] do
          assert_raise ArgumentError, ~r/expected a function or {module, function}/, fn ->
            Py.register_function("wrong", wrong)
          end
        end

        for wrong <- ["", nil, true, 1, ~c"name"] do
          assert_raise ArgumentError, ~r/expected a name as an atom or a string/, fn ->
            Py.register_function(wrong, fn -> 1 end)
          end
        end
      end

      test "passed as arguments are called like any other", %{ctx: ctx} do
        assert eval(ctx, "list(map(f, [1, 2, 3]))", %{f: &(&1 * &1)}) == [1, 4, 9]
        assert eval(ctx, "f(1, 2)", %{f: &__MODULE__.add/2}) == 3
        Py.exec!(ctx, "def apply_to(f, *args): return f(*args)")
        secret = make_ref()
        assert Py.call(ctx, "__main__", :apply_to, [fn -> secret end]) == {:ok, secret}

        assert Py.call(ctx, :builtins, :sorted, [[3, 1, 2]], kwargs: [key: &(-&1)]) ==
                 {:ok, [3, 2, 1]}

        # A function that Python returns is the same function, and one that Python kept still works.
        Py.exec!(ctx, "kept = f", locals: %{f: &(&1 + 1)})
        assert eval(ctx, "(kept := f)(1)", %{f: &(&1 + 1)}) == 2
        Py.exec!(ctx, "def keep(f):\n  global kept\n  kept = f")
        Py.call!(ctx, "__main__", :keep, [&(&1 + 2)])
        assert eval(ctx, "kept(40)") == 42
        assert eval(ctx, "kept").(40) == 42
        assert eval(ctx, "__import__('erlang').call(kept, 40)") == 42
      end

      test "values in both directions", %{ctx: ctx} do
        me = self()
        register("seen", fn value -> tell(me, {:seen, value}, value) end)

        values = [
          nil,
          true,
          0,
          -(2 ** 100),
          2 ** 70,
          1.5,
          "text, ünï",
          <<0, 255>>,
          [],
          [1, [2, "three"]],
          {1, {}, nil},
          %{"a" => %{1 => [2]}},
          MapSet.new([1, 2]),
          [:nan, :infinity, :neg_infinity],
          ~D[2026-01-31],
          ~U[2026-01-31 12:00:00Z],
          me,
          make_ref(),
          :crypto.strong_rand_bytes(100_000)
        ]

        for value <- values do
          assert eval(ctx, "__import__('erlang').call('seen', x)", %{x: value}) == value
          assert_received {:seen, ^value}
        end

        assert eval(ctx, "__import__('erlang').call('seen', __import__('erlang').atom('ok'))") ==
                 "ok"

        assert_received {:seen, :ok}
        assert %Py.Object{} = eval(ctx, "__import__('erlang').call('seen', object())")
        assert_received {:seen, %Py.Object{type: "object"}}
      end

      test "objects come back as themselves", %{ctx: ctx} do
        register("same", & &1)
        Py.exec!(ctx, "import erlang\nclass Thing: pass\nthing = Thing()")
        assert eval(ctx, "erlang.same(thing) is thing") == true
        assert eval(ctx, "erlang.same([thing, {'k': thing}])[1]['k'] is thing") == true
      end

      test "in the Erlang dialect", %{ctx: ctx} do
        me = self()
        register("seen", fn value -> tell(me, {:seen, value}, {:ok, [value, :none]}) end)
        options = [context: ctx, dialect: :erlang]

        assert Dialect.eval("__import__('erlang').call('seen', None)", options) ==
                 {:ok, {"ok", [:none, :none]}}

        assert_received {:seen, :none}

        assert {:error, {:CallbackError, text}} =
                 Dialect.eval("__import__('erlang').call('nobody')", options)

        assert to_string(text) =~ "no function is registered"
        works(ctx)
      end

      test "arguments without a counterpart are an error before anything runs", %{ctx: ctx} do
        register("seen", fn value -> value end)
        Py.exec!(ctx, "import erlang\nloop = []\nloop.append(loop)")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.seen(loop)")
        assert %Py.Error{type: "TypeError", message: text} = error(ctx, "erlang.seen('\\ud800')")
        assert text =~ "surrogates"
        works(ctx)
      end

      test "messages: send, self, whereis", %{ctx: ctx} do
        Py.exec!(ctx, "import erlang")
        assert eval(ctx, "erlang.self()") == self()
        assert eval(ctx, "erlang.self() == pid", %{pid: self()}) == true
        value = {"text", 2 ** 80, [nil, 1.5], %{"k" => make_ref()}}
        assert eval(ctx, "erlang.send(pid, value)", %{pid: self(), value: value}) == nil
        assert_received ^value
        Py.exec!(ctx, "for n in range(1000): erlang.send(erlang.self(), n)")
        for n <- 0..999, do: assert_received(^n)

        name = :"receiver_#{System.unique_integer([:positive])}"
        Process.register(self(), name)
        assert eval(ctx, "erlang.whereis(name)", %{name: name}) == self()
        assert eval(ctx, "erlang.whereis('no such name, no such atom')") == nil
        Process.unregister(name)
        assert eval(ctx, "erlang.whereis(name)", %{name: name}) == nil

        dead = spawn(fn -> :ok end)
        monitor = Process.monitor(dead)
        assert_receive {:DOWN, ^monitor, _, _, _}
        assert %Py.Error{type: "ProcessError"} = error(ctx, "erlang.send(pid, 1)", %{pid: dead})
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.send('pid', 1)")
        assert %Py.Error{type: "TypeError"} = error(ctx, "erlang.send(erlang.self())")
        assert mailbox() == []
      end

      test "self in a function is the process that waits for Python", %{ctx: ctx} do
        register("who", fn -> {self(), eval(ctx, "__import__('erlang').self()")} end)
        assert eval(ctx, "__import__('erlang').who()") == {self(), self()}

        task = Task.async(fn -> {self(), eval(ctx, "__import__('erlang').who()")} end)
        assert {pid, {pid, pid}} = Task.await(task)
      end
    end
  end
end
