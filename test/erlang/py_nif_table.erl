%% The functions of py_nif, see py_table.
-module(py_nif_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [idle/0]).

-pending([
    %% memory limits
    {py_nif, context_memory_usage, 1}, {py_nif, context_set_memory_limit, 2}
]).

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

in_env(Fun) ->
    Ctx = py:context(1),
    {ok, Env} = py_context:create_local_env(Ctx),
    Fun(py_context:get_nif_ref(Ctx), Env).
