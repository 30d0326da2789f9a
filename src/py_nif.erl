-module(py_nif).

-include("py_doc.hrl").

?MODULEDOC("""
Calls of a context by its native reference, for programs written for the C package.

A context is a reference from `py_context:get_nif_ref/1`. An environment is one of
`py_context:create_local_env/1` on the same context. Calls wait without a limit. New programs use
`m:py_context`.
""").
?MODULESINCE("0.1.0").

-export([context_exec/3, context_eval/4, context_call/6]).
-export([owngil_supported/0, subinterp_supported/0, execution_mode/0, get_debug_counters/0]).

-define(CONTEXT, 'Elixir.Py.Erlang.Context').
-define(FACTS, 'Elixir.Py.Erlang.Facts').

?DOC("""
Runs statements in an environment of the context.

Failures are those of `m:py`. An environment of another context is
`{error, {context_died, wrong_interpreter}}`.
""").
?SINCE("0.1.0").
-spec context_exec(reference(), py:code(), py:env()) -> ok | {error, py:reason()}.
context_exec(Ref, Code, Env) -> ?CONTEXT:exec(Ref, Code, Env).

?DOC("""
Evaluates an expression in an environment of the context. The expression also sees `Locals`.

Failures are those of `context_exec/3`.
""").
?SINCE("0.1.0").
-spec context_eval(reference(), py:code(), py:locals(), py:env()) -> py:result().
context_eval(Ref, Code, Locals, Env) -> ?CONTEXT:eval(Ref, Code, Locals, infinity, Env).

?DOC("""
Calls a function in an environment of the context, whose names the module `__main__` stands for.

Failures are those of `context_exec/3`.
""").
?SINCE("0.1.0").
-spec context_call(reference(), py:name(), py:name(), py:args(), py:kwargs(), py:env()) -> py:result().
context_call(Ref, Module, Function, Args, Kwargs, Env) ->
    ?CONTEXT:call(Ref, Module, Function, Args, Kwargs, infinity, Env).

?DOC("The same as `subinterp_supported/0`.").
?SINCE("0.1.0").
-spec owngil_supported() -> boolean().
owngil_supported() -> subinterp_supported().

?DOC("""
Returns `true` if this Python has own-GIL sub-interpreters: CPython 3.12+.

It answers before the application is started, too.
""").
?SINCE("0.1.0").
-spec subinterp_supported() -> boolean().
subinterp_supported() -> maps:get(own_gil, 'Elixir.Py.Interpreter':capabilities()).

?DOC("""
Returns `free_threaded` if this Python was built without a GIL, else `gil`.

The application refuses to start with a free-threaded Python, so the answer is `gil` today.
""").
?SINCE("0.1.0").
-spec execution_mode() -> free_threaded | gil.
execution_mode() -> ?FACTS:execution_mode().

?DOC("""
Returns counts of what happens in Python now, and since the contexts have started:

| key | counts |
|---|---|
| `calls`, `errors` | requests that ended, and those that ended with an error |
| `timeouts`, `interrupts` | requests that ran out of time, and interrupts of running code |
| `orphans` | requests whose caller died |
| `queued` | requests that wait in the queues of contexts now |
| `in_use`, `waiting` | permits in use, and requests that wait for a permit |
| `contexts`, `state_entries` | contexts that run, and entries of the shared state |

The first five are sums over the contexts that run, and do not include contexts that have ended.
""").
?SINCE("0.1.0").
-spec get_debug_counters() -> #{atom() => non_neg_integer()}.
get_debug_counters() -> ?FACTS:debug_counters().
