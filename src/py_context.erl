-module(py_context).

-include("py_doc.hrl").

?MODULEDOC("""
A Python interpreter thread, as a process.

```erlang
1> {ok, Ctx} = py_context:new(#{mode => worker}), is_pid(Ctx).
true
2> py_context:call(Ctx, math, sqrt, [16]).
{ok,4.0}
3> py_context:stop(Ctx).
ok
```

Two modes: `worker`, a thread of the main interpreter, where every C extension works and Python code takes turns; and `owngil`, a
sub-interpreter with its own GIL, which runs Python code in parallel (CPython 3.12 and later).

The functions here use the names of the context itself, shared by all who use it, or those of an environment from
`create_local_env/1`. `py:call(Ctx, …)` and others use names of the calling process. Without a timeout argument they wait
without a limit.
""").

-export([start_link/2, start_link/3, new/1, child_spec/1, stop/1, destroy/1]).
-export([call/4, call/5, call/6, call/7, eval/2, eval/3, eval/4, eval/5, exec/2, exec/3]).
-export([call_method/4, to_term/1, interrupt/1]).
-export([get_interp_id/1, is_subinterp/1, create_local_env/1, get_nif_ref/1]).

-export_type([context/0, context_mode/0, options/0]).

-define(CALLS, 'Elixir.Py.Erlang.Calls').
-define(CONTEXT, 'Elixir.Py.Erlang.Context').

?DOC("The pid of a context, or the name that it is registered with.").
-type context() :: pid() | atom().
-type context_mode() :: worker | owngil.
?DOC("""
`mode` (for `new/1`, default `worker`); `name`, under which the process is registered: an atom, `{local, Atom}`, `{global, Term}` or
`{via, Module, Term}`; `preload`, code that runs first; `paths`, directories put in front of `sys.path`; `max_queue`,
the number of requests that may be queued; `start_timeout` in milliseconds, 60,000 by default.
""").
-type options() :: #{
    mode => context_mode(),
    name => atom() | {local, atom()} | {global, term()} | {via, module(), term()},
    preload => py:code(),
    paths => [py:name()],
    max_queue => pos_integer(),
    start_timeout => timeout()
}.

?DOC("Starts a context linked to the calling process. `Id` is not used; to call it by a name, give the option `name`.").
-spec start_link(term(), context_mode()) -> {ok, context()} | {error, term()}.
start_link(Id, Mode) -> start_link(Id, Mode, #{}).

?DOC("""
Starts a context linked to the calling process. `Id` is not used.

Errors: `{invalid_mode, Mode}`, `{start_failed, Text}` when the interpreter cannot be made or the preloaded code raises, and
`{not_supported, memory_limit}`.
""").
-spec start_link(term(), context_mode(), options()) -> {ok, context()} | {error, term()}.
start_link(_Id, Mode, Options) -> ?CONTEXT:start_link(Mode, Options).

?DOC("Starts a context linked to the calling process, as `start_link/3`.").
-spec new(options()) -> {ok, context()} | {error, term()}.
new(#{mode := Mode} = Options) -> ?CONTEXT:start_link(Mode, Options);
new(Options) -> ?CONTEXT:start_link(worker, Options).

?DOC("""
The specification of a context for supervisors, with the options of `new/1`. With `name`, all functions here find the context by
it, also after a restart, and `py:call(Name, …)` does.
""").
-spec child_spec(options()) -> supervisor:child_spec().
child_spec(Options) -> ?CONTEXT:child_spec(Options).

?DOC("Stops a context. Its pending calls fail, running code is interrupted. One that has ended already is fine.").
-spec stop(context()) -> ok.
stop(Ctx) -> ?CONTEXT:stop(Ctx).

?DOC("The same as `stop/1`.").
-spec destroy(context()) -> ok.
destroy(Ctx) -> stop(Ctx).

?DOC("Calls a function.").
-spec call(context(), py:name(), py:name(), py:args()) -> py:result().
call(Ctx, Module, Function, Args) -> call(Ctx, Module, Function, Args, #{}).

?DOC("Calls a function with keyword arguments.").
-spec call(context(), py:name(), py:name(), py:args(), py:kwargs()) -> py:result().
call(Ctx, Module, Function, Args, Kwargs) -> call(Ctx, Module, Function, Args, Kwargs, infinity).

?DOC("Calls a function, waiting up to `Timeout` milliseconds.").
-spec call(context(), py:name(), py:name(), py:args(), py:kwargs(), timeout()) -> py:result().
call(Ctx, Module, Function, Args, Kwargs, Timeout) ->
    ?CONTEXT:call(Ctx, Module, Function, Args, Kwargs, Timeout).

?DOC("Calls a function in an environment of this context, whose names the module `__main__` stands for.").
-spec call(context(), py:name(), py:name(), py:args(), py:kwargs(), timeout(), py:env()) -> py:result().
call(Ctx, Module, Function, Args, Kwargs, Timeout, Env) ->
    ?CONTEXT:call(Ctx, Module, Function, Args, Kwargs, Timeout, Env).

?DOC("Evaluates an expression.").
-spec eval(context(), py:code()) -> py:result().
eval(Ctx, Code) -> eval(Ctx, Code, #{}).

?DOC("Evaluates an expression that also sees `Locals`. What it assigns then is not kept.").
-spec eval(context(), py:code(), py:locals()) -> py:result().
eval(Ctx, Code, Locals) -> eval(Ctx, Code, Locals, infinity).

?DOC("Evaluates an expression, waiting up to `Timeout` milliseconds.").
-spec eval(context(), py:code(), py:locals(), timeout()) -> py:result().
eval(Ctx, Code, Locals, Timeout) -> ?CONTEXT:eval(Ctx, Code, Locals, Timeout).

?DOC("Evaluates an expression in an environment of this context.").
-spec eval(context(), py:code(), py:locals(), timeout(), py:env()) -> py:result().
eval(Ctx, Code, Locals, Timeout, Env) -> ?CONTEXT:eval(Ctx, Code, Locals, Timeout, Env).

?DOC("Runs statements.").
-spec exec(context(), py:code()) -> ok | {error, py:reason()}.
exec(Ctx, Code) -> ?CONTEXT:exec(Ctx, Code).

?DOC("Runs statements in an environment of this context.").
-spec exec(context(), py:code(), py:env()) -> ok | {error, py:reason()}.
exec(Ctx, Code, Env) -> ?CONTEXT:exec(Ctx, Code, Env).

?DOC("Calls a method of an object, where the object is. Gives up after 30,000 ms.").
-spec call_method(context(), py:ref(), py:name(), py:args()) -> py:result().
call_method(Ctx, Ref, Method, Args) -> ?CALLS:call_method(Ctx, Ref, Method, Args).

?DOC("An object that stays in Python, as a term.").
-spec to_term(py:ref()) -> py:result().
to_term(Ref) -> ?CALLS:to_term(Ref).

?DOC("Interrupts what runs on a context: its call returns `{error, interrupted}`.").
-spec interrupt(context()) -> ok | not_running.
interrupt(Ctx) -> ?CONTEXT:interrupt(Ctx).

?DOC("A number that is another one for each context, in `worker` mode too.").
-spec get_interp_id(context()) -> {ok, non_neg_integer()} | {error, py:reason()}.
get_interp_id(Ctx) -> ?CONTEXT:info(Ctx, id).

?DOC("Whether a context has an interpreter, and a GIL, of its own.").
-spec is_subinterp(context()) -> boolean().
is_subinterp(Ctx) -> ?CONTEXT:info(Ctx, mode) =:= {ok, owngil}.

?DOC("""
Makes an environment: names of its own on this context, at first a copy of the context's. Any process may use it; it is freed
when Erlang forgets it.
""").
-spec create_local_env(context()) -> {ok, py:env()} | {error, py:reason()}.
create_local_env(Ctx) -> ?CONTEXT:new_env(Ctx).

?DOC("What the functions of `py_nif` take for a context. Raises `{context_died, Reason}` when there is none.").
-spec get_nif_ref(context()) -> reference().
get_nif_ref(Ctx) -> ?CONTEXT:nif_ref(Ctx).
