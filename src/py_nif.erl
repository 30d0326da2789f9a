-module(py_nif).

-include("py_doc.hrl").

?MODULEDOC("""
What is close to the native code. A context is a reference from `py_context:get_nif_ref/1`, an environment one of
`py_context:create_local_env/1` on the same context. Calls wait without a limit.
""").

-export([context_exec/3, context_eval/4, context_call/6]).
-export([owngil_supported/0, subinterp_supported/0, execution_mode/0, get_debug_counters/0]).

-define(CONTEXT, 'Elixir.Py.Erlang.Context').
-define(FACTS, 'Elixir.Py.Erlang.Facts').

?DOC("Runs statements in an environment.").
-spec context_exec(reference(), py:code(), py:env()) -> ok | {error, py:reason()}.
context_exec(Ref, Code, Env) -> ?CONTEXT:exec(Ref, Code, Env).

?DOC("Evaluates an expression in an environment.").
-spec context_eval(reference(), py:code(), py:locals(), py:env()) -> py:result().
context_eval(Ref, Code, Locals, Env) -> ?CONTEXT:eval(Ref, Code, Locals, infinity, Env).

?DOC("Calls a function in an environment.").
-spec context_call(reference(), py:name(), py:name(), py:args(), py:kwargs(), py:env()) -> py:result().
context_call(Ref, Module, Function, Args, Kwargs, Env) ->
    ?CONTEXT:call(Ref, Module, Function, Args, Kwargs, infinity, Env).

?DOC("The same as `subinterp_supported/0`.").
-spec owngil_supported() -> boolean().
owngil_supported() -> subinterp_supported().

?DOC("Whether this Python has own-GIL sub-interpreters: CPython 3.12 and later. Answers before the application is started, too.").
-spec subinterp_supported() -> boolean().
subinterp_supported() -> maps:get(own_gil, 'Elixir.Py.Interpreter':capabilities()).

?DOC("Whether this Python was built without a GIL. Such builds are refused when the application starts, so this is `gil` today.").
-spec execution_mode() -> free_threaded | gil.
execution_mode() -> ?FACTS:execution_mode().

?DOC("""
Counts: `calls`, `errors`, `timeouts`, `interrupts` and `orphans` (their caller died) of the contexts that run, since they
started; requests that are `queued`; permits `in_use` and those `waiting` for one; `contexts`, and `state_entries`.
""").
-spec get_debug_counters() -> #{atom() => non_neg_integer()}.
get_debug_counters() -> ?FACTS:debug_counters().
