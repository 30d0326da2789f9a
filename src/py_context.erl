-module(py_context).

-include("py_doc.hrl").

?MODULEDOC("""
A Python interpreter thread, as a process.

```erlang
1> {ok, Ctx} = py_context:new(#{mode => worker}), is_pid(Ctx).
true
2> py_context:call(Ctx, math, sqrt, [16]).
{ok,4.0}
3> py_context:exec(Ctx, "total = 40"), py_context:eval(Ctx, "total + 2").
{ok,42}
4> py_context:stop(Ctx).
ok
```

## Modes

  * `worker` - a thread of the main interpreter. Every C extension works. Worker contexts share
    one GIL, so their Python code takes turns, but not while C code or I/O has released the GIL
  * `owngil` - a sub-interpreter with its own GIL (CPython 3.12+). Its Python code runs in
    parallel to that of other contexts. Modules and state are its own, and C extensions must
    support sub-interpreters

## Names

The functions here use the names of the context itself, which all its users share, or those of an
environment from `create_local_env/1`. `py:call(Ctx, …)` and others use names of the calling
process.

## Timeouts and failures

Without a timeout argument, calls wait without a limit. Failures are those of the table in `m:py`.
A wrong type of an argument is the error `badarg`.
""").
?MODULESINCE("0.1.0").

-export([start_link/2, start_link/3, new/1, child_spec/1, stop/1, destroy/1]).
-export([call/4, call/5, call/6, call/7, eval/2, eval/3, eval/4, eval/5, exec/2, exec/3]).
-export([call_method/4, to_term/1, interrupt/1]).
-export([get_interp_id/1, is_subinterp/1, create_local_env/1, get_nif_ref/1]).

-export_type([context/0, context_mode/0, options/0]).

-define(CALLS, 'Elixir.Py.Erlang.Calls').
-define(CONTEXT, 'Elixir.Py.Erlang.Context').

?DOC("The pid of a context, or the name that it is registered with.").
-type context() :: pid() | atom().
?DOC("A thread of the main interpreter, or a sub-interpreter with its own GIL.").
-type context_mode() :: worker | owngil.
?DOC("""
Options of a context:

  * `mode` - for `new/1`: `worker` (default) or `owngil`
  * `name` - registers the process: an atom, `{local, Atom}`, `{global, Term}` or `{via, Module, Term}`
  * `preload` - code that runs first. Default: that of `m:py_preload`
  * `paths` - directories put in front of `sys.path`, which all worker contexts share
  * `max_queue` - how many requests may be queued; a further one is `{error, {overloaded, _, _}}` at
    once. Default: `max_queue` of the application's environment
  * `start_timeout` - how long starting may take, the preloaded code included, in milliseconds.
    Default: `start_timeout` of the application's environment, 60,000
""").
-type options() :: #{
    mode => context_mode(),
    name => atom() | {local, atom()} | {global, term()} | {via, module(), term()},
    preload => py:code(),
    paths => [py:name()],
    max_queue => pos_integer(),
    start_timeout => timeout()
}.

?DOC("""
Starts a context linked to the calling process. `Id` is not used; to find the context by a name,
give the option `name` to `start_link/3`.
""").
?SINCE("0.1.0").
-spec start_link(term(), context_mode()) -> {ok, context()} | {error, term()}.
start_link(Id, Mode) -> start_link(Id, Mode, #{}).

?DOC("""
Starts a context linked to the calling process. `Id` is not used.

It returns when the context has started and its `preload` code has run.

| result | when |
|---|---|
| `{error, {invalid_mode, Mode}}` | the mode is neither `worker` nor `owngil` |
| `{error, {start_failed, Text}}` | the interpreter cannot be made, or the preloaded code raises |
| `{error, {not_supported, memory_limit}}` | the option `memory_limit` of the C package is given |
| `{error, {already_started, Pid}}` | a process has the name |

An unknown option, and a wrong value of one, is the error `badarg`.
""").
?SINCE("0.1.0").
-spec start_link(term(), context_mode(), options()) -> {ok, context()} | {error, term()}.
start_link(_Id, Mode, Options) -> ?CONTEXT:start_link(Mode, Options).

?DOC("""
Starts a context linked to the calling process, of the mode in the options. See `start_link/3`.
""").
?SINCE("0.1.0").
-spec new(options()) -> {ok, context()} | {error, term()}.
new(#{mode := Mode} = Options) -> ?CONTEXT:start_link(Mode, Options);
new(Options) -> ?CONTEXT:start_link(worker, Options).

?DOC("""
Returns the specification of a context for supervisors, with the options of `new/1`.

With the option `name`, all functions here find the context by it, also after a restart. So does
`py:call(Name, …)`.

```erlang
1> maps:get(id, py_context:child_spec(#{name => reports})).
reports
2> maps:get(start, py_context:child_spec(#{name => reports})).
{py_context,new,[#{name => reports}]}
```
""").
?SINCE("0.1.0").
-spec child_spec(options()) -> supervisor:child_spec().
child_spec(Options) -> ?CONTEXT:child_spec(Options).

?DOC("""
Stops a context. Returns `ok` also when it has ended already.

Running code is interrupted, and calls that wait for the context fail with
`{error, {context_died, stopped}}`. A context of a pool is replaced.
""").
?SINCE("0.1.0").
-spec stop(context()) -> ok.
stop(Ctx) -> ?CONTEXT:stop(Ctx).

?DOC("The same as `stop/1`.").
?SINCE("0.1.0").
-spec destroy(context()) -> ok.
destroy(Ctx) -> stop(Ctx).

?DOC("Calls a function with positional arguments, without a time limit.").
?SINCE("0.1.0").
-spec call(context(), py:name(), py:name(), py:args()) -> py:result().
call(Ctx, Module, Function, Args) -> call(Ctx, Module, Function, Args, #{}).

?DOC("""
Calls a function with keyword arguments, without a time limit.

```erlang
1> {ok, Ctx} = py_context:new(#{}).
{ok,_}
2> py_context:call(Ctx, builtins, sorted, [[1, 3, 2]], #{reverse => true}).
{ok,[3,2,1]}
3> py_context:stop(Ctx).
ok
```
""").
?SINCE("0.1.0").
-spec call(context(), py:name(), py:name(), py:args(), py:kwargs()) -> py:result().
call(Ctx, Module, Function, Args, Kwargs) -> call(Ctx, Module, Function, Args, Kwargs, infinity).

?DOC("""
Calls a function, waiting up to `Timeout` milliseconds.

The time in the queue counts. Code that takes longer is interrupted, and the result is
`{error, timeout}`.
""").
?SINCE("0.1.0").
-spec call(context(), py:name(), py:name(), py:args(), py:kwargs(), timeout()) -> py:result().
call(Ctx, Module, Function, Args, Kwargs, Timeout) ->
    ?CONTEXT:call(Ctx, Module, Function, Args, Kwargs, Timeout).

?DOC("""
Calls a function in an environment of the context, whose names the module `__main__` stands for.

An environment of another context is `{error, {context_died, wrong_interpreter}}`.
""").
?SINCE("0.1.0").
-spec call(context(), py:name(), py:name(), py:args(), py:kwargs(), timeout(), py:env()) -> py:result().
call(Ctx, Module, Function, Args, Kwargs, Timeout, Env) ->
    ?CONTEXT:call(Ctx, Module, Function, Args, Kwargs, Timeout, Env).

?DOC("Evaluates an expression, without a time limit.").
?SINCE("0.1.0").
-spec eval(context(), py:code()) -> py:result().
eval(Ctx, Code) -> eval(Ctx, Code, #{}).

?DOC("""
Evaluates an expression that also sees `Locals`, without a time limit.

Names that the expression assigns (`:=`) are not kept then.
""").
?SINCE("0.1.0").
-spec eval(context(), py:code(), py:locals()) -> py:result().
eval(Ctx, Code, Locals) -> eval(Ctx, Code, Locals, infinity).

?DOC("""
Evaluates an expression, waiting up to `Timeout` milliseconds.

Code that takes longer is interrupted, and the result is `{error, timeout}`.
""").
?SINCE("0.1.0").
-spec eval(context(), py:code(), py:locals(), timeout()) -> py:result().
eval(Ctx, Code, Locals, Timeout) -> ?CONTEXT:eval(Ctx, Code, Locals, Timeout).

?DOC("""
Evaluates an expression in an environment of the context. It waits up to `Timeout` milliseconds.

An environment of another context is `{error, {context_died, wrong_interpreter}}`.
""").
?SINCE("0.1.0").
-spec eval(context(), py:code(), py:locals(), timeout(), py:env()) -> py:result().
eval(Ctx, Code, Locals, Timeout, Env) -> ?CONTEXT:eval(Ctx, Code, Locals, Timeout, Env).

?DOC("Runs statements, without a time limit. The names that they define stay in the context.").
?SINCE("0.1.0").
-spec exec(context(), py:code()) -> ok | {error, py:reason()}.
exec(Ctx, Code) -> ?CONTEXT:exec(Ctx, Code).

?DOC("""
Runs statements in an environment of the context, without a time limit. The names that they define
stay in the environment.
""").
?SINCE("0.1.0").
-spec exec(context(), py:code(), py:env()) -> ok | {error, py:reason()}.
exec(Ctx, Code, Env) -> ?CONTEXT:exec(Ctx, Code, Env).

?DOC("""
Calls a method of an object, on the context that has the object. It waits for at most 30,000 ms.

`Ctx` is checked but not used: the object knows its context. See `py:call_method/3`.
""").
?SINCE("0.1.0").
-spec call_method(context(), py:ref(), py:name(), py:args()) -> py:result().
call_method(Ctx, Ref, Method, Args) -> ?CALLS:call_method(Ctx, Ref, Method, Args).

?DOC("Converts an object that stays in Python to a term. See `py:to_term/1`.").
?SINCE("0.1.0").
-spec to_term(py:ref()) -> py:result().
to_term(Ref) -> ?CALLS:to_term(Ref).

?DOC("""
Interrupts the code that runs on a context. Its call returns `{error, interrupted}`.

Python raises `KeyboardInterrupt` at the next bytecode, so C code runs on until it returns.
`not_running` when nothing runs, or there is no such context.
""").
?SINCE("0.1.0").
-spec interrupt(context()) -> ok | not_running.
interrupt(Ctx) -> ?CONTEXT:interrupt(Ctx).

?DOC("""
Returns a number that no other context of the VM has had, whatever its mode.

`{error, {context_died, Reason}}` when there is no such context.
""").
?SINCE("0.1.0").
-spec get_interp_id(context()) -> {ok, non_neg_integer()} | {error, py:reason()}.
get_interp_id(Ctx) -> ?CONTEXT:info(Ctx, id).

?DOC("Returns `true` if a context has an interpreter, and a GIL, of its own.").
?SINCE("0.1.0").
-spec is_subinterp(context()) -> boolean().
is_subinterp(Ctx) -> ?CONTEXT:info(Ctx, mode) =:= {ok, owngil}.

?DOC("""
Makes an environment: names of its own on this context, at first a copy of the context's names.

Any process may use it, on this context only. It is freed when Erlang has garbage collected the
last copy of the term.

```erlang
1> {ok, Ctx} = py_context:new(#{}).
{ok,_}
2> {ok, Env} = py_context:create_local_env(Ctx).
{ok,_}
3> py_context:exec(Ctx, "x = 1", Env), py_context:eval(Ctx, "x", #{}, infinity, Env).
{ok,1}
4> py_context:eval(Ctx, "x").
{error,{'NameError',_}}
5> py_context:stop(Ctx).
ok
```
""").
?SINCE("0.1.0").
-spec create_local_env(context()) -> {ok, py:env()} | {error, py:reason()}.
create_local_env(Ctx) -> ?CONTEXT:new_env(Ctx).

?DOC("""
Returns the reference of a context that the functions of `m:py_nif` take.

It raises `{context_died, Reason}` when there is no such context.
""").
?SINCE("0.1.0").
-spec get_nif_ref(context()) -> reference().
get_nif_ref(Ctx) -> ?CONTEXT:nif_ref(Ctx).
