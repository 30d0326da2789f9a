%% The functions of py: each function here is named after a function of the API, calls it and checks its value. Each module
%% of the API has such a table, named MODULE_table. erlang_api_test.exs compares the tables with the exports. `-pending` lists
%% the functions that a later release adds.
-module(py_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [mode/0, exec_forever/1, restarted/1, until/1, catch_error/1]).

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
    {py, dup_fd, 1}
]).

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

%% --- Helpers -----------------------------------------------------------------------------------

traced(Test) ->
    ok = py:clear_traces(),
    ok = py:enable_tracing(),
    try Test() after ok = py:disable_tracing(), ok = py:clear_traces() end.

object(Code) ->
    {ok, Ref} = py:call(py:context(1), builtins, eval, [list_to_binary(Code), #{}], #{return => ref}),
    Ref.

traced(Started, Fun) ->
    case {mode(), Started} of
        {worker, ok} -> try Fun() after ok = py:tracemalloc_stop() end;
        {owngil, {error, {not_supported, owngil}}} -> ok
    end.

%% The effect of a cast is seen in the shared state.
noted(Cast, Value) ->
    ok = py:state_store(<<"table_cast">>, none),
    ok = Cast(),
    ok = until(fun() -> py:state_fetch(<<"table_cast">>) =:= {ok, Value} end).

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
