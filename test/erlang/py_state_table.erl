%% The functions of py_state, see py_table.
-module(py_state_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

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
