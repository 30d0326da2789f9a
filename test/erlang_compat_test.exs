defmodule ErlangCompatTest do
  # What programs of the Erlang API rely on beyond values: messages, timeouts, names, failures.
  use ExUnit.Case, async: false

  import Py.Test.Case, only: [modes: 0]
  import Py.Test.Wait

  alias Py.Test.Peer

  @moduletag :capture_log

  describe "spawn_call" do
    test "answers with {py_response, Ref, Result}, whatever happens" do
      ok = :py.spawn_call(:math, :sqrt, [16])
      failed = :py.spawn_call(:math, :sqrt, [-1])
      assert_receive {:py_response, ^ok, {:ok, 4.0}}, 5_000
      assert_receive {:py_response, ^failed, {:error, {:ValueError, _text}}}, 5_000
      nowhere = :py.spawn_call(:no_such_pool, :math, :sqrt, [16])
      assert_receive {:py_response, ^nowhere, {:error, {:no_such_pool, :no_such_pool}}}, 5_000
      assert mailbox() == []
    end

    test "sees the names of the caller, and goes on when that ends" do
      key = "habit_#{System.unique_integer([:positive])}"
      test = self()

      spawn(fn ->
        :ok =
          :py.exec(
            "import erlang, time\ndef late(key):\n  time.sleep(0.05)\n  erlang.state_set(key, 1)"
          )

        :py.spawn_call(:__main__, :late, [key])
        send(test, :ended)
      end)

      assert_receive :ended, 5_000
      assert eventually(fn -> :py_state.fetch(key) == {:ok, 1} end)
      :py_state.remove(key)
    end

    test "is refused, and interrupted, with an answer" do
      {:ok, ctx} = :py_context.new(%{max_queue: 1})
      :ok = :py.exec(ctx, "def forever():\n  while True: pass")
      running = :py.spawn_call(ctx, :__main__, :forever, [])
      until_running(ctx)
      refused = :py.spawn_call(ctx, :math, :sqrt, [16])
      assert_receive {:py_response, ^refused, {:error, {:overloaded, 1, 1}}}, 5_000
      assert :py.interrupt(ctx) == :ok
      assert :py.await(running) == {:error, :interrupted}
      assert :py.await(:py.spawn_call(ctx, :math, :sqrt, [16])) == {:ok, 4.0}
      :py_context.stop(ctx)
    end

    test "runs functions of Erlang" do
      :ok = :py.register_function(:habit, fn [n] -> elem(:py.eval("#{n} + 1"), 1) end)
      assert :py.await(:py.spawn_call(:erlang, :call, [:habit, 41])) == {:ok, 42}
      :ok = :py.unregister_function(:habit)
    end
  end

  for mode <- modes() do
    describe "#{mode}: names" do
      setup do
        {:ok, ctx} = :py_context.new(%{mode: unquote(mode)})
        %{ctx: ctx}
      end

      test "of a process are its own", %{ctx: ctx} do
        :ok = :py_context.exec(ctx, "base = 1")
        :ok = :py.exec(ctx, "base += 1\nmine = 1")
        assert :py.eval(ctx, "(base, mine)") == {:ok, {2, 1}}
        assert :py_context.eval(ctx, "base") == {:ok, 1}
        other = Task.async(fn -> {:py.eval(ctx, "base"), :py.eval(ctx, "mine")} end)
        assert {{:ok, 1}, {:error, {:NameError, _text}}} = Task.await(other)
        assert :py_context.eval(ctx, "mine", %{}, :infinity, :py.get_local_env(ctx)) == {:ok, 1}
      end

      test "of a function's requests are those of the call it serves", %{ctx: ctx} do
        :ok = :py.exec(ctx, "who = 'process'")
        :ok = :py_context.exec(ctx, "who = 'context'")
        {:ok, env} = :py_context.create_local_env(ctx)
        :ok = :py_context.exec(ctx, "who = 'env'", env)

        :ok =
          :py.register_function(:who, fn [] ->
            [elem(:py.eval("who"), 1), elem(:py.eval(ctx, "who"), 1)]
          end)

        call = "__import__('erlang').who()"
        assert :py.eval(ctx, call) == {:ok, ["process", "process"]}
        assert :py_context.eval(ctx, call) == {:ok, ["context", "context"]}
        assert :py_context.eval(ctx, call, %{}, 5_000, env) == {:ok, ["env", "env"]}
        :ok = :py.unregister_function(:who)
      end
    end

    describe "#{mode}: functions" do
      test "take and return values of Erlang, whoever called Python" do
        {:ok, ctx} = :py_context.new(%{mode: unquote(mode)})
        test = self()

        :ok =
          :py.register_function(:told, fn args ->
            send(test, {:told, args})
            :none
          end)

        code = "(told(None, {1}), told('a'))"
        assert :py_context.eval(ctx, "__import__('erlang').told(None, {1})") == {:ok, :none}
        assert_receive {:told, [:none, %{1 => []}]}
        assert Py.eval(ctx, code, locals: %{told: fn x -> x end}) |> elem(0) == :error
        assert Py.eval(ctx, "__import__('erlang').told(None)") == {:ok, nil}
        assert_receive {:told, [:none]}

        :ok =
          :py_context.exec(
            ctx,
            "import threading, erlang\nthread = threading.Thread(target=erlang.told, args=(None,))"
          )

        :ok = :py_context.exec(ctx, "thread.start(); thread.join()")
        assert_receive {:told, [:none]}
        :ok = :py.unregister_function(:told)
      end

      test "that fail raise a RuntimeError" do
        {:ok, ctx} = :py_context.new(%{mode: unquote(mode)})
        :ok = :py.register_function(:fails, fn [] -> :erlang.error(:nope) end)

        :ok =
          :py_context.exec(
            ctx,
            "import erlang\ntry: erlang.fails()\nexcept RuntimeError as error: told = str(error)"
          )

        assert {:ok, told} = :py_context.eval(ctx, "told")
        assert told =~ "nope"
        :ok = :py.unregister_function(:fails)
      end
    end
  end

  test "a cast that fails is logged, with its class" do
    log =
      ExUnit.CaptureLog.capture_log(fn ->
        :ok = :py.cast(:math, :sqrt, [-1])
        # After it on the same context.
        assert :py.eval("1") == {:ok, 1}
        :sys.get_state(Py.Cast)
      end)

    assert log =~ "Py.cast failed: ValueError"
  end

  test "a bound context that ends is forgotten" do
    {:ok, own} = :py_context.new(%{})
    :ok = :py_context_router.bind_context(own)
    assert :py_context_router.get_context() == own
    :ok = :py_context.stop(own)
    assert :py.eval("1") == {:ok, 1}
    assert :py_context_router.get_context() in :py_context_router.contexts()
  end

  test "a context that cannot start does not take its caller along" do
    assert {:error, {:start_failed, "ZeroDivisionError" <> _}} =
             :py_context.new(%{preload: "1 // 0"})

    assert Process.info(self(), :links) == {:links, []}
  end

  test "the application and the router stop and start in one VM" do
    peer = Peer.start([])
    {:ok, _started} = Peer.start_python(peer, num_contexts: 2)
    call = &Peer.call(peer, &1, &2, &3)
    {:ok, main} = call.(:py, :eval, ["id(__import__('sys').modules)"])

    for _ <- 1..3 do
      assert call.(:application, :stop, [:erlang_python]) == :ok
      not_running = {:error, {:context_died, :not_running}}
      assert call.(:py, :eval, ["1"]) == not_running
      assert call.(:py_context, :new, [%{}]) == not_running
      assert call.(:py_context, :start_link, [1, :worker]) == not_running
      assert call.(:py_context_router, :start, []) == not_running
      assert call.(:py_context_router, :start_pool, [:ml, 2]) == not_running
      assert call.(:py_context_router, :start_link, [:ml, 2, :worker]) == not_running
      assert call.(:application, :start, [:erlang_python]) == :ok
      assert call.(:py, :call, [:math, :sqrt, [16]]) == {:ok, 4.0}
      # The interpreter is the same one.
      assert call.(:py, :eval, ["id(__import__('sys').modules)"]) == {:ok, main}
    end

    for n <- [1, 3, 2] do
      assert call.(:py_context_router, :stop, []) == :ok
      assert call.(:py, :eval, ["1"]) == {:error, {:context_died, :not_found}}
      assert {:ok, contexts} = call.(:py_context_router, :start, [%{contexts: n}])
      assert length(contexts) == n
      assert call.(:py, :call, [:math, :sqrt, [16]]) == {:ok, 4.0}
    end

    :peer.stop(peer)
  end

  test "preloaded code may be set before the application starts, and state may be full" do
    peer = Peer.start([])
    assert Peer.call(peer, :py_preload, :set_code, [~c"answer = 42"]) == :ok
    assert Peer.call(peer, :py_preload, :get_code, []) == "answer = 42"

    {:ok, _started} =
      Peer.start_python(peer, max_state_entries: 1, imports: [{:json, :dumps}, "math"])

    assert Peer.call(peer, :py, :eval, ["json.dumps(math.floor(answer))"]) == {:ok, "42"}
    assert Peer.call(peer, :py_import, :all_imports, []) == [{"json", "dumps"}, {"math", :all}]
    assert Peer.call(peer, :py_state, :store, [:a, 1]) == :ok
    assert Peer.call(peer, :py_state, :store, [:b, 1]) == {:error, :full}
    assert Peer.call(peer, :py_state, :incr, [:b]) == {:error, :full}
    assert Peer.call(peer, :py_state, :incr, [:a]) == 2
    :peer.stop(peer)
  end
end
