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

Modules and functions are atoms, binaries or strings, and may be dotted: `py:call('os.path', join, [a, b])`. Code is a
binary or a string. A wrong type in any argument is `badarg`.

## Where code runs, and which names it sees

Without a context, on one of the default pool, which a process keeps: see `py_context_router`. With a context (`Ctx`, a pid) or
the name of a pool, there. In each case code sees names of the calling process, made on first use as a copy of the context's
own and dropped after the process has ended. `py_context` has the functions that use the names of the context itself.
Requests made by a function that Python calls use the names of the call that it serves.

## Results

`{ok, Term}`, or for failures:

| result | when |
|---|---|
| `{error, {Class, Text}}` | Python raised: the class's name as an atom, a binary once very many are in use; a string |
| `{error, {stop_iteration, none}}` | it raised `StopIteration` |
| `{error, interrupted}` | it was interrupted, or raised `KeyboardInterrupt` |
| `{error, timeout}` | there was no result in time; the code was interrupted |
| `{error, {overloaded, Current, Max}}` | the limit of `py_semaphore`, or the queue of the context, was full |
| `{error, {context_died, Reason}}` | the context has ended, or there is none |
| `{error, {conversion_error, Text}}` | a value has no counterpart; the text says where it is |

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
?DOC("A module, function or key, or a part of one: an atom, a binary or a string.").
-type name() :: atom() | unicode:chardata().
-type code() :: unicode:chardata().
-type args() :: [term()].
-type kwargs() :: #{atom() | binary() => term()}.
-type locals() :: #{atom() | binary() => term()}.
-type pool() :: py_context_router:pool_name().
?DOC("A reference to an object that stays in Python: from `return => ref`, see `call/5`.").
-type ref() :: term().
?DOC("Names of code: see `py_context:create_local_env/1`.").
-type env() :: term().
-type reason() ::
    {atom() | binary(), string()}
    | {stop_iteration, none}
    | interrupted
    | timeout
    | {overloaded, non_neg_integer(), non_neg_integer()}
    | {context_died, term()}
    | {conversion_error, string()}.
-type result() :: {ok, term()} | {error, reason()}.

%% Calls

?DOC("Calls a function of the default pool, or of the pool that it is registered with. Gives up after 30,000 ms.").
-spec call(name(), name(), args()) -> result().
call(Module, Function, Args) -> ?CALLS:call(Module, Function, Args).

?DOC("""
Calls a function with keyword arguments: `call(Module, Function, Args, Kwargs)`; on a context, without a time limit:
`call(Ctx, Module, Function, Args)`; or on a pool: `call(Pool, Module, Function, Args)`. With the latter two the last argument
is a list.
""").
-spec call(name() | pid() | pool(), name(), name() | args(), kwargs() | args()) -> result().
call(A, B, C, D) -> ?CALLS:call(A, B, C, D).

?DOC("""
Calls a function with keyword arguments: `call(Module, Function, Args, Kwargs, Timeout)`, with a limit in milliseconds;
`call(Ctx, Module, Function, Args, Options)` on a context; or `call(Pool, Module, Function, Args, Kwargs)` on a pool.

Options: `kwargs => map()`, `timeout => timeout()` (default `infinity`), and `return => ref` for a reference to the result.
""").
-spec call(name() | pid() | pool(), name(), name() | args(), kwargs() | args(), timeout() | map()) ->
    result().
call(A, B, C, D, E) -> ?CALLS:call(A, B, C, D, E).

?DOC("Evaluates an expression, for at most 30,000 ms.").
-spec eval(code()) -> result().
eval(Code) -> ?CALLS:eval(Code).

?DOC("""
Evaluates an expression that also sees `Locals`, for at most 30,000 ms: `eval(Code, Locals)`; or one on a context, without a time
limit: `eval(Ctx, Code)`.
""").
-spec eval(code() | pid(), locals() | code()) -> result().
eval(A, B) -> ?CALLS:eval(A, B).

?DOC("""
Evaluates an expression: `eval(Code, Locals, Timeout)`, with a limit in milliseconds; or `eval(Ctx, Code, Locals)` on a context,
without one.
""").
-spec eval(code() | pid(), locals() | code(), timeout() | locals()) -> result().
eval(A, B, C) -> ?CALLS:eval(A, B, C).

?DOC("Runs statements, without a time limit.").
-spec exec(code()) -> ok | {error, reason()}.
exec(Code) -> ?CALLS:exec(Code).

?DOC("Runs statements on a context, without a time limit.").
-spec exec(pid(), code()) -> ok | {error, reason()}.
exec(Ctx, Code) -> ?CALLS:exec(Ctx, Code).

%% Work beside the caller

?DOC("Calls a function whose result nobody wants. A failure is logged.").
-spec cast(name(), name(), args()) -> ok.
cast(Module, Function, Args) -> ?CALLS:cast(Module, Function, Args).

?DOC("`cast(Module, Function, Args, Kwargs)`, or `cast(Ctx | Pool, Module, Function, Args)`.").
-spec cast(name() | pid() | pool(), name(), name() | args(), kwargs() | args()) -> ok.
cast(A, B, C, D) -> ?CALLS:cast(A, B, C, D).

?DOC("As `cast/4`, on a context or a pool.").
-spec cast(pid() | pool(), name(), name(), args(), kwargs()) -> ok.
cast(Where, Module, Function, Args, Kwargs) -> ?CALLS:cast(Where, Module, Function, Args, Kwargs).

?DOC("""
Starts a call and returns at once. The result comes as the message `{py_response, Ref, Result}`; `await/2` waits for it. Gives
up after 30,000 ms. The code sees the names of the calling process, and goes on when that ends.
""").
-spec spawn_call(name(), name(), args()) -> reference().
spawn_call(Module, Function, Args) -> ?CALLS:spawn_call(Module, Function, Args).

?DOC("`spawn_call(Module, Function, Args, Kwargs)`, or `spawn_call(Ctx | Pool, Module, Function, Args)`.").
-spec spawn_call(name() | pid() | pool(), name(), name() | args(), kwargs() | args()) -> reference().
spawn_call(A, B, C, D) -> ?CALLS:spawn_call(A, B, C, D).

?DOC("As `spawn_call/4`, on a context (without a time limit) or a pool.").
-spec spawn_call(pid() | pool(), name(), name(), args(), kwargs()) -> reference().
spawn_call(Where, Module, Function, Args, Kwargs) ->
    ?CALLS:spawn_call(Where, Module, Function, Args, Kwargs).

?DOC("Waits up to 30,000 ms for the result of `spawn_call`.").
-spec await(reference()) -> result().
await(Ref) -> ?CALLS:await(Ref).

?DOC("Waits for the result of `spawn_call`. After `{error, timeout}` the message may still come.").
-spec await(reference(), timeout()) -> result().
await(Ref, Timeout) -> ?CALLS:await(Ref, Timeout).

?DOC("""
Runs `{Module, Function, Args}` calls spread over the contexts of the default pool, and waits for all of them: one result each,
in their order. Those not done after 30,000 ms are interrupted and give `{error, timeout}`.
""").
-spec parallel([{name(), name(), args()}]) -> {ok, [result()]} | {error, reason()}.
parallel(Calls) -> ?CALLS:parallel(Calls).

%% Functions that Python calls

?DOC("""
Lets Python call `Fun` as `erlang.call('Name', …)`, `erlang.Name(…)` or by `from erlang import Name`. It gets one list of all
arguments. `{Module, Function}` is called as `Module:Function([Args])`.
""").
-spec register_function(name(), fun(([term()]) -> term()) | {module(), atom()}) -> ok.
register_function(Name, Fun) -> ?CALLBACK:register(Name, Fun).

?DOC("`register_function(Name, {Module, Function})`.").
-spec register_function(name(), module(), atom()) -> ok.
register_function(Name, Module, Function) -> ?CALLBACK:register(Name, {Module, Function}).

?DOC("Forgets a registered function.").
-spec unregister_function(name()) -> ok.
unregister_function(Name) -> ?CALLBACK:unregister(Name).

%% Objects that stay in Python

?DOC("Calls a method of an object, where the object is. Gives up after 30,000 ms.").
-spec call_method(ref(), name(), args()) -> result().
call_method(Ref, Method, Args) -> ?CALLS:call_method(Ref, Method, Args).

?DOC("An attribute of an object.").
-spec getattr(ref(), name()) -> result().
getattr(Ref, Name) -> ?CALLS:getattr(Ref, Name).

?DOC("The object as a term.").
-spec to_term(ref()) -> result().
to_term(Ref) -> ?CALLS:to_term(Ref).

?DOC("Whether a term is a reference to an object in Python.").
-spec is_ref(term()) -> boolean().
is_ref(Term) -> ?CALLS:is_ref(Term).

%% Contexts

?DOC("The context that serves the calling process. `badarg` when the default pool is stopped.").
-spec context() -> pid().
context() -> ?ROUTER:get_context().

?DOC("Context number `N`, from 1, of the default pool. `badarg` when there is none.").
-spec context(pos_integer()) -> pid().
context(N) -> py_context_router:get_context(N).

?DOC("As `py_context_router:start/0`.").
-spec start_contexts() -> {ok, [pid()]} | {error, term()}.
start_contexts() -> py_context_router:start().

?DOC("As `py_context_router:start/1`.").
-spec start_contexts(py_context_router:start_opts()) -> {ok, [pid()]} | {error, term()}.
start_contexts(Options) -> py_context_router:start(Options).

?DOC("As `py_context_router:stop/0`.").
-spec stop_contexts() -> ok.
stop_contexts() -> py_context_router:stop().

?DOC("Whether the default pool is started.").
-spec contexts_started() -> boolean().
contexts_started() -> py_context_router:is_started().

?DOC("Interrupts what runs on a context: its call returns `{error, interrupted}`.").
-spec interrupt(pid()) -> ok | not_running.
interrupt(Ctx) -> py_context:interrupt(Ctx).

?DOC("""
The names that code of the calling process sees on a context, for the functions that take an environment. Raises
`{context_died, Reason}` when there is no such context.
""").
-spec get_local_env(pid()) -> env().
get_local_env(Ctx) -> ?CONTEXT:local_env(Ctx).

?DOC("Has the calls of a module, or of one `{Module, Function}`, go to a pool.").
-spec register_pool(pool(), name() | {name(), name()}) -> ok.
register_pool(Pool, What) -> ?ROUTER:register_pool(Pool, What).

?DOC("Undoes `register_pool/2`.").
-spec unregister_pool(name() | {name(), name()}) -> ok.
unregister_pool(What) -> ?ROUTER:unregister_pool(What).

%% State shared with Python

?DOC("As `py_state:fetch/1`.").
-spec state_fetch(term()) -> {ok, term()} | {error, not_found}.
state_fetch(Key) -> py_state:fetch(Key).

?DOC("As `py_state:store/2`.").
-spec state_store(term(), term()) -> ok | {error, full}.
state_store(Key, Value) -> py_state:store(Key, Value).

?DOC("As `py_state:remove/1`.").
-spec state_remove(term()) -> ok.
state_remove(Key) -> py_state:remove(Key).

?DOC("As `py_state:keys/0`.").
-spec state_keys() -> [term()].
state_keys() -> py_state:keys().

?DOC("As `py_state:clear/0`.").
-spec state_clear() -> ok.
state_clear() -> py_state:clear().

?DOC("As `py_state:incr/1`.").
-spec state_incr(term()) -> integer() | {error, full}.
state_incr(Key) -> py_state:incr(Key).

?DOC("As `py_state:incr/2`.").
-spec state_incr(term(), integer()) -> integer() | {error, full}.
state_incr(Key, Amount) -> py_state:incr(Key, Amount).

?DOC("As `py_state:decr/1`.").
-spec state_decr(term()) -> integer() | {error, full}.
state_decr(Key) -> py_state:decr(Key).

?DOC("As `py_state:decr/2`.").
-spec state_decr(term(), integer()) -> integer() | {error, full}.
state_decr(Key, Amount) -> py_state:decr(Key, Amount).

%% Facts and settings

?DOC("""
Collects the spans of Python code from now on: what it does within `with erlang.Span(name, **attributes)`, and in functions
decorated with `@erlang.trace()`.

```erlang
1> py:enable_tracing().
ok
2> py:exec(<<"with erlang.Span('order', id=7) as span: span.event('priced', euros=3)">>).
ok
3> {ok, [#{name := Name, status := ok, attributes := Attributes}]} = py:get_traces(), {Name, Attributes}.
{<<"order">>,#{<<"id">> => 7}}
4> {py:disable_tracing(), py:clear_traces()}.
{ok,ok}
```
""").
-spec enable_tracing() -> ok.
enable_tracing() -> ?TRACING:enable().

?DOC("Collects no further spans; those that have ended stay.").
-spec disable_tracing() -> ok.
disable_tracing() -> ?TRACING:disable().

?DOC("""
The spans that have ended, in the order of their ends, at most the last 10,000. Times are microseconds since 1970; `end_attrs` has
the text of the exception that ended a span, as `<<"exception">>`.
""").
-spec get_traces() -> {ok, [trace()]}.
get_traces() -> ?TRACING:traces().

?DOC("Forgets all spans.").
-spec clear_traces() -> ok.
clear_traces() -> ?TRACING:clear().

?DOC("""
Has the calling process keep the traceback of its last failure, from now on or no longer. Off by default: making it costs some
90 microseconds for each failure.

```erlang
1> py:keep_tracebacks(true).
ok
2> {error, {'ZeroDivisionError', _}} = py:eval(<<"1 / 0">>).
{error,_}
3> string:find(py:last_traceback(), "1 / 0") =/= nomatch.
true
4> py:keep_tracebacks(false).
ok
```
""").
-spec keep_tracebacks(boolean()) -> ok.
keep_tracebacks(Keep) -> ?CALLS:keep_tracebacks(Keep).

?DOC("The traceback of the last failure since `keep_tracebacks(true)`, as Python prints it.").
-spec last_traceback() -> binary() | undefined.
last_traceback() -> ?CALLS:last_traceback().

?DOC("The version of Python, such as `<<\"3.14.0\">>`.").
-spec version() -> {ok, binary()}.
version() -> {ok, maps:get(version, 'Elixir.Py':info())}.

?DOC("""
What the garbage collector knows of the interpreter that serves the calling process: `gc_stats`, a map with the binary keys
`collected`, `collections` and `uncollectable` for each of three generations; `gc_count` and `gc_threshold`,
tuples of three. While tracing also `traced_memory_current` and `traced_memory_peak`, in bytes.
""").
-spec memory_stats() -> {ok, map()} | {error, reason()}.
memory_stats() -> ?FACTS:memory_stats().

?DOC("Runs the garbage collector: the number of unreachable objects found.").
-spec gc() -> {ok, non_neg_integer()} | {error, reason()}.
gc() -> gc(2).

?DOC("Runs the garbage collector up to a generation from 0 to 2.").
-spec gc(0..2) -> {ok, non_neg_integer()} | {error, reason()}.
gc(Generation) -> ?FACTS:gc(Generation).

?DOC("""
Has Python's `tracemalloc` trace allocations of the main interpreter. `{error, {not_supported, owngil}}` while own-GIL contexts run;
start none until tracing is stopped: CPython 3.14 crashes when one ends meanwhile.
""").
-spec tracemalloc_start() -> ok | {error, reason() | {not_supported, owngil}}.
tracemalloc_start() -> tracemalloc_start(1).

?DOC("Like `tracemalloc_start/0`, keeping that many frames of each allocation.").
-spec tracemalloc_start(pos_integer()) -> ok | {error, reason() | {not_supported, owngil}}.
tracemalloc_start(Frames) -> ?FACTS:tracemalloc_start(Frames).

?DOC("Ends what `tracemalloc_start/1` began.").
-spec tracemalloc_stop() -> ok | {error, reason()}.
tracemalloc_stop() -> ?FACTS:tracemalloc_stop().

?DOC("Whether this Python has own-GIL sub-interpreters: CPython 3.12 and later.").
-spec subinterp_supported() -> boolean().
subinterp_supported() -> py_nif:subinterp_supported().

?DOC("The mode of the default pool.").
-spec execution_mode() -> worker | owngil.
execution_mode() -> maps:get(context_mode, 'Elixir.Py':info()).

?DOC("Reloads a module in every interpreter that has loaded it.").
-spec reload(name()) -> ok | {error, [{context, reason()}]}.
reload(Module) -> ?SETUP:reload(Module).

?DOC("Has Python's `logging` go to `logger`: see `py_logger`.").
-spec configure_logging() -> ok | {error, reason()}.
configure_logging() -> configure_logging(#{}).

?DOC("""
Like `configure_logging/0`. Options: `level => debug | info | warning | error | critical` (default `debug`), and `format`, a format
of Python's `logging.Formatter`. May be called again.
""").
-spec configure_logging(#{level => atom(), format => unicode:chardata()}) -> ok | {error, reason()}.
configure_logging(Options) -> ?SETUP:configure_logging(Options).
