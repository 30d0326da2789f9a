%% The functions of py_import, see py_table.
-module(py_import_table).

-compile([export_all, nowarn_export_all]).
%% It also calls functions as they must not be called.
-dialyzer([no_return, no_contracts, no_fail_call, no_unused]).

-import(py_table_support, [mode/0]).

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

%% --- Helpers -----------------------------------------------------------------------------------

imports(Fun) -> try Fun() after py_import:clear_imports() end.

paths(Fun) -> try Fun() after py_import:clear_paths() end.

loaded(Module) -> everywhere("'" ++ Module ++ "' in __import__('sys').modules").

everywhere(Code) -> {ok, [Value || Ctx <- py_context_router:contexts(), {ok, Value} <- [py:eval(Ctx, Code)]]}.
