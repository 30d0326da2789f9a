defmodule Py.Callback.ChainsTest do
  use Py.Test.Case

  import Py.Test.Callback, only: [register: 2, works: 1]
  import Py.Test.Chains
  import Py.Test.Wait

  for mode <- modes() do
    describe "#{mode}: chains" do
      @describetag mode: mode

      for levels <- [10, 50, 200, 256] do
        test "of #{levels} levels on one context", %{ctx: ctx} do
          levels = unquote(levels)
          register_down("down", [ctx])
          assert {:ok, seen} = down(ctx, "down", levels)
          # One thread and one interpreter, those of the context.
          assert length(seen) == levels + 1
          assert Enum.uniq(seen) == [eval(ctx, "threading.get_ident(), id(sys.modules)")]
          # Each level went in once and out once, in order.
          ins = for n <- levels..0//-1, do: {"in", n}
          assert eval(ctx, "marks") == ins ++ for(n <- 0..levels, do: {"out", n})
          works(ctx)
        end
      end

      test "past the bound are a clear error", %{ctx: ctx} do
        register_down("down", [ctx])

        for levels <- [257, 400] do
          assert {:error, %Py.Error{type: "CallbackError", message: message}} =
                   down(ctx, "down", levels)

          assert message == "callbacks nested deeper than 256 levels"
        end

        # Without an end of its own.
        register("forever", fn -> Py.call!(ctx, :erlang, :call, ["forever"]) end)

        assert {:error, %Py.Error{message: "callbacks nested deeper than 256 levels"}} =
                 Py.call(ctx, :erlang, :call, ["forever"])

        assert {:ok, seen} = down(ctx, "down", 256)
        assert length(seen) == 257
        works(ctx)
      end

      test "a thousand at once on two contexts", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)

        for {name, ctx} <- [{"down1", ctx}, {"down2", other}] do
          Py.exec!(
            ctx,
            "import erlang\ndef down(name, n, x): return x if n == 0 else 1 + erlang.call(name, n, x)"
          )

          register(name, fn n, x ->
            Py.call!(ctx, "__main__", :down, [name, n - 1, x], timeout: 60_000)
          end)
        end

        tasks =
          for x <- 1..1_000 do
            {ctx, name} = if rem(x, 2) == 0, do: {ctx, "down1"}, else: {other, "down2"}

            Task.async(fn ->
              {Py.call(ctx, "__main__", :down, [name, 5, x], timeout: 60_000), mailbox()}
            end)
          end

        assert Task.await_many(tasks, 60_000) == for(x <- 1..1_000, do: {{:ok, x + 5}, []})
        works(ctx)
        works(other)
      end

      test "with a limit of one", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register_down("one", [ctx])
        register_down("two", [ctx, other])

        in_permits(1, fn ->
          tasks =
            for n <- 1..40 do
              name = if rem(n, 2) == 0, do: "one", else: "two"
              Task.async(fn -> down(ctx, name, 5) end)
            end

          for result <- Task.await_many(tasks, 60_000) do
            assert {:ok, seen} = result
            assert length(seen) == 6
          end
        end)

        works(ctx)
      end

      test "across two contexts", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register_down("both", [ctx, other])
        # Level 20 starts on `other`; odd ones are there, even ones on `ctx`.
        assert {:ok, seen} = down(ctx, "both", 20)

        [here, there] =
          for c <- [ctx, other], do: eval(c, "threading.get_ident(), id(sys.modules)")

        assert here != there
        assert Enum.frequencies(seen) == %{here => 11, there => 10}
        works(ctx)
        works(other)
      end

      test "across two contexts, in opposite directions at once", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        register_down("there", [ctx, other])
        register_down("back", [other, ctx])

        tasks =
          for n <- 1..200 do
            {ctx, name} = if rem(n, 2) == 0, do: {ctx, "there"}, else: {other, "back"}
            Task.async(fn -> down(ctx, name, 1 + rem(n, 7)) end)
          end

        for {n, result} <- Enum.zip(1..200, Task.await_many(tasks, 60_000)) do
          assert {:ok, seen} = result
          assert length(seen) == 2 + rem(n, 7)
        end

        works(ctx)
        works(other)
      end

      test "of two contexts that wait for each other go on", %{ctx: ctx, mode: mode} do
        other = start_supervised!({Py.Context, mode: mode}, id: :other)
        me = self()

        # Each chain holds its context until the other one does, too.
        register("meet", fn context ->
          send(me, {:holds, self()})
          assert_receive :go, 10_000
          Py.eval!(context, "6 * 7", timeout: 10_000)
        end)

        for c <- [ctx, other], do: Py.exec!(c, "import erlang")

        tasks =
          for {c, wanted} <- [{ctx, other}, {other, ctx}] do
            Task.async(fn -> Py.call(c, :erlang, :call, ["meet", wanted]) end)
          end

        for _ <- 1..2, do: assert_receive({:holds, _pid}, 10_000)
        for task <- tasks, do: send(task.pid, :go)
        assert Task.await_many(tasks, 30_000) == [{:ok, 42}, {:ok, 42}]
        works(ctx)
      end

      test "of Tasks that a function starts", %{ctx: ctx} do
        register("fan", fn n ->
          1..n
          |> Enum.map(&Task.async(fn -> eval(ctx, "n * n", %{n: &1}) end))
          |> Task.await_many()
        end)

        register("stream", fn n ->
          1..n
          |> Task.async_stream(&eval(ctx, "n * n", %{n: &1}), max_concurrency: 4)
          |> Enum.map(fn {:ok, value} -> value end)
        end)

        # Tasks of Tasks, and callbacks of theirs.
        register("deep", fn n ->
          fn -> Task.async(fn -> eval(ctx, "erlang.fan(n)", %{n: n}) end) |> Task.await() end
          |> Task.async()
          |> Task.await()
        end)

        Py.exec!(ctx, "import erlang")
        squares = for n <- 1..20, do: n * n

        for name <- ["fan", "stream", "deep"] do
          assert eval(ctx, "erlang.call(name, 20)", %{name: name}) == squares
          assert Py.await(Py.async(:erlang, :call, [name, 20], context: ctx)) == {:ok, squares}
        end

        in_permits(1, fn -> assert eval(ctx, "erlang.deep(20)") == squares end)
        works(ctx)
      end

      test "of Tasks of the default pool" do
        register("fan", fn n ->
          1..n
          |> Task.async_stream(&Py.eval!("n * n", locals: %{n: &1}), timeout: 60_000)
          |> Enum.map(fn {:ok, value} -> value end)
        end)

        squares = for n <- 1..8, do: n * n

        tasks =
          for _ <- 1..40 do
            Task.async(fn ->
              Py.exec!("import erlang\ndef fan(n): return erlang.fan(n)")
              Py.eval!("fan(8)", timeout: 60_000)
            end)
          end

        assert Task.await_many(tasks, 60_000) == List.duplicate(squares, 40)
        assert permits() == %{in_use: 0, waiting: 0}
      end

      test "let strangers wait their turn", %{ctx: ctx} do
        me = self()
        Py.exec!(ctx, "order = []")

        register("slow", fn ->
          send(me, {:in_function, self()})
          assert_receive :go, 10_000
          Py.exec!(ctx, "order.append('nested')")
        end)

        chain =
          Task.async(fn ->
            Py.exec!(ctx, "import erlang; erlang.slow(); order.append('chain')")
          end)

        assert_receive {:in_function, pid}, 10_000
        stranger = Task.async(fn -> Py.exec!(ctx, "order.append('stranger')") end)
        assert eventually(fn -> match?({:ok, %{queued: 1}}, Py.Context.info(ctx)) end)
        send(pid, :go)
        assert Task.await_many([chain, stranger]) == [:ok, :ok]
        assert eval(ctx, "order") == ["nested", "chain", "stranger"]
      end
    end
  end
end
