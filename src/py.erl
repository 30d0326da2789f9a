-module(py).

-include("py_doc.hrl").

?MODULEDOC("""
Python from Erlang.

```erlang
1> py:call(math, sqrt, [16]).
{ok,4.0}
2> py:call(builtins, sorted, [[3, 1, 2]], #{reverse => true}).
{ok,[3,2,1]}
3> py:call(math, sqrt, [-1]).
{error,{'ValueError',_}}
```

Modules and functions are atoms, binaries or strings, and may be dotted:
`py:call('os.path', join, [a, b])`. Code is a binary or a string. A wrong type of any argument is
the error `badarg`.

## Where code runs, and which names it sees

| first argument | runs on | time limit |
|---|---|---|
| none | the context of the default pool that serves the process, see `m:py_context_router` | 30,000 ms |
| the name of a pool | the context of that pool that serves the process | 30,000 ms |
| `Ctx`, a pid | that context | none |

Statements (`exec/1`) have no time limit anywhere. Code that takes longer than its limit is
interrupted.

In each case code sees names of the calling process. They are made on first use, as a copy of the
names of the context, and dropped after the process has ended. `m:py_context` has the functions
that use the names of the context itself. Requests made by a function that Python calls use the
names of the call that it serves.

## Results

A call that succeeds returns `{ok, Term}`. The table has the failures.

| result | when |
|---|---|
| `{error, {Class, Text}}` | Python raised. `Class` is the name of the class, `Text` a string |
| `{error, {stop_iteration, none}}` | Python raised `StopIteration` |
| `{error, interrupted}` | the code was interrupted, or raised `KeyboardInterrupt` |
| `{error, timeout}` | there was no result in time; the code was interrupted |
| `{error, {overloaded, Current, Max}}` | the limit of `m:py_semaphore` was reached, or the queue of the context full; nothing has run |
| `{error, {context_died, Reason}}` | the context has ended, or there is none |
| `{error, {no_such_pool, Name}}` | no pool and no context has that name |
| `{error, {conversion_error, Text}}` | a value has no counterpart; `Text` has the path to it |

`Class` is an atom. It is a binary once very many classes have been seen, because atoms are never
freed. `last_traceback/0` has the traceback of a failure.

## Values

| Erlang | Python | back |
|---|---|---|
| `none`, `undefined`, `nil` | `None` | `none` |
| `true`, `false` | `True`, `False` | same |
| other atom, UTF-8 binary | `str` | binary |
| `{bytes, Binary}`, other binary | `bytes` | binary |
| integer of any size, float | `int`, `float` | same; `nan`, `infinity`, `neg_infinity` |
| list (also a string), tuple | `list`, `tuple` | same |
| map | `dict` | map |
| pid, reference, port, fun | opaque; a fun can be called | the same term |
| `t:ref/0` | the very object | |
| | `set` | a set of `sets`, version 2 |
| | numpy scalar, array | number, nested lists |
| | anything else | binary of `str()` |
""").
?MODULESINCE("0.1.0").

-export([call/3, call/4, call/5, eval/1, eval/2, eval/3, exec/1, exec/2]).
-export([cast/3, cast/4, cast/5, spawn_call/3, spawn_call/4, spawn_call/5, await/1, await/2, parallel/1]).
-export([register_function/2, register_function/3, unregister_function/1]).
-export([call_method/3, getattr/2, to_term/1, is_ref/1]).
-export([context/0, context/1, start_contexts/0, start_contexts/1, stop_contexts/0, contexts_started/0]).
-export([interrupt/1, get_local_env/1, register_pool/2, unregister_pool/1]).
-export([state_fetch/1, state_store/2, state_remove/1, state_keys/0, state_clear/0]).
-export([state_incr/1, state_incr/2, state_decr/1, state_decr/2]).
-export([version/0, memory_stats/0, gc/0, gc/1, tracemalloc_start/0, tracemalloc_start/1, tracemalloc_stop/0]).
-export([enable_tracing/0, disable_tracing/0, get_traces/0, clear_traces/0]).
-export([keep_tracebacks/1, last_traceback/0, subinterp_supported/0, execution_mode/0, reload/1, configure_logging/0, configure_logging/1]).

-export_type([trace/0, name/0, code/0, args/0, kwargs/0, locals/0, pool/0, ref/0, env/0, reason/0, result/0]).

-define(CALLBACK, 'Elixir.Py.Erlang.Callback').
-define(CALLS, 'Elixir.Py.Erlang.Calls').
-define(CONTEXT, 'Elixir.Py.Erlang.Context').
-define(FACTS, 'Elixir.Py.Erlang.Facts').
-define(ROUTER, 'Elixir.Py.Erlang.Router').
-define(SETUP, 'Elixir.Py.Erlang.Setup').
-define(TRACING, 'Elixir.Py.Erlang.Tracing').

?DOC("""
A span that has ended.

Times are microseconds since 1970. `parent_id` is the `span_id` of the span around it. `status` is `error`
when an exception left the span; its text is in `end_attrs` then, as `<<"exception">>`.
""").
-type trace() :: #{
    name := binary(),
    span_id := non_neg_integer(),
    parent_id := non_neg_integer() | undefined,
    start_time := integer(),
    end_time := integer(),
    duration_us := non_neg_integer(),
    status := ok | error,
    attributes := map(),
    end_attrs := map(),
    events := [#{name := binary(), attrs := map(), time := integer()}]
}.
?DOC("A module, function or path: an atom, a binary or a string.").
-type name() :: atom() | unicode:chardata().
?DOC("Python source, as a binary or a string.").
-type code() :: unicode:chardata().
?DOC("Positional arguments.").
-type args() :: [term()].
?DOC("Keyword arguments.").
-type kwargs() :: #{atom() | binary() => term()}.
?DOC("Names that code sees in addition to its own.").
-type locals() :: #{atom() | binary() => term()}.
?DOC("The name of a pool.").
-type pool() :: py_context_router:pool_name().
?DOC("""
A reference to an object that stays in Python, from `return => ref` of `call/5`.

It keeps the object alive, and works on the contexts that share its interpreter.
""").
-type ref() :: term().
?DOC("An environment, the names that code sees: see `py_context:create_local_env/1`.").
-type env() :: term().
?DOC("The reason of a failure: see the table of results above.").
-type reason() ::
    {atom() | binary(), string()}
    | {stop_iteration, none}
    | interrupted
    | timeout
    | {overloaded, non_neg_integer(), non_neg_integer()}
    | {context_died, term()}
    | {conversion_error, string()}.
?DOC("The result of a call.").
-type result() :: {ok, term()} | {error, reason()}.

%% Calls

?DOC("""
Calls a function on the default pool, or on the pool that the function is registered with. It
waits for at most 30,000 ms.

```erlang
1> py:call(math, gcd, [12, 18]).
{ok,6}
2> py:call("os.path", "join", [<<"a">>, <<"b">>]).
{ok,<<"a/b">>}
```
""").
?SINCE("0.1.0").
-spec call(name(), name(), args()) -> result().
call(Module, Function, Args) -> ?CALLS:call(Module, Function, Args).

?DOC("""
Calls a function, in one of three forms:

  * `call(Module, Function, Args, Kwargs)` - with keyword arguments, for at most 30,000 ms
  * `call(Ctx, Module, Function, Args)` - on a context, without a time limit
  * `call(Pool, Module, Function, Args)` - on a pool, for at most 30,000 ms

The last argument tells the forms apart: `Kwargs` is a map, `Args` a list.

```erlang
1> py:call(builtins, int, [<<"ff">>], #{base => 16}).
{ok,255}
2> py:call(py:context(1), math, sqrt, [16]).
{ok,4.0}
3> py:call(default, math, sqrt, [16]).
{ok,4.0}
```
""").
?SINCE("0.1.0").
-spec call(name() | pid() | pool(), name(), name() | args(), kwargs() | args()) -> result().
call(A, B, C, D) -> ?CALLS:call(A, B, C, D).

?DOC("""
Calls a function, in one of three forms:

  * `call(Module, Function, Args, Kwargs, Timeout)` - with keyword arguments, and a limit in
    milliseconds
  * `call(Ctx, Module, Function, Args, Options)` - on a context
  * `call(Pool, Module, Function, Args, Kwargs)` - on a pool, for at most 30,000 ms

Options of the second form:

  * `kwargs` - a map of keyword arguments
  * `timeout` - milliseconds or `infinity` (default)
  * `return` - `term` (default), or `ref` for a reference to the result, `t:ref/0`

```erlang
1> py:exec("def forever():\n    while True: pass").
ok
2> py:call('__main__', forever, [], #{}, 10).
{error,timeout}
3> {ok, Ref} = py:call(py:context(1), collections, 'Counter', [<<"hello">>], #{return => ref}).
{ok,_}
4> py:call_method(Ref, most_common, [1]).
{ok,[{<<"l">>,2}]}
```
""").
?SINCE("0.1.0").
-spec call(name() | pid() | pool(), name(), name() | args(), kwargs() | args(), timeout() | map()) ->
    result().
call(A, B, C, D, E) -> ?CALLS:call(A, B, C, D, E).

?DOC("""
Evaluates an expression and returns its value. It waits for at most 30,000 ms.

```erlang
1> py:eval("2 ** 80").
{ok,1208925819614629174706176}
```
""").
?SINCE("0.1.0").
-spec eval(code()) -> result().
eval(Code) -> ?CALLS:eval(Code).

?DOC("""
Evaluates an expression, in one of two forms:

  * `eval(Code, Locals)` - the expression also sees `Locals`; for at most 30,000 ms
  * `eval(Ctx, Code)` - on a context, without a time limit

```erlang
1> py:eval("n * 2", #{n => 21}).
{ok,42}
```
""").
?SINCE("0.1.0").
-spec eval(code() | pid(), locals() | code()) -> result().
eval(A, B) -> ?CALLS:eval(A, B).

?DOC("""
Evaluates an expression that also sees `Locals`, in one of two forms:

  * `eval(Code, Locals, Timeout)` - with a limit in milliseconds
  * `eval(Ctx, Code, Locals)` - on a context, without a time limit
""").
?SINCE("0.1.0").
-spec eval(code() | pid(), locals() | code(), timeout() | locals()) -> result().
eval(A, B, C) -> ?CALLS:eval(A, B, C).

?DOC("""
Runs statements, without a time limit. The names that they define stay for the calling process.

```erlang
1> py:exec("def area(w, h): return w * h").
ok
2> py:call('__main__', area, [2, 3]).
{ok,6}
```
""").
?SINCE("0.1.0").
-spec exec(code()) -> ok | {error, reason()}.
exec(Code) -> ?CALLS:exec(Code).

?DOC("Runs statements on a context, without a time limit. See `exec/1`.").
?SINCE("0.1.0").
-spec exec(pid(), code()) -> ok | {error, reason()}.
exec(Ctx, Code) -> ?CALLS:exec(Ctx, Code).

%% Work beside the caller

?DOC("""
Starts a call whose result is not needed, and returns at once. It runs for at most 30,000 ms.

A failure is logged and counted. The code goes on when the calling process ends.
""").
?SINCE("0.1.0").
-spec cast(name(), name(), args()) -> ok.
cast(Module, Function, Args) -> ?CALLS:cast(Module, Function, Args).

?DOC("""
Starts a call whose result is not needed, in one of two forms:

  * `cast(Module, Function, Args, Kwargs)`
  * `cast(Ctx | Pool, Module, Function, Args)`

See `cast/3`.
""").
?SINCE("0.1.0").
-spec cast(name() | pid() | pool(), name(), name() | args(), kwargs() | args()) -> ok.
cast(A, B, C, D) -> ?CALLS:cast(A, B, C, D).

?DOC("Starts a call on a context or a pool, whose result is not needed. See `cast/3`.").
?SINCE("0.1.0").
-spec cast(pid() | pool(), name(), name(), args(), kwargs()) -> ok.
cast(Where, Module, Function, Args, Kwargs) -> ?CALLS:cast(Where, Module, Function, Args, Kwargs).

?DOC("""
Starts a call and returns at once. The result comes as the message `{py_response, Ref, Result}`.

`await/1` waits for the message. The call runs for at most 30,000 ms, and goes on when the calling
process ends. The code sees the names of the calling process.

```erlang
1> Ref = py:spawn_call(math, sqrt, [16]).
_
2> py:await(Ref).
{ok,4.0}
```
""").
?SINCE("0.1.0").
-spec spawn_call(name(), name(), args()) -> reference().
spawn_call(Module, Function, Args) -> ?CALLS:spawn_call(Module, Function, Args).

?DOC("""
Starts a call whose result comes as a message, in one of two forms:

  * `spawn_call(Module, Function, Args, Kwargs)`
  * `spawn_call(Ctx | Pool, Module, Function, Args)`

See `spawn_call/3`.
""").
?SINCE("0.1.0").
-spec spawn_call(name() | pid() | pool(), name(), name() | args(), kwargs() | args()) -> reference().
spawn_call(A, B, C, D) -> ?CALLS:spawn_call(A, B, C, D).

?DOC("""
Starts a call on a context, without a time limit, or on a pool. The result comes as a message. See
`spawn_call/3`.
""").
?SINCE("0.1.0").
-spec spawn_call(pid() | pool(), name(), name(), args(), kwargs()) -> reference().
spawn_call(Where, Module, Function, Args, Kwargs) ->
    ?CALLS:spawn_call(Where, Module, Function, Args, Kwargs).

?DOC("Waits for the result of `spawn_call/3`, for at most 30,000 ms. See `await/2`.").
?SINCE("0.1.0").
-spec await(reference()) -> result().
await(Ref) -> ?CALLS:await(Ref).

?DOC("""
Waits for the result of `spawn_call/3`, up to `Timeout` milliseconds.

The process that made the call waits. `{error, timeout}` when no result has come in time. The call
goes on then, and its message may still come: call `await/2` again, or flush it.
""").
?SINCE("0.1.0").
-spec await(reference(), timeout()) -> result().
await(Ref, Timeout) -> ?CALLS:await(Ref, Timeout).

?DOC("""
Runs calls spread over the contexts of the default pool, waits for all of them, and returns their
results in the order of the calls.

A call that fails does not stop the others. Calls that are not done after 30,000 ms are
interrupted, and their result is `{error, timeout}`. Python code runs at the same time only on
own-GIL contexts; on worker contexts, C code and I/O do.

`{error, Reason}` when the default pool is not started.

```erlang
1> py:parallel([{math, sqrt, [16]}, {math, sqrt, [-1]}]).
{ok,[{ok,4.0},{error,{'ValueError',_}}]}
```
""").
?SINCE("0.1.0").
-spec parallel([{name(), name(), args()}]) -> {ok, [result()]} | {error, reason()}.
parallel(Calls) -> ?CALLS:parallel(Calls).

%% Functions that Python calls

?DOC("""
Lets Python call `Fun` as `erlang.call('Name', …)`, `erlang.Name(…)`, or by
`from erlang import Name`.

`Fun` takes one list of all arguments. `{Module, Function}` is called as
`Module:Function([Args])`. See `m:py_callback`.

```erlang
1> py:register_function(add, fun([A, B]) -> A + B end).
ok
2> py:eval("erlang.add(1, 2)").
{ok,3}
3> py:unregister_function(add).
ok
```
""").
?SINCE("0.1.0").
-spec register_function(name(), fun(([term()]) -> term()) | {module(), atom()}) -> ok.
register_function(Name, Fun) -> ?CALLBACK:register(Name, Fun).

?DOC("""
Lets Python call `Module:Function([Args])` under `Name`. The same as
`register_function(Name, {Module, Function})`.
""").
?SINCE("0.1.0").
-spec register_function(name(), module(), atom()) -> ok.
register_function(Name, Module, Function) -> ?CALLBACK:register(Name, {Module, Function}).

?DOC("Removes a registered function. Returns `ok` also when there is none.").
?SINCE("0.1.0").
-spec unregister_function(name()) -> ok.
unregister_function(Name) -> ?CALLBACK:unregister(Name).

%% Objects that stay in Python

?DOC("""
Calls a method of an object, on the context that has the object. It waits for at most 30,000 ms.

`{error, {context_died, Reason}}` when that context has ended.
""").
?SINCE("0.1.0").
-spec call_method(ref(), name(), args()) -> result().
call_method(Ref, Method, Args) -> ?CALLS:call_method(Ref, Method, Args).

?DOC("""
Returns the value of an attribute of an object. Dots in the name reach into attributes of
attributes.

`{error, {'AttributeError', Text}}` when there is no such attribute.
""").
?SINCE("0.1.0").
-spec getattr(ref(), name()) -> result().
getattr(Ref, Name) -> ?CALLS:getattr(Ref, Name).

?DOC("""
Converts an object to a term, by the table of values. An object without a counterpart becomes the
binary of its `str()`.
""").
?SINCE("0.1.0").
-spec to_term(ref()) -> result().
to_term(Ref) -> ?CALLS:to_term(Ref).

?DOC("Returns `true` if a term is a reference to an object in Python, `t:ref/0`.").
?SINCE("0.1.0").
-spec is_ref(term()) -> boolean().
is_ref(Term) -> ?CALLS:is_ref(Term).

%% Contexts

?DOC("""
Returns the context that serves the calling process. The error `badarg` when the default pool is
stopped.
""").
?SINCE("0.1.0").
-spec context() -> pid().
context() -> ?ROUTER:get_context().

?DOC("""
Returns context number `N` of the default pool, from 1. The error `badarg` when there is none.
""").
?SINCE("0.1.0").
-spec context(pos_integer()) -> pid().
context(N) -> py_context_router:get_context(N).

?DOC("Starts the default pool as it is configured. See `py_context_router:start/0`.").
?SINCE("0.1.0").
-spec start_contexts() -> {ok, [pid()]} | {error, term()}.
start_contexts() -> py_context_router:start().

?DOC("Starts the default pool with options. See `py_context_router:start/1`.").
?SINCE("0.1.0").
-spec start_contexts(py_context_router:start_opts()) -> {ok, [pid()]} | {error, term()}.
start_contexts(Options) -> py_context_router:start(Options).

?DOC("Stops the default pool. See `py_context_router:stop/0`.").
?SINCE("0.1.0").
-spec stop_contexts() -> ok.
stop_contexts() -> py_context_router:stop().

?DOC("Returns `true` if the default pool is started.").
?SINCE("0.1.0").
-spec contexts_started() -> boolean().
contexts_started() -> py_context_router:is_started().

?DOC("""
Interrupts the code that runs on a context. Its call returns `{error, interrupted}`. See
`py_context:interrupt/1`.
""").
?SINCE("0.1.0").
-spec interrupt(pid()) -> ok | not_running.
interrupt(Ctx) -> py_context:interrupt(Ctx).

?DOC("""
Returns the names that code of the calling process sees on a context, as an environment for
functions such as `py_context:exec/3`.

It raises `{context_died, Reason}` when there is no such context.
""").
?SINCE("0.1.0").
-spec get_local_env(pid()) -> env().
get_local_env(Ctx) -> ?CONTEXT:local_env(Ctx).

?DOC("""
Sends the calls of a module, or of one `{Module, Function}`, to a pool. See
`py_context_router:register_pool/2`.
""").
?SINCE("0.1.0").
-spec register_pool(pool(), name() | {name(), name()}) -> ok.
register_pool(Pool, What) -> ?ROUTER:register_pool(Pool, What).

?DOC("Undoes `register_pool/2`. Returns `ok` also when there is none.").
?SINCE("0.1.0").
-spec unregister_pool(name() | {name(), name()}) -> ok.
unregister_pool(What) -> ?ROUTER:unregister_pool(What).

%% State shared with Python

?DOC("Returns a shared value. See `py_state:fetch/1`.").
?SINCE("0.1.0").
-spec state_fetch(term()) -> {ok, term()} | {error, not_found}.
state_fetch(Key) -> py_state:fetch(Key).

?DOC("Stores a shared value. See `py_state:store/2`.").
?SINCE("0.1.0").
-spec state_store(term(), term()) -> ok | {error, full}.
state_store(Key, Value) -> py_state:store(Key, Value).

?DOC("Removes a shared value. See `py_state:remove/1`.").
?SINCE("0.1.0").
-spec state_remove(term()) -> ok.
state_remove(Key) -> py_state:remove(Key).

?DOC("Returns the keys of all shared values. See `py_state:keys/0`.").
?SINCE("0.1.0").
-spec state_keys() -> [term()].
state_keys() -> py_state:keys().

?DOC("Removes all shared values. See `py_state:clear/0`.").
?SINCE("0.1.0").
-spec state_clear() -> ok.
state_clear() -> py_state:clear().

?DOC("Adds 1 to a shared counter. See `py_state:incr/2`.").
?SINCE("0.1.0").
-spec state_incr(term()) -> integer() | {error, full}.
state_incr(Key) -> py_state:incr(Key).

?DOC("Adds an integer to a shared counter. See `py_state:incr/2`.").
?SINCE("0.1.0").
-spec state_incr(term(), integer()) -> integer() | {error, full}.
state_incr(Key, Amount) -> py_state:incr(Key, Amount).

?DOC("Subtracts 1 from a shared counter. See `py_state:decr/2`.").
?SINCE("0.1.0").
-spec state_decr(term()) -> integer() | {error, full}.
state_decr(Key) -> py_state:decr(Key).

?DOC("Subtracts an integer from a shared counter. See `py_state:decr/2`.").
?SINCE("0.1.0").
-spec state_decr(term(), integer()) -> integer() | {error, full}.
state_decr(Key, Amount) -> py_state:decr(Key, Amount).

%% Facts and settings

?DOC("""
Collects the spans of Python code from now on: what it does within
`with erlang.Span(name, **attributes)`, and in functions decorated with `@erlang.trace()`.

Spans cost some microseconds while nothing collects them, and need not be removed from the code.

```erlang
1> py:enable_tracing().
ok
2> py:exec("with erlang.Span('order', id=7) as span: span.event('priced', euros=3)").
ok
3> {ok, [#{name := Name, status := ok, attributes := Attributes}]} = py:get_traces(), {Name, Attributes}.
{<<"order">>,#{<<"id">> => 7}}
4> {py:disable_tracing(), py:clear_traces()}.
{ok,ok}
```
""").
?SINCE("0.1.0").
-spec enable_tracing() -> ok.
enable_tracing() -> ?TRACING:enable().

?DOC("""
Stops collecting spans. Spans that have ended stay until `clear_traces/0`, others are dropped.
""").
?SINCE("0.1.0").
-spec disable_tracing() -> ok.
disable_tracing() -> ?TRACING:disable().

?DOC("""
Returns the spans that have ended, in the order of their ends. At most the last 10,000 are kept.
""").
?SINCE("0.1.0").
-spec get_traces() -> {ok, [trace()]}.
get_traces() -> ?TRACING:traces().

?DOC("Deletes all spans.").
?SINCE("0.1.0").
-spec clear_traces() -> ok.
clear_traces() -> ?TRACING:clear().

?DOC("""
Keeps the traceback of the last failure for the calling process, from now on or no longer.

It is off by default: making a traceback costs some 90 microseconds for each failure.

```erlang
1> py:keep_tracebacks(true).
ok
2> {error, {'ZeroDivisionError', _}} = py:eval("1 / 0").
{error,_}
3> string:find(py:last_traceback(), "1 / 0") =/= nomatch.
true
4> py:keep_tracebacks(false).
ok
```
""").
?SINCE("0.1.0").
-spec keep_tracebacks(boolean()) -> ok.
keep_tracebacks(Keep) -> ?CALLS:keep_tracebacks(Keep).

?DOC("""
Returns the traceback of the last failure since `keep_tracebacks(true)`, as Python prints it.

`undefined` when tracebacks are not kept, when there was no failure, and after a failure that has
no traceback, such as a timeout.
""").
?SINCE("0.1.0").
-spec last_traceback() -> binary() | undefined.
last_traceback() -> ?CALLS:last_traceback().

?DOC("""
Returns the version of Python, for example `<<"3.14.0">>`.

It raises an error while the application is not running.
""").
?SINCE("0.1.0").
-spec version() -> {ok, binary()}.
version() -> {ok, maps:get(version, 'Elixir.Py':info())}.

?DOC("""
Returns what Python's garbage collector knows of the interpreter that serves the calling process.

| key | value |
|---|---|
| `gc_stats` | a map for each of three generations, with the binary keys `collected`, `collections` and `uncollectable` |
| `gc_count`, `gc_threshold` | tuples of three integers, as of `gc.get_count()` and `gc.get_threshold()` |
| `traced_memory_current`, `traced_memory_peak` | bytes, while `tracemalloc` is tracing |

All worker contexts share one interpreter.
""").
?SINCE("0.1.0").
-spec memory_stats() -> {ok, map()} | {error, reason()}.
memory_stats() -> ?FACTS:memory_stats().

?DOC("Runs Python's garbage collector over all generations. See `gc/1`.").
?SINCE("0.1.0").
-spec gc() -> {ok, non_neg_integer()} | {error, reason()}.
gc() -> gc(2).

?DOC("""
Runs Python's garbage collector up to a generation from 0 to 2, on the interpreter that serves the
calling process, and returns the number of unreachable objects found.
""").
?SINCE("0.1.0").
-spec gc(0..2) -> {ok, non_neg_integer()} | {error, reason()}.
gc(Generation) -> ?FACTS:gc(Generation).

?DOC("Traces allocations, with one frame of each. See `tracemalloc_start/1`.").
?SINCE("0.1.0").
-spec tracemalloc_start() -> ok | {error, reason() | {not_supported, owngil}}.
tracemalloc_start() -> tracemalloc_start(1).

?DOC("""
Traces the allocations of the main interpreter with Python's `tracemalloc`, keeping `Frames`
frames of each.

`{error, {not_supported, owngil}}` while own-GIL contexts run. Start none until tracing is
stopped: CPython 3.14 crashes when an own-GIL interpreter ends while it is on.
""").
?SINCE("0.1.0").
-spec tracemalloc_start(pos_integer()) -> ok | {error, reason() | {not_supported, owngil}}.
tracemalloc_start(Frames) -> ?FACTS:tracemalloc_start(Frames).

?DOC("Stops what `tracemalloc_start/1` began.").
?SINCE("0.1.0").
-spec tracemalloc_stop() -> ok | {error, reason()}.
tracemalloc_stop() -> ?FACTS:tracemalloc_stop().

?DOC("Returns `true` if this Python has own-GIL sub-interpreters: CPython 3.12+.").
?SINCE("0.1.0").
-spec subinterp_supported() -> boolean().
subinterp_supported() -> py_nif:subinterp_supported().

?DOC("Returns the mode of the contexts of the default pool.").
?SINCE("0.1.0").
-spec execution_mode() -> worker | owngil.
execution_mode() -> maps:get(context_mode, 'Elixir.Py':info()).

?DOC("""
Reloads a module in every interpreter that has loaded it.

Names that other modules have imported from it stay what they were, as with `importlib.reload`.
The error has the reason of the first context where reloading failed.
""").
?SINCE("0.1.0").
-spec reload(name()) -> ok | {error, [{context, reason()}]}.
reload(Module) -> ?SETUP:reload(Module).

?DOC("Sends the records of Python's `logging` to `logger`. See `configure_logging/1`.").
?SINCE("0.1.0").
-spec configure_logging() -> ok | {error, reason()}.
configure_logging() -> configure_logging(#{}).

?DOC("""
Sends the records of Python's `logging` to `logger`, of all contexts, from now on. See
`m:py_logger`.

Options:

  * `level` - the lowest level that is sent: `debug` (default), `info`, `warning`, `error` or
    `critical`
  * `format` - a format of Python's `logging.Formatter`. Default: the message alone

Another call changes the options.
""").
?SINCE("0.1.0").
-spec configure_logging(#{level => atom(), format => unicode:chardata()}) -> ok | {error, reason()}.
configure_logging(Options) -> ?SETUP:configure_logging(Options).
