%% Helpers that several tables of the Erlang API use.
-module(py_table_support).

-export([supervised/2, eventually/2, mode/0, exec_forever/1, restarted/1, idle/0, until/1, catch_error/1]).

%% A supervisor whose end ends what it has started.
supervised(Spec, Test) ->
    {ok, Supervisor} = 'Elixir.Supervisor':start_link([Spec], [{strategy, one_for_one}]),
    Test(),
    ok = 'Elixir.Supervisor':stop(Supervisor).

eventually(Fun, Expected) -> eventually(Fun, Expected, 1000).

eventually(Fun, Expected, Tries) ->
    case Fun() of
        Expected -> Expected;
        _Other when Tries > 0 -> receive after 5 -> eventually(Fun, Expected, Tries - 1) end
    end.

mode() -> py:execution_mode().

exec_forever(Ctx) ->
    ok = py:exec(Ctx, "def forever():\n  while True: pass"),
    forever.

%% Runs something that stops the default pool, and starts it as it was.
restarted(Fun) ->
    {Mode, N} = {mode(), py_context_router:num_contexts()},
    try
        Fun()
    after
        ok = py_context_router:stop(),
        {ok, [_ | _]} = py_context_router:start(#{contexts => N, mode => Mode})
    end.

%% Code that has timed out in C holds its permit until it returns.
idle() -> until(fun() -> py_semaphore:current() =:= 0 end).

until(Condition) -> until(Condition, erlang:monotonic_time(millisecond) + 10_000).

until(Condition, Deadline) ->
    case Condition() of
        true -> ok;
        _ ->
            true = erlang:monotonic_time(millisecond) < Deadline,
            receive after 2 -> until(Condition, Deadline) end
    end.

catch_error(Fun) ->
    try Fun() of
        Value -> {returned, Value}
    catch
        error:Reason -> Reason
    end.
