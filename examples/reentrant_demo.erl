%% Erlang calls Python, which calls Erlang, which calls Python …
%%
%% From an Erlang shell with the application started, in this folder:
%%
%%   1> c(reentrant_demo).
%%   2> reentrant_demo:start().
-module(reentrant_demo).

-export([start/0]).

-spec start() -> ok.
start() ->
    ok = load(),
    [ok = py:register_function(Name, Fun) || {Name, Fun} <- functions()],
    try
        show("(7 + 3) * (7 - 3)", arithmetic(7, 3)),
        show("fibonacci(60), each number computed once", fibonacci(60)),
        show("levels of Erlang and Python on top of each other", descend(50)),
        show("balance after withdrawing 30, 50 and what is not there", account())
    after
        [py:unregister_function(Name) || {Name, _Fun} <- functions()]
    end,
    ok.

%% The names of reentrant_demo.py, for the calling process.
load() ->
    {ok, Code} = file:read_file(filename:join(folder(), "reentrant_demo.py")),
    py:exec(Code).

folder() ->
    filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile), ".")).

%% What Python calls: each takes one list of arguments.
functions() ->
    [
        {add, fun([A, B]) -> A + B end},
        {subtract, fun([A, B]) -> A - B end},
        {fibonacci, fun([N]) -> remember(N) end},
        {descend, fun([Levels, Depth]) -> python(descend, [Levels, Depth]) end},
        {may_withdraw, fun([_Owner, Balance, Amount]) -> Amount =< Balance end}
    ].

arithmetic(A, B) -> python(arithmetic, [A, B]).

%% A function that Python calls runs in the process that waits for Python: here, in this one and its dictionary.
fibonacci(N) ->
    Result = remember(N),
    [erase(Key) || {fibonacci, _} = Key <- get_keys()],
    Result.

remember(N) ->
    case get({fibonacci, N}) of
        undefined ->
            Result = python(fibonacci, [N]),
            put({fibonacci, N}, Result),
            Result;
        Known ->
            Known
    end.

descend(Levels) -> python(descend, [Levels]).

account() ->
    {ok, Ctx} = py_context:new(#{mode => worker}),
    {ok, Code} = file:read_file(filename:join(folder(), "reentrant_demo.py")),
    ok = py:exec(Ctx, Code),
    {ok, Account} = py:call(Ctx, '__main__', 'Account', [<<"Ada">>, 100], #{return => ref}),
    {ok, 70} = py:call_method(Account, withdraw, [30]),
    {ok, Left} = py:call_method(Account, withdraw, [50]),
    {error, {'ValueError', "Ada has only 20"}} = py:call_method(Account, withdraw, [50]),
    ok = py_context:stop(Ctx),
    Left.

python(Function, Args) ->
    {ok, Result} = py:call('__main__', Function, Args),
    Result.

show(What, Result) -> io:format("~ts: ~p~n", [What, Result]).
