defmodule Py.Erlang.ArgumentsTest do
  # Arguments of the wrong type to every function of the Erlang API: a clear error, and no harm done.
  use ExUnit.Case, async: false

  import Py.Test.Wait

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
      on_exit(fn -> assert eventually(fn -> Py.Semaphore.in_use() == 0 end) end)
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
end
