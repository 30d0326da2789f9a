%% The functions of py_preload, see py_table.
-module(py_preload_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [mode/0]).

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
