%% The functions of py_context_router, see py_table.
-module(py_context_router_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [supervised/2, eventually/2, mode/0, restarted/1, catch_error/1]).

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
