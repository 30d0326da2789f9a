%% The functions of py_semaphore, see py_table.
-module(py_semaphore_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [exec_forever/1, idle/0, until/1, catch_error/1]).

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
