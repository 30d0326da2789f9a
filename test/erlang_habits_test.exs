defmodule ErlangHabitsTest do
  # What programs of the Erlang API rely on beyond values: messages, timeouts, names, failures.
  use ExUnit.Case, async: false

  import Py.Case, only: [modes: 0]
  import Py.Test.Wait

  alias Py.Test.Peer

  @moduletag :capture_log

  @junk [
          42.5,
          -1,
          10 ** 30,
          [:a | :b],
          <<1::3>>,
          {:a, :b, :c},
          %{"a" => 1},
          %{1 => 2},
          nil,
          :undefined
        ] ++
          ["", "text", <<255, 254>>, [], [1, 2], [-1], [[:a]], ~c"text"]

  # {function, kinds of its arguments}; an instance of each kind is in `value/2`.
  @functions [
    {{:py, :call}, [:name, :name, :args]},
    {{:py, :call}, [:name, :name, :args, :map]},
    {{:py, :call}, [:context, :name, :name, :args]},
    {{:py, :call}, [:pool, :name, :name, :args]},
    {{:py, :call}, [:name, :name, :args, :map, :timeout]},
    {{:py, :call}, [:context, :name, :name, :args, :options]},
    {{:py, :call}, [:pool, :name, :name, :args, :map]},
    {{:py, :eval}, [:code]},
    {{:py, :eval}, [:code, :map]},
    {{:py, :eval}, [:context, :code]},
    {{:py, :eval}, [:code, :map, :timeout]},
    {{:py, :eval}, [:context, :code, :map]},
    {{:py, :exec}, [:code]},
    {{:py, :exec}, [:context, :code]},
    {{:py, :cast}, [:name, :name, :args]},
    {{:py, :cast}, [:name, :name, :args, :map]},
    {{:py, :cast}, [:place, :name, :name, :args]},
    {{:py, :cast}, [:place, :name, :name, :args, :map]},
    {{:py, :spawn_call}, [:name, :name, :args]},
    {{:py, :spawn_call}, [:name, :name, :args, :map]},
    {{:py, :spawn_call}, [:context, :name, :name, :args]},
    {{:py, :spawn_call}, [:context, :name, :name, :args, :map]},
    {{:py, :await}, [:reference]},
    {{:py, :await}, [:reference, :timeout]},
    {{:py, :parallel}, [:calls]},
    {{:py, :register_function}, [:name, :fun]},
    {{:py, :register_function}, [:name, :atom, :atom]},
    {{:py, :unregister_function}, [:name]},
    {{:py, :call_method}, [:object, :name, :args]},
    {{:py, :getattr}, [:object, :name]},
    {{:py, :to_term}, [:object]},
    {{:py, :context}, [:index_or_pool]},
    {{:py, :start_contexts}, [:options]},
    {{:py, :keep_tracebacks}, [:boolean]},
    {{:py, :interrupt}, [:context]},
    {{:py, :get_local_env}, [:context]},
    {{:py, :register_pool}, [:pool, :name]},
    {{:py, :unregister_pool}, [:name]},
    {{:py, :state_fetch}, [:any]},
    {{:py, :state_store}, [:any, :any]},
    {{:py, :state_remove}, [:any]},
    {{:py, :state_incr}, [:any]},
    {{:py, :state_incr}, [:any, :integer]},
    {{:py, :state_decr}, [:any]},
    {{:py, :state_decr}, [:any, :integer]},
    {{:py, :gc}, [:generation]},
    {{:py, :tracemalloc_start}, [:positive]},
    {{:py, :reload}, [:name]},
    {{:py, :configure_logging}, [:options]},
    {{:py_context, :start_link}, [:any, :mode]},
    {{:py_context, :start_link}, [:any, :mode, :options]},
    {{:py_context, :new}, [:options]},
    {{:py_context, :child_spec}, [:options]},
    {{:py_context, :stop}, [:context]},
    {{:py_context, :destroy}, [:context]},
    {{:py_context, :call}, [:context, :name, :name, :args]},
    {{:py_context, :call}, [:context, :name, :name, :args, :map]},
    {{:py_context, :call}, [:context, :name, :name, :args, :map, :timeout]},
    {{:py_context, :call}, [:context, :name, :name, :args, :map, :timeout, :env]},
    {{:py_context, :eval}, [:context, :code]},
    {{:py_context, :eval}, [:context, :code, :map]},
    {{:py_context, :eval}, [:context, :code, :map, :timeout]},
    {{:py_context, :eval}, [:context, :code, :map, :timeout, :env]},
    {{:py_context, :exec}, [:context, :code]},
    {{:py_context, :exec}, [:context, :code, :env]},
    {{:py_context, :call_method}, [:context, :object, :name, :args]},
    {{:py_context, :to_term}, [:object]},
    {{:py_context, :interrupt}, [:context]},
    {{:py_context, :get_interp_id}, [:context]},
    {{:py_context, :is_subinterp}, [:context]},
    {{:py_context, :create_local_env}, [:context]},
    {{:py_context, :get_nif_ref}, [:context]},
    {{:py_context_router, :start}, [:options]},
    {{:py_context_router, :get_context}, [:index_or_pool]},
    {{:py_context_router, :bind_context}, [:context]},
    {{:py_context_router, :bind_context}, [:pool, :context]},
    {{:py_context_router, :unbind_context}, [:pool]},
    {{:py_context_router, :num_contexts}, [:pool]},
    {{:py_context_router, :contexts}, [:pool]},
    {{:py_context_router, :start_pool}, [:pool, :positive]},
    {{:py_context_router, :start_pool}, [:pool, :positive, :mode]},
    {{:py_context_router, :start_link}, [:pool, :positive, :mode]},
    {{:py_context_router, :child_spec}, [:pool, :positive, :mode]},
    {{:py_context_router, :stop_pool}, [:pool]},
    {{:py_context_router, :pool_started}, [:pool]},
    {{:py_context_router, :register_pool}, [:pool, :name]},
    {{:py_context_router, :register_pool}, [:pool, :name, :name]},
    {{:py_context_router, :unregister_pool}, [:name]},
    {{:py_context_router, :unregister_pool}, [:name, :name]},
    {{:py_context_router, :lookup_pool}, [:name, :name]},
    {{:py_semaphore, :acquire}, [:timeout]},
    {{:py_semaphore, :set_max_concurrent}, [:positive]},
    {{:py_state, :fetch}, [:any]},
    {{:py_state, :store}, [:any, :any]},
    {{:py_state, :remove}, [:any]},
    {{:py_state, :incr}, [:any]},
    {{:py_state, :incr}, [:any, :integer]},
    {{:py_state, :decr}, [:any]},
    {{:py_state, :decr}, [:any, :integer]},
    {{:py_callback, :register}, [:name, :fun]},
    {{:py_callback, :unregister}, [:name]},
    {{:py_callback, :lookup}, [:name]},
    {{:py_callback, :execute}, [:name, :args]},
    {{:py_preload, :set_code}, [:code]},
    {{:py_import, :ensure_imported}, [:name]},
    {{:py_import, :ensure_imported}, [:name, :name]},
    {{:py_import, :is_imported}, [:name]},
    {{:py_import, :is_imported}, [:name, :name]},
    {{:py_import, :add_path}, [:name]},
    {{:py_import, :add_paths}, [:names]},
    {{:py_import, :is_path_added}, [:name]},
    {{:py_nif, :context_exec}, [:native, :code, :env]},
    {{:py_nif, :context_eval}, [:native, :code, :map, :env]},
    {{:py_nif, :context_call}, [:native, :name, :name, :args, :map, :env]}
  ]

  describe "wrong types" do
    setup do
      Py.Test.Interpreter.keep_path()
      {:ok, ctx} = :py_context.new(%{})
      {:ok, env} = :py_context.create_local_env(ctx)
      {:ok, object} = :py.call(ctx, :builtins, :list, [], %{return: :ref})
      # What other tests have left behind may take a while to end.
      on_exit(fn -> assert eventually(fn -> Py.Semaphore.current() == 0 end) end)
      %{ctx: ctx, env: env, object: object, native: :py_context.get_nif_ref(ctx)}
    end

    test "the list of functions is complete" do
      listed =
        for {{module, name}, kinds} <- @functions,
            into: MapSet.new(),
            do: {module, name, length(kinds)}

      exported =
        for {module, _docs} <-
              Enum.group_by(@functions, fn {{module, _name}, _kinds} -> module end),
            {name, arity} <- module.module_info(:exports),
            arity > 0 and name not in [:module_info, :is_ref],
            into: MapSet.new(),
            do: {module, name, arity}

      assert MapSet.difference(exported, listed) == MapSet.new()
    end

    for {{module, name}, kinds} <- @functions do
      @row {module, name, kinds}
      test "#{module}:#{name}(#{Enum.join(kinds, ", ")})", fixture do
        {module, name, kinds} = @row

        for {kind, position} <- Enum.with_index(kinds), junk <- wrong(kind) do
          args = kinds |> Enum.map(&value(&1, fixture)) |> List.replace_at(position, junk)
          result = run(module, name, args)

          assert refused?(result),
                 "#{module}:#{name} with #{inspect(junk)} as argument #{position + 1} gave #{inspect(result)}"
        end

        assert Process.alive?(fixture.ctx) or name in [:stop, :destroy]
      end
    end

    test "a process that is no context, and one that has ended", %{ctx: ctx} do
      :ok = :py_context.stop(ctx)

      for pid <- [self(), ctx] do
        died = {:error, {:context_died, :not_found}}
        assert :py.call(pid, :math, :sqrt, [16]) == died
        assert :py.eval(pid, "1") == died
        assert :py.exec(pid, "1") == died
        assert :py.await(:py.spawn_call(pid, :math, :sqrt, [16]), 5_000) == died
        assert :py_context.call(pid, :math, :sqrt, [16]) == died
        assert :py_context.create_local_env(pid) == died
        assert :py_context.get_interp_id(pid) == died
        assert :py_context_router.bind_context(pid) == died
        assert :py_context.is_subinterp(pid) == false
        assert :py_context.interrupt(pid) == :not_running
        assert :py_context.stop(pid) == :ok
        assert catch_error(:py.get_local_env(pid)) == {:context_died, :not_found}
      end

      assert mailbox() == []
    end

    test "the reason says what is expected" do
      {:badarg, stack} =
        try do
          :py.call(:math, :sqrt, 16)
        catch
          :error, reason -> {reason, __STACKTRACE__}
        end

      assert Py.Erlang.Arguments.format_error(:badarg, stack) == %{
               general: "expected a list, got: 16"
             }
    end
  end

  # In a process of its own, which neither crashes with anything else than badarg nor waits.
  defp run(module, name, args) do
    task =
      Task.async(fn ->
        # What fails to start ends its parent otherwise.
        Process.flag(:trap_exit, true)

        try do
          settle(apply(module, name, args))
        catch
          :error, reason -> {:raised, reason}
        end
      end)

    Task.await(task, 10_000)
  end

  defp settle(ref) when is_reference(ref), do: :py.await(ref, 5_000)
  defp settle(result), do: result

  defp refused?({:raised, :badarg}), do: true
  defp refused?({:error, :timeout}), do: false
  defp refused?({:error, _reason}), do: true
  defp refused?(_result), do: false

  defp value(:name, _fixture), do: :math
  defp value(:args, _fixture), do: []
  defp value(kind, _fixture) when kind in [:map, :options], do: %{}
  defp value(:code, _fixture), do: "1"
  defp value(:timeout, _fixture), do: 1_000
  defp value(:pool, _fixture), do: :default
  defp value(kind, %{ctx: ctx}) when kind in [:context, :place], do: ctx
  defp value(:reference, _fixture), do: make_ref()
  defp value(:calls, _fixture), do: []
  defp value(:names, _fixture), do: []
  defp value(:fun, _fixture), do: fn _args -> :ok end
  defp value(:atom, _fixture), do: :lists
  defp value(:integer, _fixture), do: 1
  defp value(:positive, _fixture), do: 1
  defp value(:generation, _fixture), do: 0
  defp value(:index_or_pool, _fixture), do: 1
  defp value(:mode, _fixture), do: :worker
  defp value(:boolean, _fixture), do: false
  defp value(:any, _fixture), do: :any
  defp value(kind, fixture) when kind in [:object, :env, :native], do: Map.fetch!(fixture, kind)

  # What is not of that kind.
  defp wrong(:any), do: []
  defp wrong(kind), do: Enum.reject(@junk ++ terms(), &fits?(kind, &1))

  defp terms, do: [self(), make_ref(), fn -> 1 end, hd(Port.list())]

  defp fits?(:boolean, value), do: is_boolean(value)

  defp fits?(:name, term),
    do: (is_atom(term) and term != nil) or term in ["text", ~c"text", [1, 2]]

  defp fits?(:code, term), do: is_binary(term) or term in [[], [1, 2], ~c"text"]
  defp fits?(:args, term), do: term in [[], [1, 2], [-1], [[:a]], ~c"text"]
  # The form with a pool's name in front.
  defp fits?(:map, term), do: is_map(term)
  defp fits?(:options, _term), do: false
  defp fits?(:pool, term), do: is_atom(term) and term != nil
  defp fits?(:place, term), do: is_pid(term) or fits?(:pool, term)
  defp fits?(:atom, term), do: is_atom(term)
  defp fits?(:context, term), do: is_pid(term)
  defp fits?(:reference, term), do: is_reference(term)
  defp fits?(:integer, term), do: is_integer(term)
  defp fits?(kind, term) when kind in [:calls, :names], do: term == []
  defp fits?(_kind, _term), do: false

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

      test "of locals do not leak", %{ctx: ctx} do
        assert :py_context.eval(ctx, "x", %{x: 1}) == {:ok, 1}
        assert {:error, {:NameError, _text}} = :py_context.eval(ctx, "x")
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
      assert call.(:py, :eval, ["1"]) == {:error, {:context_died, :not_found}}
      not_running = {:error, {:context_died, :not_running}}
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
