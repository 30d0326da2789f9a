%% The functions of py_callback, see py_table.
-module(py_callback_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [catch_error/1]).

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
