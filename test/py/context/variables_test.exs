defmodule Py.Context.VariablesTest do
  # Context variables: what one process sets, another does not see.
  use ExUnit.Case, async: true

  import Py.Test.Wait

  @preload """
  import contextvars, decimal, builtins
  var = contextvars.ContextVar("var", default="default")
  preloaded = contextvars.ContextVar("preloaded")
  preloaded.set("by preload")
  """

  for mode <- Py.Test.Case.modes() do
    describe "#{mode}:" do
      setup do
        context = start_supervised!({Py.Context, mode: unquote(mode), preload: @preload})
        pool = :"variables_#{System.unique_integer([:positive])}"

        {:ok, _contexts} =
          Py.Router.start_pool(pool, 1, mode: unquote(mode), preload: @preload)

        on_exit(fn -> Py.Router.stop_pool(pool) end)
        %{context: context, pool: pool}
      end

      test "a process keeps what it sets, and others do not see it", %{pool: pool} do
        assert Py.eval!("var.set('mine') and var.get()", context: pool) == "mine"
        assert Py.eval!("var.get()", context: pool) == "mine"
        assert other(fn -> Py.eval!("var.get()", context: pool) end) == "default"
        assert other(fn -> Py.eval!("[var.set(5), var.get()][1]", context: pool) end) == 5
        assert other(fn -> Py.eval!("var.get()", context: pool) end) == "default"
        assert Py.eval!("var.get()", context: pool) == "mine"
      end

      test "so do calls, and the settings of decimal", %{pool: pool} do
        Py.exec!("def third(): return str(decimal.Decimal(1) / 3)", context: pool)
        Py.exec!("decimal.getcontext().prec = 3", context: pool)
        assert Py.call!(:__main__, :third, [], context: pool) == "0.333"
        context = Py.call!(:decimal, :getcontext, [], context: pool, return: :object)

        assert other(fn ->
                 assert Py.eval!("str(decimal.Decimal(1) / 7)", context: pool) =~ ~r/^0\.\d{28}$/
                 Py.call!(:decimal, :setcontext, [context], context: pool)
                 Py.call!(:decimal, :getcontext, [], context: pool) |> inspect()
               end) =~ "prec=3"

        assert Py.eval!("str(decimal.Decimal(1) / 7)", context: pool) == "0.143"
      end

      test "what preload code and the context's own code set, all see that have set nothing", %{
        context: context,
        pool: pool
      } do
        assert Py.eval!("preloaded.get()", context: pool) == "by preload"
        assert Py.eval!(context, "preloaded.get()") == "by preload"
        [member] = Py.Router.contexts(pool)
        assert Py.eval!("[var.set(1), preloaded.get()][1]", context: pool) == "by preload"
        Py.exec!(member, "preloaded.set('by the context')")
        assert other(fn -> Py.eval!("preloaded.get()", context: pool) end) == "by the context"
        assert Py.eval!("preloaded.get()", context: pool) == "by preload"
        assert Py.eval!(member, "var.get()") == "default"
      end

      test "nested requests leave the values as they were", %{pool: pool} do
        [member] = Py.Router.contexts(pool)

        Py.register_function(:variables_nested, fn ->
          inner = Py.eval!("[var.get(), var.set('inner')][0]", context: pool)

          {inner, Py.eval!(member, "[var.get(), var.set('of the context')][0]"),
           Py.eval!("var.get()", context: pool)}
        end)

        code = """
        var.set('outer')
        answer = erlang.call('variables_nested')
        """

        Py.exec!(code, context: pool)
        assert Py.eval!("answer", context: pool) == {"outer", "default", "inner"}
        assert Py.eval!("var.get()", context: pool) == "inner"
        assert Py.eval!(member, "var.get()") == "of the context"
        assert other(fn -> Py.eval!("var.get()", context: pool) end) == "of the context"
        Py.unregister_function(:variables_nested)
      end

      test "a nested request in the context's own values, in the midst of them", %{
        context: context
      } do
        Py.register_function(:variables_again, fn ->
          Py.eval!(context, "[var.get(), var.set('changed')][0]")
        end)

        code = "var.set('outer'); answer = erlang.call('variables_again')"
        Py.exec!(context, code)
        assert Py.eval!(context, "[answer, var.get()]") == ["outer", "changed"]
        Py.unregister_function(:variables_again)
      end

      test "an environment has the values of its caller", %{pool: pool} do
        [member] = Py.Router.contexts(pool)
        env = Py.Env.new(context: member)
        Py.exec!("var.set('mine')", env: env)
        assert Py.eval!("var.get()", env: env) == "mine"
        assert other(fn -> Py.eval!("var.get()", env: env) end) == "default"
      end

      test "they go with their process", %{pool: pool} do
        [member] = Py.Router.contexts(pool)

        Py.exec!(member, """
        builtins.gone = []
        class Value:
            def __del__(self): builtins.gone.append(1)
        """)

        other(fn -> Py.exec!("var.set(Value())", context: pool) end)
        eventually(fn -> Py.eval!(member, "len(builtins.gone)") == 1 end)
        Py.exec!(member, "del builtins.gone")
      end

      test "also where nobody calls the context any more", %{pool: pool} do
        code = """
        class Value:
            def __del__(self, receiver=receiver): erlang.send(receiver, "gone")
        var.set(Value())
        """

        receiver = self()
        other(fn -> Py.exec!(code, context: pool, locals: %{receiver: receiver}) end)
        assert_receive "gone"
      end

      # Outer process, the context's values, outer process again: its values are entered twice.
      test "a nested request sees what the outer one has set, and the other way round", %{
        pool: pool
      } do
        [member] = Py.Router.contexts(pool)
        names = for n <- [:one, :two, :gone], do: "variables_#{n}_#{inspect(self())}"
        [one, two, gone] = names
        test = self()
        Py.register_function(one, fn -> Py.eval!(member, "erlang.call('#{two}')") end)

        Py.register_function(two, fn ->
          Py.eval!("[var.get().name, var.set(Value('inner')), preloaded.set(2)][0]",
            context: pool
          )
        end)

        Py.register_function(gone, fn name ->
          send(test, {:gone, name})
          Py.eval!(member, "1")
        end)

        Py.exec!(
          """
          class Value:
              def __init__(self, name): self.name = name
              def __del__(self):
                  if self.name == 'outer': erlang.call('#{gone}', self.name)
          """,
          context: pool
        )

        code =
          "[var.set(Value('outer')), erlang.call('#{one}'), var.get().name, preloaded.get()][1:]"

        assert Py.eval!(code, context: pool) == ["outer", "inner", 2]
        assert Py.eval!("var.get().name", context: pool) == "inner"
        assert_received {:gone, "outer"}
        # Again, with values of its own from the start.
        assert Py.eval!(code, context: pool) == ["outer", "inner", 2]
        assert Py.eval!("[var.get().name, preloaded.get()]", context: pool) == ["inner", 2]
        assert Py.eval!(member, "[var.get(), preloaded.get()]") == ["default", "by preload"]
        Enum.each(names, &Py.unregister_function/1)
      end

      # Process, context, process, context, process: the third time a set is needed, a copy of it has its values.
      test "no change is lost five levels deep over two namespaces", %{pool: pool} do
        [member] = Py.Router.contexts(pool)
        names = for level <- 1..5, do: "level_#{level}_#{inspect(self())}"
        places = [[context: pool], [context: member], [context: pool], [context: member]]
        Py.exec!(member, "builtins.seen = []")

        # Each level notes what it finds, sets a value of its own, and notes what the levels below have left.
        code = fn level ->
          "seen.append(var.get()); var.set('level #{level}'); " <>
            "erlang.call('#{Enum.at(names, level)}'); seen.append(var.get())"
        end

        for {place, level} <- Enum.with_index(tl(places), 2) do
          name = Enum.at(names, level - 1)
          Py.register_function(name, fn -> Py.exec!(code.(level), place) end)
        end

        Py.register_function(Enum.at(names, 4), fn ->
          Py.exec!("seen.append(var.get()); var.set('level 5')", context: pool)
        end)

        Py.exec!(code.(1), context: pool)

        assert Py.eval!(member, "seen") == [
                 "default",
                 "default",
                 "level 1",
                 "level 2",
                 "level 3",
                 "level 4",
                 "level 5",
                 "level 4",
                 "level 5"
               ]

        assert Py.eval!("var.get()", context: pool) == "level 5"
        assert Py.eval!(member, "var.get()") == "level 4"
        assert other(fn -> Py.eval!("var.get()", context: pool) end) == "level 4"
        Py.exec!(member, "del builtins.seen")
        Enum.each(names, &Py.unregister_function/1)
      end

      test "a process that has only nested requests keeps nothing of others", %{pool: pool} do
        [member] = Py.Router.contexts(pool)
        name = "variables_nests_#{inspect(self())}"
        Py.register_function(name, fn -> Py.eval!(member, "1") end)
        assert Py.eval!("erlang.call('#{name}')", context: pool) == 1

        assert other(fn -> Py.eval!("[var.set('theirs'), var.get()][1]", context: pool) end) ==
                 "theirs"

        assert Py.eval!("var.get()", context: pool) == "default"
        Py.unregister_function(name)
      end

      # What both have while they have set nothing is the same copy.
      test "two processes share a set of context variables until one sets something", %{
        pool: pool
      } do
        [one, two] = for id <- [:one, :two], do: start_supervised!({Agent, fn -> nil end}, id: id)
        get = fn pid, code -> Agent.get(pid, fn _ -> Py.eval!(code, context: pool) end) end
        assert {get.(one, "var.get()"), get.(two, "var.get()")} == {"default", "default"}
        assert get.(two, "[var.set('of two'), var.get()][1]") == "of two"
        assert {get.(one, "var.get()"), get.(two, "var.get()")} == {"default", "of two"}
        assert get.(one, "[var.set('of one'), var.get()][1]") == "of one"
        assert {get.(one, "var.get()"), get.(two, "var.get()")} == {"of one", "of two"}
        assert other(fn -> Py.eval!("var.get()", context: pool) end) == "default"
      end

      test "what is undone leaves nothing", %{pool: pool} do
        code =
          "with decimal.localcontext() as local:\n    local.prec = 2\n    answer = str(decimal.Decimal(1) / 3)"

        Py.exec!(code, context: pool)

        assert Py.eval!("[answer, str(decimal.Decimal(1) / 3)]", context: pool) == [
                 "0.33",
                 "0." <> String.duplicate("3", 28)
               ]
      end

      test "coroutines and threads run by a request see its values", %{pool: pool} do
        Py.exec!("import asyncio, contextvars\nvar.set('mine')", context: pool)
        Py.exec!("async def look(): return var.get()", context: pool)
        assert Py.eval!("asyncio.run(look())", context: pool) == "mine"
        assert Py.eval!("contextvars.copy_context().run(var.get)", context: pool) == "mine"
      end
    end
  end

  defp other(work), do: work |> Task.async() |> Task.await()
end
