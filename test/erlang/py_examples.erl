%% What programs written for py do, as their authors wrote it. Each function is one example; `all/0` names them. The suite
%% runs them with a default pool of either mode.
-module(py_examples).

-export([all/0]).
-export([
    execution_mode/0,
    owngil_contexts_run_in_parallel/0,
    environments/0,
    contexts_share_state_with_nobody/0,
    router/0,
    semaphore/0,
    parallel/0,
    memory_and_utilisation/0,
    shared_state/0,
    counting_together/0,
    reentrant_callbacks/0,
    nested_callbacks/0,
    many_chains/0,
    sys_config/0,
    numpy_from_many_processes/0
]).

%% Called as Module:Function([Args]) by Python.
-export([compute_via_python/1]).

all() -> [Name || {Name, 0} <- module_info(exports), Name =/= module_info, Name =/= all, Name =/= sys_config].

%% 1
execution_mode() ->
    Mode = py:execution_mode(),
    true = Mode =:= worker orelse Mode =:= owngil,
    {ok, Version} = py:version(),
    [<<"3">>, Minor | _] = binary:split(Version, <<".">>, [global]),
    true = py:subinterp_supported() =:= (binary_to_integer(Minor) >= 12),
    ok.

%% 2: the two meet in the middle. With one GIL, or one after the other, neither would see the other's flag while it computes.
owngil_contexts_run_in_parallel() ->
    case py:subinterp_supported() of
        false -> ok;
        true -> in_parallel(start_owngil(1), start_owngil(2))
    end.

start_owngil(Id) ->
    {ok, Ctx} = py_context:start_link(Id, owngil),
    ok = py_context:exec(Ctx, <<
        "import erlang\n"
        "def compute(mine, other):\n"
        "    erlang.state_set(mine, 1)\n"
        "    total = 0\n"
        "    while erlang.state_get(other) is None:\n"
        "        for i in range(1000): total += i * i\n"
        "    return 'met'\n"
    >>),
    Ctx.

in_parallel(Ctx1, Ctx2) ->
    ok = py:state_remove(<<"first">>),
    ok = py:state_remove(<<"second">>),
    Self = self(),
    Compute = fun(Ctx, Mine, Other) ->
        spawn_link(fun() -> Self ! {Ctx, py_context:call(Ctx, '__main__', compute, [Mine, Other], #{}, 30000)} end)
    end,
    Compute(Ctx1, <<"first">>, <<"second">>),
    Compute(Ctx2, <<"second">>, <<"first">>),
    [receive {Ctx, Result} -> {ok, <<"met">>} = Result end || Ctx <- [Ctx1, Ctx2]],
    [ok = py_context:stop(Ctx) || Ctx <- [Ctx1, Ctx2]],
    ok.

%% 3
environments() ->
    Ctx = py:context(1),
    {ok, Env} = py_context:create_local_env(Ctx),
    Ref = py_context:get_nif_ref(Ctx),
    ok = py_nif:context_exec(Ref, <<"x = 42">>, Env),
    {ok, 42} = py_nif:context_eval(Ref, <<"x">>, #{}, Env),
    ok.

%% 4
contexts_share_state_with_nobody() ->
    Ctx1 = py:context(1),
    Ctx2 = py:context(2),
    ok = py:exec(Ctx1, <<"counter = 10\ndef add(n):\n    global counter\n    counter += n\n    return counter">>),
    {ok, 15} = py:call(Ctx1, '__main__', add, [5]),
    {ok, 15} = py:eval(Ctx1, <<"counter">>),
    {error, {'NameError', _}} = py:eval(Ctx2, <<"counter">>),
    ok.

%% 5
router() ->
    Mode = py:execution_mode(),
    Before = py_context_router:num_contexts(),
    ok = py_context_router:stop(),
    {ok, Contexts} = py_context_router:start(#{contexts => 8, mode => Mode}),
    8 = length(Contexts),
    8 = py_context_router:num_contexts(),
    %% Affinity: a process stays where it is.
    Mine = py_context_router:get_context(),
    [Mine, Mine, Mine] = [py_context_router:get_context() || _ <- [1, 2, 3]],
    ok = py:exec(<<"kept = 1">>),
    {ok, 1} = py:eval(<<"kept">>),
    %% By number, and bound.
    First = py_context_router:get_context(1),
    First = hd(Contexts),
    Third = py_context_router:get_context(3),
    ok = py_context_router:bind_context(Third),
    Third = py_context_router:get_context(),
    {ok, 4.0} = py:call(math, sqrt, [16]),
    ok = py_context_router:unbind_context(),
    true = lists:member(py_context_router:get_context(), Contexts),
    ok = py_context_router:stop(),
    0 = py_context_router:num_contexts(),
    false = py_context_router:is_started(),
    {ok, _} = py_context_router:start(#{contexts => Before, mode => Mode}),
    ok.

%% 6
semaphore() ->
    Max = py_semaphore:max_concurrent(),
    Max = erlang:system_info(schedulers_online) * 2 + 1,
    0 = py_semaphore:current(),
    %% For another machine, say.
    ok = py_semaphore:set_max_concurrent(50),
    50 = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(2),
    [ok = py_semaphore:acquire(infinity) || _ <- [1, 2]],
    {Time, {error, {overloaded, 2, 2}}} = timer:tc(fun() -> py:call(math, sqrt, [16], #{}, 100) end),
    true = Time >= 100_000,
    %% It waits its turn: a permit that comes back in time is taken.
    Self = self(),
    Waiting = spawn_link(fun() -> Self ! {self(), py:call(math, sqrt, [16], #{}, 30000)} end),
    ok = py_semaphore:release(),
    receive {Waiting, {ok, 4.0}} -> ok end,
    ok = py_semaphore:release(),
    ok = py_semaphore:set_max_concurrent(Max).

%% 7
parallel() ->
    {ok, [{ok, 4.0}, {ok, 5.0}, {ok, 6.0}]} =
        py:parallel([{math, sqrt, [16]}, {math, sqrt, [25]}, {math, sqrt, [36]}]),
    ok.

%% 8
memory_and_utilisation() ->
    {ok, Stats} = py:memory_stats(),
    [#{<<"collections">> := _} | _] = maps:get(gc_stats, Stats),
    ok = py_semaphore:acquire(infinity),
    Utilisation = py_semaphore:current() / py_semaphore:max_concurrent() * 100,
    ok = py_semaphore:release(),
    true = Utilisation > 0 andalso Utilisation =< 100,
    ok.

%% 9
shared_state() ->
    ok = py:state_store(<<"app_config">>, #{model => <<"gpt-4">>, timeout => 30000}),
    ok = py:exec(<<
        "from erlang import state_get, state_incr\n"
        "config = state_get('app_config')\n"
        "state_incr('requests_total')\n"
        "state_incr('bytes_processed', 1024)\n"
    >>),
    {ok, [<<"gpt-4">>, 30000]} = py:eval(<<"[config['model'], config['timeout']]">>),
    {ok, 1} = py:state_fetch(<<"requests_total">>),
    {ok, 1024} = py:state_fetch(<<"bytes_processed">>),
    ok = py:state_clear().

counting_together() ->
    ok = py:state_clear(),
    Ctx = py:context(1),
    ok = py_context:exec(Ctx, <<
        "import threading, erlang\n"
        "def count():\n"
        "    for _ in range(100): erlang.state_incr('together')\n"
        "def count_in_threads(n):\n"
        "    threads = [threading.Thread(target=count) for _ in range(n)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()\n"
    >>),
    Processes = [spawn_monitor(fun() -> [py:state_incr(<<"together">>) || _ <- lists:seq(1, 100)] end)
                 || _ <- lists:seq(1, 32)],
    {ok, none} = py_context:call(Ctx, '__main__', count_in_threads, [32]),
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Processes],
    {ok, 6400} = py:state_fetch(<<"together">>),
    ok = py:state_clear().

%% 10
reentrant_callbacks() ->
    ok = py:exec(<<
        "from erlang import call\n"
        "def complex_compute(x): return x * x + 1\n"
        "def process(x): return call('compute_via_python', x)\n"
    >>),
    ok = py:register_function(compute_via_python, {?MODULE, compute_via_python}),
    {ok, 26} = py:call('__main__', process, [5]),
    ok = py:unregister_function(compute_via_python).

compute_via_python([X]) ->
    {ok, Result} = py:call('__main__', complex_compute, [X]),
    Result.

nested_callbacks() ->
    ok = levels(),
    {ok, 10} = py:call('__main__', start, [10]),
    ok = py:unregister_function(next_level).

levels() ->
    ok = py:exec(<<
        "import erlang\n"
        "def level(n, depth): return depth if n == 0 else erlang.call('next_level', n - 1, depth + 1)\n"
        "def start(n): return level(n, 0)\n"
    >>),
    py:register_function(next_level, fun([N, Depth]) ->
        {ok, Result} = py:call('__main__', level, [N, Depth]),
        Result
    end).

many_chains() ->
    Chains = [
        spawn_monitor(fun() ->
            ok = levels(),
            exit(py:call('__main__', start, [10], #{}, 30000))
        end)
     || _ <- lists:seq(1, 64)
    ],
    [receive {'DOWN', Monitor, process, Pid, Result} -> {ok, 10} = Result end || {Pid, Monitor} <- Chains],
    ok = py:unregister_function(next_level).

%% 12: run in a VM that was started with this sys.config.
sys_config() ->
    50 = py_semaphore:max_concurrent(),
    owngil = py:execution_mode(),
    8 = py_context_router:num_contexts(),
    true = lists:all(fun py_context:is_subinterp/1, py_context_router:contexts()),
    ok.

%% 13
numpy_from_many_processes() ->
    {ok, Ctx} = py_context:start_link(1, worker),
    ok = py_context:exec(Ctx, <<"import numpy as np\nimport threading">>),
    ok = py_context:exec(Ctx, <<"total = np.arange(10).sum()\ndef mean(values): return float(np.mean(values))">>),
    {ok, 45} = py_context:eval(Ctx, <<"total">>),
    {ok, [[0, 1], [2, 3]]} = py_context:eval(Ctx, <<"np.arange(4).reshape(2, 2)">>),
    {ok, 2.5} = py_context:call(Ctx, '__main__', mean, [[1, 2, 3, 4]]),
    {ok, Thread} = py_context:eval(Ctx, <<"threading.get_ident()">>),
    Self = self(),
    Work = <<"(threading.get_ident(), float(np.dot(np.ones(n), np.ones(n))))">>,
    Pids = [spawn_link(fun() -> Self ! {self(), N, py_context:eval(Ctx, Work, #{n => N})} end)
            || N <- lists:seq(1, 50)],
    [receive {Pid, N, Result} -> {ok, {Thread, Sum}} = Result, true = Sum == N end || Pid <- Pids],
    {ok, Torch} = py_context:eval(Ctx, <<"__import__('importlib.util').util.find_spec('torch') is not None">>),
    ok = torch(Ctx, Torch),
    ok = py_context:stop(Ctx).

torch(_Ctx, false) ->
    ok;
torch(Ctx, true) ->
    ok = py_context:exec(Ctx, <<"import torch">>),
    {ok, [2.0, 4.0]} = py_context:eval(Ctx, <<"(torch.tensor([1.0, 2.0]) * 2).tolist()">>),
    ok.
