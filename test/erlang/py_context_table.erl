%% The functions of py_context, see py_table.
-module(py_context_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [supervised/2, eventually/2, mode/0, exec_forever/1, until/1, catch_error/1]).

'py_context:start_link/2'() ->
    {ok, Ctx} = py_context:start_link(1, worker),
    {ok, 4.0} = py_context:call(Ctx, math, sqrt, [16]),
    ok = py_context:stop(Ctx),
    {error, {invalid_mode, threads}} = py_context:start_link(1, threads).

'py_context:start_link/3'() ->
    {ok, Ctx} = py_context:start_link(any, mode(), #{preload => "answer = 42", max_queue => 10}),
    {ok, 42} = py_context:eval(Ctx, "answer"),
    ok = py_context:stop(Ctx),
    {error, {start_failed, <<"ZeroDivisionError", _/binary>>}} =
        py_context:start_link(1, mode(), #{preload => "1 // 0"}),
    {error, {not_supported, memory_limit}} = py_context:start_link(1, worker, #{memory_limit => 1}).

'py_context:new/1'() ->
    {ok, Ctx} = py_context:new(#{mode => mode(), preload => <<"answer = 42">>}),
    {ok, 42} = py_context:eval(Ctx, "answer"),
    ok = py_context:stop(Ctx),
    {ok, Worker} = py_context:new(#{}),
    false = py_context:is_subinterp(Worker),
    ok = py_context:destroy(Worker).

'py_context:stop/1'() ->
    {ok, Ctx} = py_context:new(#{}),
    ok = py_context:stop(Ctx),
    ok = py_context:stop(Ctx),
    false = is_process_alive(Ctx),
    {error, {context_died, _}} = py_context:eval(Ctx, "1").

'py_context:destroy/1'() ->
    {ok, Ctx} = py_context:new(#{}),
    ok = py_context:destroy(Ctx),
    false = is_process_alive(Ctx).

'py_context:call/4'() -> with(fun(Ctx) -> {ok, 4.0} = py_context:call(Ctx, math, "sqrt", [16]) end).

'py_context:call/5'() ->
    with(fun(Ctx) -> {ok, [2, 1]} = py_context:call(Ctx, builtins, sorted, [[1, 2]], #{reverse => true}) end).

'py_context:call/6'() ->
    with(fun(Ctx) ->
        {ok, 4.0} = py_context:call(Ctx, math, sqrt, [16], #{}, 5000),
        {error, timeout} = py_context:call(Ctx, time, sleep, [0.2], #{}, 20)
    end).

'py_context:call/7'() ->
    with(fun(Ctx) ->
        {ok, Env} = py_context:create_local_env(Ctx),
        ok = py_context:exec(Ctx, "def f(x): return x + base\nbase = 40", Env),
        {ok, 42} = py_context:call(Ctx, '__main__', f, [2], #{}, infinity, Env),
        {error, {'NameError', _}} = py_context:call(Ctx, '__main__', f, [2])
    end).

'py_context:eval/2'() -> with(fun(Ctx) -> {ok, 42} = py_context:eval(Ctx, "6 * 7") end).

'py_context:eval/3'() ->
    with(fun(Ctx) ->
        {ok, 42} = py_context:eval(Ctx, <<"(y := x * 2)">>, #{x => 21}),
        {error, {'NameError', _}} = py_context:eval(Ctx, "x"),
        {error, {'NameError', _}} = py_context:eval(Ctx, "y")
    end).

'py_context:eval/4'() ->
    with(fun(Ctx) ->
        {ok, 42} = py_context:eval(Ctx, "x", #{x => 42}, 5000),
        {error, timeout} = py_context:eval(Ctx, "__import__('time').sleep(0.2)", #{}, 20)
    end).

'py_context:eval/5'() ->
    with(fun(Ctx) ->
        {ok, Env} = py_context:create_local_env(Ctx),
        ok = py_context:exec(Ctx, "a = 1", Env),
        {ok, 3} = py_context:eval(Ctx, "a + b", #{b => 2}, 5000, Env),
        {ok, Other} = py_context:new(#{mode => mode()}),
        {error, {context_died, wrong_interpreter}} = py_context:eval(Other, "a", #{}, 5000, Env),
        ok = py_context:stop(Other)
    end).

'py_context:exec/2'() ->
    with(fun(Ctx) ->
        ok = py_context:exec(Ctx, "shared = 1"),
        Self = self(),
        spawn_link(fun() -> Self ! {shared, py_context:eval(Ctx, "shared")} end),
        receive {shared, {ok, 1}} -> ok end
    end).

'py_context:exec/3'() ->
    with(fun(Ctx) ->
        {ok, Env} = py_context:create_local_env(Ctx),
        ok = py_context:exec(Ctx, "own = 1", Env),
        {error, {'NameError', _}} = py_context:eval(Ctx, "own")
    end).

'py_context:call_method/4'() ->
    with(fun(Ctx) ->
        {ok, Ref} = py:call(Ctx, builtins, list, [[3, 1, 2]], #{return => ref}),
        {ok, none} = py_context:call_method(Ctx, Ref, sort, []),
        {ok, [1, 2, 3]} = py_context:to_term(Ref)
    end).

'py_context:to_term/1'() ->
    with(fun(Ctx) ->
        {ok, Ref} = py:call(Ctx, builtins, dict, [], #{return => ref, kwargs => #{a => 1}}),
        {ok, #{<<"a">> := 1}} = py_context:to_term(Ref)
    end).

'py_context:interrupt/1'() ->
    with(fun(Ctx) ->
        not_running = py_context:interrupt(Ctx),
        Ref = py:spawn_call(Ctx, '__main__', exec_forever(Ctx), []),
        ok = until(fun() -> py_context:interrupt(Ctx) =:= ok end),
        {error, interrupted} = py:await(Ref)
    end),
    {ok, Ended} = py_context:new(#{}),
    ok = py_context:stop(Ended),
    not_running = py_context:interrupt(Ended).

'py_context:get_interp_id/1'() ->
    {ok, A} = py_context:get_interp_id(py:context(1)),
    {ok, B} = py_context:get_interp_id(py:context(2)),
    true = is_integer(A) andalso is_integer(B) andalso A =/= B.

'py_context:is_subinterp/1'() ->
    {ok, Worker} = py_context:new(#{}),
    false = py_context:is_subinterp(Worker),
    ok = py_context:stop(Worker),
    false = py_context:is_subinterp(Worker),
    true = py_context:is_subinterp(py:context(1)) =:= (mode() =:= owngil).

'py_context:create_local_env/1'() ->
    with(fun(Ctx) ->
        ok = py_context:exec(Ctx, "copied = 1"),
        {ok, Env} = py_context:create_local_env(Ctx),
        {ok, 1} = py_context:eval(Ctx, "copied", #{}, infinity, Env)
    end).

'py_context:get_nif_ref/1'() ->
    true = is_reference(py_context:get_nif_ref(py:context(1))),
    {ok, Ended} = py_context:new(#{}),
    ok = py_context:stop(Ended),
    {context_died, not_found} = catch_error(fun() -> py_context:get_nif_ref(Ended) end).

'py_context:child_spec/1'() ->
    Options = #{name => table_models, mode => mode(), preload => <<"answer = 42">>},
    #{id := table_models} = Spec = py_context:child_spec(Options),
    supervised(Spec, fun() ->
        {ok, 42} = py_context:eval(table_models, "answer"),
        ok = py_context:exec(table_models, "answer = 0"),
        {ok, 2.0} = py:call(table_models, math, sqrt, [4]),
        ok = py_context:stop(table_models),
        {ok, 42} = eventually(fun() -> py_context:eval(table_models, "answer") end, {ok, 42})
    end),
    {error, {no_such_pool, table_models}} = py_context:eval(table_models, "answer"),
    {error, {no_such_pool, table_models}} = py:call(table_models, math, sqrt, [4]),
    {ok, Local} = py_context:new(#{name => {local, table_local}}),
    Local = whereis(table_local),
    ok = py_context:stop(Local),
    {ok, Global} = py_context:new(#{name => {global, table_global}}),
    Global = global:whereis_name(table_global),
    ok = py_context:stop(Global),
    [badarg = catch_error(fun() -> py_context:new(#{name => Name}) end) || Name <- ["a", nil, {a, b}]],
    #{id := py_context} = py_context:child_spec(#{}).

%% --- Helpers -----------------------------------------------------------------------------------

with(Fun) ->
    {ok, Ctx} = py_context:new(#{mode => mode()}),
    Fun(Ctx),
    ok = py_context:stop(Ctx).
