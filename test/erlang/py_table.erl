%% The Erlang API, function by function: each function here is named after one of the API, calls it and checks its value.
%% What the API has is what is named here; `-pending` names what a later release adds.
-module(py_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-pending([
    %% streams
    {py, stream, 3}, {py, stream, 4}, {py, stream_eval, 1}, {py, stream_eval, 2},
    {py, stream_start, 3}, {py, stream_start, 4}, {py, stream_cancel, 1},
    %% asyncio
    {py, async_call, 3}, {py, async_call, 4}, {py, async_await, 1}, {py, async_await, 2},
    {py, async_gather, 1}, {py, async_gather, 2},
    %% virtual environments
    {py, ensure_venv, 2}, {py, ensure_venv, 3}, {py, activate_venv, 1}, {py, deactivate_venv, 0},
    {py, venv_info, 0},
    %% shared dictionaries
    {py, shared_dict_new, 0}, {py, shared_dict_get, 2}, {py, shared_dict_get, 3},
    {py, shared_dict_set, 3}, {py, shared_dict_del, 2}, {py, shared_dict_keys, 1},
    {py, shared_dict_destroy, 1},
    %% file descriptors
    {py, dup_fd, 1},
    %% memory limits
    {py_nif, context_memory_usage, 1}, {py_nif, context_set_memory_limit, 2}
]).

%% --- py ----------------------------------------------------------------------------------------

'py:call/3'() ->
    {ok, 4.0} = py:call(math, sqrt, [16]),
    {ok, <<"a/b">>} = py:call("os.path", <<"join">>, [a, <<"b">>]),
    {error, {'ValueError', Text}} = py:call(math, sqrt, [-1]),
    true = io_lib:printable_unicode_list(Text).

'py:call/4'() ->
    {ok, [3, 2, 1]} = py:call(builtins, sorted, [[3, 1, 2]], #{reverse => true}),
    {ok, 4.0} = py:call(py:context(1), math, sqrt, [16]),
    {ok, 4.0} = py:call(default, "math", "sqrt", [16]).

'py:call/5'() ->
    Ctx = py:context(1),
    {ok, [3, 2, 1]} = py:call(builtins, sorted, [[3, 1, 2]], #{reverse => true}, 5000),
    {error, timeout} = py:call(time, sleep, [0.2], #{}, 20),
    {ok, [3, 2, 1]} = py:call(default, builtins, sorted, [[3, 1, 2]], #{<<"reverse">> => true}),
    {ok, [3, 2, 1]} = py:call(Ctx, builtins, sorted, [[3, 1, 2]], #{kwargs => #{reverse => true}}),
    {error, timeout} = py:call(Ctx, time, sleep, [0.2], #{timeout => 20}),
    {ok, Ref} = py:call(Ctx, builtins, list, [[1, 2]], #{return => ref}),
    true = py:is_ref(Ref).

'py:eval/1'() ->
    {ok, 42} = py:eval(<<"6 * 7">>),
    {ok, none} = py:eval("None").

'py:eval/2'() ->
    {ok, 42} = py:eval(<<"x * y">>, #{x => 21, <<"y">> => 2}),
    {ok, 42} = py:eval(py:context(1), "6 * 7").

'py:eval/3'() ->
    {ok, 42} = py:eval(<<"x * 2">>, #{x => 21}, 5000),
    {error, timeout} = py:eval(<<"__import__('time').sleep(0.2)">>, #{}, 20),
    {ok, 42} = py:eval(py:context(1), <<"x * 2">>, #{x => 21}).

'py:exec/1'() ->
    ok = py:exec(<<"table_x = 1">>),
    {ok, 1} = py:eval(<<"table_x">>),
    {error, {'SyntaxError', _}} = py:exec("x = (").

'py:exec/2'() ->
    Ctx = py:context(1),
    ok = py:exec(Ctx, "table_y = 2"),
    {ok, 2} = py:eval(Ctx, "table_y").

'py:cast/3'() -> noted(fun() -> py:cast(erlang, state_set, [<<"table_cast">>, 3]) end, 3).

'py:cast/4'() ->
    noted(fun() -> py:cast(py:context(1), erlang, state_set, [<<"table_cast">>, 4]) end, 4),
    noted(fun() -> py:cast(default, erlang, state_set, [<<"table_cast">>, 5]) end, 5),
    noted(fun() -> py:cast(erlang, state_set, [<<"table_cast">>, 6], #{}) end, 6).

'py:cast/5'() ->
    Cast = fun() -> py:cast(py:context(1), erlang, state_set, [<<"table_cast">>, 7], #{}) end,
    noted(Cast, 7).

'py:spawn_call/3'() ->
    Ref = py:spawn_call(math, sqrt, [16]),
    receive {py_response, Ref, {ok, 4.0}} -> ok end.

'py:spawn_call/4'() ->
    {ok, [2, 1]} = py:await(py:spawn_call(builtins, sorted, [[1, 2]], #{reverse => true})),
    {ok, 4.0} = py:await(py:spawn_call(py:context(1), math, sqrt, [16])),
    {ok, 4.0} = py:await(py:spawn_call(default, math, sqrt, [16])).

'py:spawn_call/5'() ->
    Ctx = py:context(1),
    {ok, [2, 1]} = py:await(py:spawn_call(Ctx, builtins, sorted, [[1, 2]], #{reverse => true})).

'py:await/1'() ->
    {ok, 4.0} = py:await(py:spawn_call(math, sqrt, [16])),
    {error, {'ValueError', _}} = py:await(py:spawn_call(math, sqrt, [-1])).

'py:await/2'() ->
    {error, timeout} = py:await(make_ref(), 1),
    {ok, 4.0} = py:await(py:spawn_call(math, sqrt, [16]), infinity).

'py:parallel/1'() ->
    {ok, [{ok, 4.0}, {error, {'ValueError', _}}, {ok, 6.0}]} =
        py:parallel([{math, sqrt, [16]}, {math, sqrt, [-1]}, {"math", <<"sqrt">>, [36]}]),
    {ok, []} = py:parallel([]).

'py:register_function/2'() ->
    ok = py:register_function(table_sum, fun lists:sum/1),
    {ok, 6} = py:call(erlang, table_sum, [1, 2, 3]),
    ok = py:register_function("table_sum", {lists, reverse}),
    {ok, [2, none]} = py:call(erlang, call, [table_sum, none, 2]),
    ok = py:unregister_function(table_sum).

'py:register_function/3'() ->
    ok = py:register_function(<<"table_max">>, lists, max),
    {ok, 3} = py:call(erlang, call, [<<"table_max">>, 1, 3, 2]),
    ok = py:unregister_function(table_max).

'py:unregister_function/1'() ->
    ok = py:register_function(table_gone, fun(_) -> ok end),
    ok = py:unregister_function(table_gone),
    {error, {'AttributeError', _}} = py:call(erlang, table_gone, []).

'py:call_method/3'() ->
    {ok, 2} = py:call_method(object("[1, 2]"), '__len__', []),
    {error, {'AttributeError', _}} = py:call_method(object("[1, 2]"), nope, []).

'py:getattr/2'() ->
    {ok, 4.0} = py:getattr(object("3 + 4j"), imag),
    {ok, <<"complex">>} = py:getattr(object("3 + 4j"), "__class__.__name__").

'py:to_term/1'() -> {ok, #{<<"a">> := none}} = py:to_term(object("{'a': None}")).

'py:is_ref/1'() ->
    true = py:is_ref(object("object()")),
    [false, false, false] = [py:is_ref(Term) || Term <- [make_ref(), self(), #{}]].

'py:context/0'() ->
    Ctx = py:context(),
    true = lists:member(Ctx, py_context_router:contexts()),
    Ctx = py:context().

'py:context/1'() ->
    [First | _] = py_context_router:contexts(),
    First = py:context(1),
    badarg = catch_error(fun() -> py:context(0) end),
    badarg = catch_error(fun() -> py:context(1000) end).

'py:start_contexts/0'() ->
    {ok, Contexts} = py:start_contexts(),
    Contexts = py_context_router:contexts().

'py:start_contexts/1'() ->
    Mode = py:execution_mode(),
    N = py_context_router:num_contexts(),
    {ok, [_ | _]} = py:start_contexts(#{contexts => N, mode => Mode}),
    {error, {already_started, #{contexts := N, mode := Mode}}} =
        py:start_contexts(#{contexts => N + 1}),
    ok = py:stop_contexts(),
    {ok, [_, _, _]} = py:start_contexts(#{contexts => 3, mode => Mode}),
    3 = py_context_router:num_contexts(),
    ok = py:stop_contexts(),
    {ok, [_ | _]} = py:start_contexts(#{contexts => N, mode => Mode}).

'py:stop_contexts/0'() -> restarted(fun() -> ok = py:stop_contexts() end).

'py:contexts_started/0'() ->
    true = py:contexts_started(),
    restarted(fun() -> py:stop_contexts(), false = py:contexts_started() end).

'py:interrupt/1'() ->
    Ctx = py:context(1),
    not_running = py:interrupt(Ctx),
    Ref = py:spawn_call(Ctx, '__main__', exec_forever(Ctx), []),
    ok = until(fun() -> py:interrupt(Ctx) =:= ok end),
    {error, interrupted} = py:await(Ref).

'py:get_local_env/1'() ->
    Ctx = py:context(1),
    ok = py:exec(Ctx, "local_name = 1"),
    {ok, 1} = py_context:eval(Ctx, "local_name", #{}, infinity, py:get_local_env(Ctx)).

'py:register_pool/2'() ->
    {ok, [Ctx]} = py_context_router:start_pool(table_pool, 1, py:execution_mode()),
    ok = py_context:exec(Ctx, "import sys; sys.in_table_pool = 'pool'"),
    ok = py:register_pool(table_pool, {operator, truth}),
    ok = py:register_pool(table_pool, statistics),
    [table_pool, default, table_pool] =
        [py_context_router:lookup_pool(M, F) || {M, F} <- [{operator, truth}, {operator, pos}, {statistics, mean}]],
    {ok, true} = py:call(operator, truth, [1]),
    {ok, #{calls := 2}} = 'Elixir.Py.Context':info(Ctx),
    ok = py:unregister_pool({operator, truth}),
    ok = py:unregister_pool(statistics),
    ok = py_context_router:stop_pool(table_pool).

'py:unregister_pool/1'() ->
    ok = py:register_pool(default, table_module),
    ok = py:unregister_pool("table_module"),
    [] = py_context_router:list_pool_registrations().

'py:state_fetch/1'() ->
    {error, not_found} = py:state_fetch(table_nothing),
    ok = py:state_store(<<"table_key">>, #{a => [1]}),
    {error, not_found} = py:state_fetch(table_key),
    {ok, #{a := [1]}} = py:state_fetch(<<"table_key">>).

'py:state_store/2'() ->
    ok = py:state_store(<<"table_key">>, 1),
    {ok, 1} = py:call(erlang, state_get, [table_key]).

'py:state_remove/1'() ->
    ok = py:state_store(table_key, 1),
    ok = py:state_remove(table_key),
    ok = py:state_remove(table_key),
    {error, not_found} = py:state_fetch(table_key).

'py:state_keys/0'() ->
    ok = py:state_clear(),
    ok = py:state_store(table_key, 1),
    ok = py:state_store(<<"table_key">>, 1),
    [table_key, <<"table_key">>] = lists:sort(py:state_keys()).

'py:state_clear/0'() ->
    ok = py:state_store(table_key, 1),
    ok = py:state_clear(),
    [] = py:state_keys().

'py:state_incr/1'() -> ok = py:state_clear(), [1, 2] = [py:state_incr(table_n), py:state_incr(table_n)].

'py:state_incr/2'() ->
    ok = py:state_clear(),
    [5, 15] = [py:state_incr(table_n, 5), py:state_incr(table_n, 10)],
    ok = py:state_store(table_n, text),
    badarg = catch_error(fun() -> py:state_incr(table_n, 1) end).

'py:state_decr/1'() -> ok = py:state_clear(), -1 = py:state_decr(table_n).

'py:state_decr/2'() -> ok = py:state_clear(), -7 = py:state_decr(table_n, 7).

'py:version/0'() ->
    {ok, Version} = py:version(),
    {ok, Expected} = py:eval("'.'.join(map(str, __import__('sys').version_info[:3]))"),
    {0, _} = binary:match(Version, Expected).

'py:memory_stats/0'() ->
    {ok, #{gc_stats := [_, _, _] = Stats, gc_count := {_, _, _}, gc_threshold := {A, _, _}}} =
        py:memory_stats(),
    true = is_integer(A),
    [#{<<"collected">> := _, <<"collections">> := _, <<"uncollectable">> := 0} = S || S <- Stats].

'py:gc/0'() ->
    ok = py:exec("gc_cycle = []; gc_cycle.append(gc_cycle); del gc_cycle"),
    {ok, Found} = py:gc(),
    true = Found >= 1,
    {ok, 0} = py:gc().

'py:gc/1'() ->
    {ok, N} = py:gc(0),
    true = is_integer(N),
    badarg = catch_error(fun() -> py:gc(3) end).

'py:tracemalloc_start/0'() ->
    traced(py:tracemalloc_start(), fun() ->
        ok = py:exec("traced = bytes(1000)"),
        {ok, #{traced_memory_current := Current, traced_memory_peak := Peak}} = py:memory_stats(),
        true = Peak >= Current andalso Current >= 1000
    end).

'py:tracemalloc_start/1'() ->
    traced(py:tracemalloc_start(5), fun() -> {ok, 5} = py:call(tracemalloc, get_traceback_limit, []) end).

'py:tracemalloc_stop/0'() ->
    traced(py:tracemalloc_start(), fun() ->
        ok = py:tracemalloc_stop(),
        {ok, Stats} = py:memory_stats(),
        false = is_map_key(traced_memory_peak, Stats)
    end).

'py:subinterp_supported/0'() ->
    {ok, Expected} = py:eval("__import__('sys').version_info >= (3, 12)"),
    Expected = py:subinterp_supported().

'py:execution_mode/0'() ->
    {ok, #{mode := Mode}} = 'Elixir.Py.Context':info(py:context(1)),
    Mode = py:execution_mode().

'py:reload/1'() ->
    {ok, Dir} = py:eval("__import__('tempfile').mkdtemp()"),
    File = filename:join(Dir, "table_module.py"),
    ok = file:write_file(File, "value = 1\n"),
    ok = py_import:add_path(Dir),
    {ok, 1} = py:eval("__import__('table_module').value"),
    %% Of another size: Python then does not take the cached code of a file changed in the same second.
    ok = file:write_file(File, "value = 200\n"),
    ok = py:reload(table_module),
    {ok, 200} = py:eval("__import__('table_module').value"),
    ok = py:reload("never_loaded_module"),
    ok = file:write_file(File, "value = (\n"),
    {error, [{context, {'SyntaxError', _}}]} = py:reload(table_module),
    ok = py_import:clear_paths(),
    ok = file:del_dir_r(Dir).

'py:configure_logging/0'() -> logged(fun() -> ok = py:configure_logging() end, <<"debug">>, "told").

'py:configure_logging/1'() ->
    Configure = fun() -> ok = py:configure_logging(#{level => warning, format => "<%(message)s>"}) end,
    logged(Configure, <<"warning">>, "<told>").

%% --- py_context --------------------------------------------------------------------------------

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

%% --- py_context_router -------------------------------------------------------------------------

'py_context_router:start/0'() ->
    {ok, Contexts} = py_context_router:start(),
    Contexts = py_context_router:contexts().

'py_context_router:start/1'() ->
    Mode = mode(),
    restarted(fun() ->
        ok = py_context_router:stop(),
        {ok, [_, _]} = py_context_router:start(#{contexts => 2, mode => Mode}),
        {ok, [_, _]} = py_context_router:start(#{contexts => 2}),
        {error, {already_started, #{contexts := 2}}} = py_context_router:start(#{contexts => 3}),
        {error, {invalid_mode, threads}} = py_context_router:start(#{mode => threads}),
        ok = py_context_router:stop()
    end).

'py_context_router:stop/0'() ->
    restarted(fun() ->
        ok = py_context_router:stop(),
        ok = py_context_router:stop(),
        {error, {context_died, not_found}} = py:eval("1")
    end).

'py_context_router:is_started/0'() ->
    true = py_context_router:is_started(),
    restarted(fun() -> py_context_router:stop(), false = py_context_router:is_started() end).

'py_context_router:get_context/0'() ->
    Ctx = py_context_router:get_context(),
    Ctx = py_context_router:get_context(),
    restarted(fun() ->
        ok = py_context_router:stop(),
        badarg = catch_error(fun() -> py_context_router:get_context() end)
    end).

'py_context_router:get_context/1'() ->
    [First | _] = py_context_router:contexts(),
    First = py_context_router:get_context(1),
    true = lists:member(py_context_router:get_context(default), py_context_router:contexts()),
    badarg = catch_error(fun() -> py_context_router:get_context(no_such_pool) end).

%% A supervisor whose end ends what it has started.
supervised(Spec, Test) ->
    {ok, Supervisor} = 'Elixir.Supervisor':start_link([Spec], [{strategy, one_for_one}]),
    Test(),
    ok = 'Elixir.Supervisor':stop(Supervisor).

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

eventually(Fun, Expected) -> eventually(Fun, Expected, 1000).

eventually(Fun, Expected, Tries) ->
    case Fun() of
        Expected -> Expected;
        _Other when Tries > 0 -> receive after 5 -> eventually(Fun, Expected, Tries - 1) end
    end.

'py_context_router:start_link/3'() ->
    process_flag(trap_exit, true),
    {ok, Pid} = py_context_router:start_link(table_linked, 2, mode()),
    2 = py_context_router:num_contexts(table_linked),
    {error, {already_started, table_linked}} = py_context_router:start_link(table_linked, 2, mode()),
    {ok, 2.0} = py:call(table_linked, math, sqrt, [4]),
    {error, supervised} = py_context_router:stop_pool(table_linked),
    ok = 'Elixir.Supervisor':stop(Pid),
    false = eventually(fun() -> py_context_router:pool_started(table_linked) end, false),
    {error, {invalid_mode, subinterp}} = py_context_router:start_link(table_linked, 2, subinterp),
    badarg = catch_error(fun() -> py_context_router:start_link("table", 2, worker) end),
    badarg = catch_error(fun() -> py_context_router:start_link(table_linked, 0, worker) end),
    process_flag(trap_exit, false).

'py_context_router:child_spec/3'() ->
    supervised(py_context_router:child_spec(table_supervised, 2, mode()), fun() ->
        {ok, 2.0} = py:call(table_supervised, math, sqrt, [4]),
        2 = py_context_router:num_contexts(table_supervised)
    end),
    false = eventually(fun() -> py_context_router:pool_started(table_supervised) end, false).

traced(Test) ->
    ok = py:clear_traces(),
    ok = py:enable_tracing(),
    try Test() after ok = py:disable_tracing(), ok = py:clear_traces() end.

'py:enable_tracing/0'() ->
    traced(fun() ->
        ok = py:exec("with erlang.Span('outer', size=2, of=None):\n    with erlang.Span('inner'): pass"),
        {ok, [Inner, Outer]} = py:get_traces(),
        #{name := <<"outer">>, parent_id := undefined, span_id := Id, status := ok, events := []} = Outer,
        #{attributes := #{<<"size">> := 2, <<"of">> := none}, start_time := Start, end_time := End} = Outer,
        Duration = maps:get(duration_us, Outer),
        Duration = End - Start,
        true = abs(erlang:system_time(microsecond) - End) < 60_000_000,
        #{name := <<"inner">>, parent_id := Id, attributes := Empty, end_attrs := Empty} = Inner,
        0 = map_size(Empty),
        ok = py:enable_tracing()
    end).

'py:disable_tracing/0'() ->
    ok = py:disable_tracing(),
    ok = py:exec("with erlang.Span('unseen'): pass"),
    {ok, []} = py:get_traces(),
    traced(fun() ->
        ok = py:exec("with erlang.Span('seen'): pass"),
        ok = py:disable_tracing(),
        ok = py:exec("with erlang.Span('unseen'): pass"),
        {ok, [#{name := <<"seen">>}]} = py:get_traces()
    end).

'py:get_traces/0'() ->
    traced(fun() ->
        ok = py:exec("with erlang.Span('s') as s:\n    s.event('one', n=1)\n    s.event('two')"),
        {ok, [#{events := [#{name := <<"one">>, attrs := #{<<"n">> := 1}, time := First}, Second]}]} = py:get_traces(),
        #{name := <<"two">>, time := Later} = Second,
        true = Later >= First,
        {error, {'ValueError', "wrong"}} = py:exec("with erlang.Span('failed'): raise ValueError('wrong')"),
        {ok, [_, #{status := error, end_attrs := #{<<"exception">> := <<"wrong">>}}]} = py:get_traces()
    end).

'py:clear_traces/0'() ->
    traced(fun() ->
        ok = py:exec("@erlang.trace('named')\ndef f(): return 5\nf()"),
        {ok, [#{name := <<"named">>}]} = py:get_traces(),
        ok = py:clear_traces(),
        {ok, []} = py:get_traces()
    end).

'py:keep_tracebacks/1'() ->
    ok = py:keep_tracebacks(true),
    undefined = py:last_traceback(),
    {error, {'ZeroDivisionError', "division by zero"}} = py:eval("1 / 0"),
    nomatch = string:find(py:last_traceback(), "_errors.py"),
    <<"Traceback (most recent call last):", _/binary>> = py:last_traceback(),
    {error, {'ValueError', _}} = py:call(builtins, int, [<<"x">>]),
    true = string:find(py:last_traceback(), "ValueError: invalid literal") =/= nomatch,
    {ok, 1} = py:eval("1"),
    true = string:find(py:last_traceback(), "ValueError") =/= nomatch,
    {error, _} = py:call(no_such_pool, math, sqrt, [4]),
    undefined = py:last_traceback(),
    ok = py:keep_tracebacks(false),
    {error, {'ZeroDivisionError', _}} = py:eval("1 / 0"),
    undefined = py:last_traceback(),
    badarg = catch_error(fun() -> py:keep_tracebacks(yes) end).

'py:last_traceback/0'() ->
    undefined = py:last_traceback(),
    {error, _} = py:eval("1 / 0"),
    undefined = py:last_traceback().

'py_context_router:bind_context/1'() ->
    [_, Second | _] = py_context_router:contexts(),
    ok = py_context_router:bind_context(Second),
    Second = py_context_router:get_context(),
    {error, {context_died, not_found}} = py_context_router:bind_context(self()),
    ok = py_context_router:unbind_context().

'py_context_router:bind_context/2'() ->
    {ok, [_, Second]} = py_context_router:start_pool(table_pool, 2, mode()),
    ok = py_context_router:bind_context(table_pool, Second),
    Second = py_context_router:get_context(table_pool),
    ok = py_context_router:unbind_context(table_pool),
    ok = py_context_router:stop_pool(table_pool).

'py_context_router:unbind_context/0'() ->
    {ok, Own} = py_context:new(#{}),
    ok = py_context_router:bind_context(Own),
    Own = py_context_router:get_context(),
    ok = py_context_router:unbind_context(),
    true = lists:member(py_context_router:get_context(), py_context_router:contexts()),
    ok = py_context:stop(Own).

'py_context_router:unbind_context/1'() ->
    ok = py_context_router:bind_context(default, 2),
    ok = py_context_router:unbind_context(default),
    true = lists:member(py_context_router:get_context(), py_context_router:contexts()).

'py_context_router:num_contexts/0'() ->
    true = py_context_router:num_contexts() =:= length(py_context_router:contexts()).

'py_context_router:num_contexts/1'() ->
    0 = py_context_router:num_contexts(no_such_pool),
    true = py_context_router:num_contexts(default) >= 2.

'py_context_router:contexts/0'() -> 
    true = lists:all(fun is_process_alive/1, py_context_router:contexts()).

'py_context_router:contexts/1'() ->
    [] = py_context_router:contexts(no_such_pool),
    true = py_context_router:contexts(default) =:= py_context_router:contexts().

'py_context_router:start_pool/2'() ->
    {ok, [Ctx]} = py_context_router:start_pool(table_pool, 1),
    false = py_context:is_subinterp(Ctx),
    ok = py_context_router:stop_pool(table_pool).

'py_context_router:start_pool/3'() ->
    {ok, [Ctx]} = py_context_router:start_pool(table_pool, 1, mode()),
    {ok, [Ctx]} = py_context_router:start_pool(table_pool, 1, mode()),
    {error, {already_started, #{contexts := 1}}} = py_context_router:start_pool(table_pool, 2, mode()),
    ok = py_context_router:stop_pool(table_pool).

'py_context_router:stop_pool/1'() ->
    {ok, [Ctx]} = py_context_router:start_pool(table_pool, 1),
    ok = py_context_router:stop_pool(table_pool),
    ok = py_context_router:stop_pool(table_pool),
    false = is_process_alive(Ctx).

'py_context_router:pool_started/1'() ->
    [true, false] = [py_context_router:pool_started(Pool) || Pool <- [default, no_such_pool]].

'py_context_router:register_pool/2'() ->
    ok = py_context_router:register_pool(default, table_module),
    [{{table_module, '_'}, default}] = py_context_router:list_pool_registrations(),
    ok = py_context_router:unregister_pool(table_module).

'py_context_router:register_pool/3'() ->
    ok = py_context_router:register_pool(io, table_module, table_function),
    io = py_context_router:lookup_pool(table_module, table_function),
    ok = py_context_router:unregister_pool(table_module, table_function).

'py_context_router:unregister_pool/1'() ->
    ok = py_context_router:register_pool(io, table_module),
    ok = py_context_router:unregister_pool(table_module),
    default = py_context_router:lookup_pool(table_module, any).

'py_context_router:unregister_pool/2'() ->
    ok = py_context_router:register_pool(io, table_module, table_function),
    ok = py_context_router:unregister_pool(table_module, table_function),
    default = py_context_router:lookup_pool(table_module, table_function).

'py_context_router:lookup_pool/2'() -> default = py_context_router:lookup_pool("table_module", <<"f">>).

'py_context_router:list_pool_registrations/0'() ->
    ok = py_context_router:register_pool(io, table_module, table_function),
    [{{table_module, table_function}, io}] = py_context_router:list_pool_registrations(),
    ok = py_context_router:unregister_pool(table_module, table_function),
    [] = py_context_router:list_pool_registrations().

%% --- py_semaphore ------------------------------------------------------------------------------

'py_semaphore:init/0'() -> ok = py_semaphore:init().

'py_semaphore:acquire/1'() ->
    ok = idle(),
    Max = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(1000),
    {error, max_concurrent} = py_semaphore:acquire(10),
    ok = py_semaphore:release(),
    ok = py_semaphore:set_max_concurrent(Max).

'py_semaphore:release/0'() ->
    ok = idle(),
    ok = py_semaphore:acquire(infinity),
    1 = py_semaphore:current(),
    ok = py_semaphore:release(),
    0 = py_semaphore:current(),
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

'py_semaphore:max_concurrent/0'() ->
    true = py_semaphore:max_concurrent() =:= erlang:system_info(schedulers_online) * 2 + 1.

'py_semaphore:current/0'() ->
    ok = idle(),
    0 = py_semaphore:current(),
    Ref = py:spawn_call(py:context(1), '__main__', exec_forever(py:context(1)), []),
    1 = py_semaphore:current(),
    ok = until(fun() -> py:interrupt(py:context(1)) =:= ok end),
    {error, interrupted} = py:await(Ref).

'py_semaphore:set_max_concurrent/1'() ->
    Max = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(50),
    50 = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(Max),
    badarg = catch_error(fun() -> py_semaphore:set_max_concurrent(0) end).

%% --- py_state ----------------------------------------------------------------------------------

'py_state:fetch/1'() ->
    ok = py_state:clear(),
    {error, not_found} = py_state:fetch(k),
    ok = py_state:store(k, {any, [term]}),
    {ok, {any, [term]}} = py_state:fetch(k),
    [{error, not_found} = py_state:fetch(Other) || Other <- ["k", <<"k">>, {k}]],
    Keys = [k, "k", <<"k">>, {k, 7}, 1.5, #{a => b}, self()],
    [ok = py_state:store(Key, Key) || Key <- Keys],
    [{ok, Key} = py_state:fetch(Key) || Key <- Keys],
    true = lists:sort(Keys) =:= lists:sort(py_state:keys()),
    [ok = py_state:remove(Key) || Key <- Keys],
    [] = py_state:keys().

'py_state:store/2'() ->
    ok = py_state:store(k, 1),
    {ok, 1} = py_state:fetch(k),
    ok = py_state:store(k, two),
    {ok, two} = py_state:fetch(k),
    %% The bound is read when a value is stored.
    ok = py_state:clear(),
    ok = application:set_env(erlang_python, max_state_entries, 1),
    ok = py_state:store(a, 1),
    {error, full} = py_state:store(b, 1),
    ok = py_state:remove(no_such_key),
    {error, full} = py_state:incr(b),
    ok = application:unset_env(erlang_python, max_state_entries),
    ok = py_state:store(b, 1).

'py_state:remove/1'() ->
    ok = py_state:store(k, 1),
    ok = py_state:remove(k),
    {error, not_found} = py_state:fetch(k).

'py_state:keys/0'() ->
    ok = py_state:clear(),
    ok = py_state:store(k, 1),
    {ok, none} = py:call(erlang, state_set, [from_python, 2]),
    [k, <<"from_python">>] = lists:sort(py_state:keys()).

'py_state:clear/0'() ->
    ok = py_state:store(k, 1),
    ok = py_state:clear(),
    [] = py_state:keys().

'py_state:incr/1'() -> ok = py_state:clear(), [1, 2] = [py_state:incr(k), py_state:incr(k)].

'py_state:incr/2'() -> ok = py_state:clear(), [1 bsl 80, 0] = [py_state:incr(k, N) || N <- [1 bsl 80, -(1 bsl 80)]].

'py_state:decr/1'() -> ok = py_state:clear(), [-1, -2] = [py_state:decr(k), py_state:decr(k)].

'py_state:decr/2'() -> ok = py_state:clear(), [-3, -5] = [py_state:decr(k, 3), py_state:decr(k, 2)].

%% --- py_callback -------------------------------------------------------------------------------

'py_callback:register/2'() ->
    ok = py_callback:register(table_f, fun([A, B]) -> A - B end),
    {ok, 3} = py:call(erlang, call, [table_f, 5, 2]),
    badarg = catch_error(fun() -> py_callback:register(table_f, fun(_, _) -> ok end) end),
    ok = py_callback:unregister(table_f).

'py_callback:unregister/1'() ->
    ok = py_callback:register(table_f, {lists, sum}),
    ok = py_callback:unregister("table_f"),
    {error, {'CallbackError', _}} = py:call(erlang, call, [table_f]).

'py_callback:lookup/1'() ->
    Fun = fun([X]) -> X end,
    ok = py_callback:register(table_f, Fun),
    {ok, Fun} = py_callback:lookup(<<"table_f">>),
    ok = py_callback:register(table_f, {lists, sum}),
    {ok, {lists, sum}} = py_callback:lookup(table_f),
    ok = py_callback:unregister(table_f),
    {error, not_found} = py_callback:lookup(table_f).

'py_callback:execute/2'() ->
    ok = py_callback:register(table_f, {lists, sum}),
    {ok, 6} = py_callback:execute(table_f, [1, 2, 3]),
    {error, {error, badarith, [_ | _]}} = py_callback:execute(table_f, [a, 1]),
    ok = py_callback:unregister(table_f),
    {error, {not_found, <<"table_f">>}} = py_callback:execute(<<"table_f">>, []).

%% --- py_preload, py_import ---------------------------------------------------------------------

'py_preload:set_code/1'() ->
    ok = py_preload:set_code("preloaded = 42"),
    {ok, Ctx} = py_context:new(#{mode => mode()}),
    ok = py_preload:clear_code(),
    {ok, 42} = py_context:eval(Ctx, "preloaded"),
    ok = py_context:stop(Ctx),
    {error, {'NameError', _}} = py:eval("preloaded").

'py_preload:get_code/0'() ->
    undefined = py_preload:get_code(),
    ok = py_preload:set_code(["a", <<" = 1">>]),
    <<"a = 1">> = py_preload:get_code(),
    ok = py_preload:clear_code().

'py_preload:clear_code/0'() ->
    ok = py_preload:set_code("a = 1"),
    ok = py_preload:clear_code(),
    undefined = py_preload:get_code().

'py_preload:has_preload/0'() ->
    false = py_preload:has_preload(),
    ok = py_preload:set_code("a = 1"),
    true = py_preload:has_preload(),
    ok = py_preload:clear_code().

'py_import:ensure_imported/1'() ->
    imports(fun() ->
        ok = py_import:ensure_imported(colorsys),
        {ok, [true | _] = Loaded} = loaded("colorsys"),
        [] = [no || false <- Loaded],
        {error, main_not_cacheable} = py_import:ensure_imported('__main__'),
        ok = py_import:ensure_imported(no_such_module),
        {error, {'ModuleNotFoundError', _}} = py:call(no_such_module, f, []),
        {ok, Ctx} = py_context:new(#{mode => mode()}),
        {ok, _} = py_context:eval(Ctx, "colorsys.__name__"),
        ok = py_context:stop(Ctx)
    end).

'py_import:ensure_imported/2'() ->
    imports(fun() ->
        ok = py_import:ensure_imported(json, dumps),
        [{<<"json">>, <<"dumps">>}] = py_import:all_imports()
    end).

'py_import:is_imported/1'() ->
    imports(fun() ->
        false = py_import:is_imported(json),
        ok = py_import:ensure_imported(json, dumps),
        true = py_import:is_imported("json")
    end).

'py_import:is_imported/2'() ->
    imports(fun() ->
        ok = py_import:ensure_imported(json, dumps),
        [true, false] = [py_import:is_imported(json, F) || F <- [dumps, loads]],
        ok = py_import:ensure_imported(json),
        true = py_import:is_imported(json, loads)
    end).

'py_import:all_imports/0'() ->
    imports(fun() ->
        ok = py_import:ensure_imported(json),
        ok = py_import:ensure_imported(math, sqrt),
        [{<<"json">>, all}, {<<"math">>, <<"sqrt">>}] = py_import:all_imports()
    end).

'py_import:clear_imports/0'() ->
    ok = py_import:ensure_imported(json),
    ok = py_import:clear_imports(),
    [] = py_import:all_imports().

'py_import:import_list/0'() ->
    imports(fun() ->
        [ok = py_import:ensure_imported(json, F) || F <- [dumps, loads]],
        ok = py_import:ensure_imported(math),
        {ok, #{<<"json">> := [<<"dumps">>, <<"loads">>], <<"math">> := []}} = py_import:import_list()
    end).

'py_import:add_path/1'() ->
    paths(fun() ->
        ok = py_import:add_path("/table/one"),
        {ok, [true | _] = Added} = everywhere("'/table/one' in __import__('sys').path"),
        [] = [no || false <- Added],
        {ok, Ctx} = py_context:new(#{mode => mode()}),
        {ok, true} = py_context:eval(Ctx, "'/table/one' in __import__('sys').path"),
        ok = py_context:stop(Ctx)
    end).

'py_import:add_paths/1'() ->
    paths(fun() ->
        ok = py_import:add_paths(["/table/first", <<"/table/second">>]),
        {ok, [<<"/table/first">>, <<"/table/second">>]} = py:eval("__import__('sys').path[:2]")
    end).

'py_import:all_paths/0'() ->
    paths(fun() ->
        [] = py_import:all_paths(),
        ok = py_import:add_paths(["/table/a", "/table/b", "/table/a"]),
        [<<"/table/a">>, <<"/table/b">>] = py_import:all_paths()
    end).

'py_import:clear_paths/0'() ->
    ok = py_import:add_path("/table/a"),
    ok = py_import:clear_paths(),
    [] = py_import:all_paths().

'py_import:is_path_added/1'() ->
    paths(fun() ->
        false = py_import:is_path_added("/table/c"),
        ok = py_import:add_path("/table/c"),
        true = py_import:is_path_added(<<"/table/c">>)
    end).

%% --- py_nif ------------------------------------------------------------------------------------

'py_nif:context_exec/3'() ->
    in_env(fun(Ref, Env) -> ok = py_nif:context_exec(Ref, <<"x = 42">>, Env) end).

'py_nif:context_eval/4'() ->
    in_env(fun(Ref, Env) ->
        {ok, 3} = py_nif:context_eval(Ref, "a + 1", #{a => 2}, Env),
        {error, {'NameError', _}} = py_nif:context_eval(Ref, "a", #{}, Env)
    end).

'py_nif:context_call/6'() ->
    in_env(fun(Ref, Env) ->
        ok = py_nif:context_exec(Ref, "def f(a, b): return a - b", Env),
        {ok, 3} = py_nif:context_call(Ref, '__main__', f, [5], #{b => 2}, Env)
    end).

'py_nif:owngil_supported/0'() -> true = py_nif:owngil_supported() =:= py:subinterp_supported().

'py_nif:subinterp_supported/0'() -> true = py_nif:subinterp_supported() =:= py:subinterp_supported().

'py_nif:execution_mode/0'() ->
    {ok, Free} = py:eval("bool(__import__('sysconfig').get_config_var('Py_GIL_DISABLED'))"),
    true = (py_nif:execution_mode() =:= free_threaded) =:= Free.

'py_nif:get_debug_counters/0'() ->
    ok = idle(),
    #{calls := Before, errors := Errors, in_use := 0} = py_nif:get_debug_counters(),
    {ok, 1} = py:eval("1"),
    {error, _} = py:eval("1 // 0"),
    #{calls := After, errors := OneMore} = py_nif:get_debug_counters(),
    true = After =:= Before + 2 andalso OneMore =:= Errors + 1.

%% --- Helpers -----------------------------------------------------------------------------------

mode() -> py:execution_mode().

with(Fun) ->
    {ok, Ctx} = py_context:new(#{mode => mode()}),
    Fun(Ctx),
    ok = py_context:stop(Ctx).

in_env(Fun) ->
    Ctx = py:context(1),
    {ok, Env} = py_context:create_local_env(Ctx),
    Fun(py_context:get_nif_ref(Ctx), Env).

object(Code) ->
    {ok, Ref} = py:call(py:context(1), builtins, eval, [list_to_binary(Code), #{}], #{return => ref}),
    Ref.

traced(Started, Fun) ->
    case {mode(), Started} of
        {worker, ok} -> try Fun() after ok = py:tracemalloc_stop() end;
        {owngil, {error, {not_supported, owngil}}} -> ok
    end.

exec_forever(Ctx) ->
    ok = py:exec(Ctx, "def forever():\n  while True: pass"),
    forever.

%% Runs something that stops the default pool, and starts it as it was.
restarted(Fun) ->
    {Mode, N} = {mode(), py_context_router:num_contexts()},
    try
        Fun()
    after
        ok = py_context_router:stop(),
        {ok, [_ | _]} = py_context_router:start(#{contexts => N, mode => Mode})
    end.

imports(Fun) -> try Fun() after py_import:clear_imports() end.

paths(Fun) -> try Fun() after py_import:clear_paths() end.

loaded(Module) -> everywhere("'" ++ Module ++ "' in __import__('sys').modules").

everywhere(Code) -> {ok, [Value || Ctx <- py_context_router:contexts(), {ok, Value} <- [py:eval(Ctx, Code)]]}.

%% The effect of a cast is seen in the shared state.
noted(Cast, Value) ->
    ok = py:state_store(<<"table_cast">>, none),
    ok = Cast(),
    ok = until(fun() -> py:state_fetch(<<"table_cast">>) =:= {ok, Value} end).

%% Code that has timed out in C holds its permit until it returns.
idle() -> until(fun() -> py_semaphore:current() =:= 0 end).

until(Condition) -> until(Condition, erlang:monotonic_time(millisecond) + 10_000).

until(Condition, Deadline) ->
    case Condition() of
        true -> ok;
        _ ->
            true = erlang:monotonic_time(millisecond) < Deadline,
            receive after 2 -> until(Condition, Deadline) end
    end.

catch_error(Fun) ->
    try Fun() of
        Value -> {returned, Value}
    catch
        error:Reason -> Reason
    end.

%% Logs from Python and checks the event that a handler gets.
logged(Configure, Level, Text) ->
    Configure(),
    Id = list_to_atom("py_table_" ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = logger:add_handler(Id, ?MODULE, #{config => self(), level => all}),
    try
        ok = py:exec("import logging\nlogging.getLogger('shop.till').warning('%s', 'told')"),
        receive
            {log, #{level := warning, msg := {string, Message}, meta := Meta}} ->
                Text = unicode:characters_to_list(Message),
                #{domain := [python], py_logger := <<"shop.till">>, line := 2} = Meta
        after 10_000 -> error(nothing_logged)
        end,
        {ok, Level} = py:eval("__import__('logging').getLevelName(__import__('logging').root.level).lower()"),
        {ok, 1} = py:eval("len([h for h in __import__('logging').root.handlers if type(h).__name__ == 'BeamHandler'])")
    after
        logger:remove_handler(Id)
    end.

log(#{meta := #{domain := [python]}} = Event, #{config := Pid}) -> Pid ! {log, Event};
log(_Event, _Config) -> ok.
