-module(py_context_router).

-include("py_doc.hrl").

?MODULEDOC("""
Chooses the context that serves a call.

```erlang
1> Ctx = py_context_router:get_context(1), py_context_router:bind_context(Ctx).
ok
2> py_context_router:get_context() =:= Ctx.
true
3> py_context_router:unbind_context().
ok
```

The application starts a default pool of `num_contexts` contexts in `context_mode`. A process is given one of them in turn at its
first call and keeps it, so that it finds its names again. A context that ends is replaced.
""").

-export([start/0, start/1, stop/0, is_started/0, get_context/0, get_context/1]).
-export([bind_context/1, bind_context/2, unbind_context/0, unbind_context/1]).
-export([num_contexts/0, num_contexts/1, contexts/0, contexts/1]).
-export([start_pool/2, start_pool/3, start_link/3, child_spec/3, stop_pool/1, pool_started/1]).
-export([register_pool/2, register_pool/3, unregister_pool/1, unregister_pool/2]).
-export([lookup_pool/2, list_pool_registrations/0]).

-export_type([pool_name/0, start_opts/0]).

-define(ROUTER, 'Elixir.Py.Erlang.Router').

?DOC("The name of a pool; `default` is the one that the application starts.").
-type pool_name() :: atom().
-type start_opts() :: #{contexts => pos_integer(), mode => py_context:context_mode()}.

?DOC("Starts the default pool as it is configured. One that runs is fine.").
-spec start() -> {ok, [pid()]} | {error, term()}.
start() -> start(#{}).

?DOC("""
Starts the default pool with that many contexts, of that mode. One that runs is fine when it is as asked for; otherwise
`{error, {already_started, #{contexts => N, mode => Mode}}}` says what it is. `{error, {start_failed, Text}}` when a context
cannot start.
""").
-spec start(start_opts()) -> {ok, [pid()]} | {error, term()}.
start(Options) -> ?ROUTER:start(Options).

?DOC("Stops the default pool. Its pending calls fail.").
-spec stop() -> ok | {error, supervised}.
stop() -> stop_pool(default).

?DOC("Whether the default pool is started.").
-spec is_started() -> boolean().
is_started() -> pool_started(default).

?DOC("The context that serves the calling process. `badarg` when the default pool is stopped.").
-spec get_context() -> pid().
get_context() -> ?ROUTER:get_context().

?DOC("Context number `N` of the default pool, from 1; or the one of a pool that serves the process. `badarg` when there is none.").
-spec get_context(pos_integer() | pool_name()) -> pid().
get_context(NumberOrPool) -> ?ROUTER:get_context(NumberOrPool).

?DOC("""
Has the calls of this process go to a context, until `unbind_context/0`. A context of the pool is replaced when it ends, another
one is then forgotten.
""").
-spec bind_context(pid() | pos_integer()) -> ok | {error, py:reason()}.
bind_context(Ctx) -> bind_context(default, Ctx).

?DOC("Like `bind_context/1`, for the calls of this process to a pool.").
-spec bind_context(pool_name(), pid() | pos_integer()) -> ok | {error, py:reason()}.
bind_context(Pool, Ctx) -> ?ROUTER:bind_context(Pool, Ctx).

?DOC("Undoes `bind_context/1`.").
-spec unbind_context() -> ok.
unbind_context() -> unbind_context(default).

?DOC("Undoes `bind_context/2`.").
-spec unbind_context(pool_name()) -> ok.
unbind_context(Pool) -> ?ROUTER:unbind_context(Pool).

?DOC("The number of contexts of the default pool; 0 when it is stopped.").
-spec num_contexts() -> non_neg_integer().
num_contexts() -> num_contexts(default).

?DOC("The number of contexts of a pool.").
-spec num_contexts(pool_name()) -> non_neg_integer().
num_contexts(Pool) -> ?ROUTER:num_contexts(Pool).

?DOC("The contexts of the default pool.").
-spec contexts() -> [pid()].
contexts() -> contexts(default).

?DOC("The contexts of a pool.").
-spec contexts(pool_name()) -> [pid()].
contexts(Pool) -> ?ROUTER:contexts(Pool).

?DOC("Starts a pool of `worker` contexts.").
-spec start_pool(pool_name(), pos_integer()) -> {ok, [pid()]} | {error, term()}.
start_pool(Pool, Size) -> start_pool(Pool, Size, worker).

?DOC("Starts a pool. One that runs is treated as by `start/1`.").
-spec start_pool(pool_name(), pos_integer(), py_context:context_mode()) -> {ok, [pid()]} | {error, term()}.
start_pool(Pool, Size, Mode) -> ?ROUTER:start_pool(Pool, Size, Mode).

?DOC("""
Starts a pool of contexts linked to the calling process, a supervisor as a rule: `child_spec/3`. Unlike one of `start_pool/3` it
ends with that process. Errors: `{already_started, Pool}`, `{start_failed, Text}`, `{invalid_mode, Mode}`.
""").
-spec start_link(pool_name(), pos_integer(), py_context:context_mode()) -> {ok, pid()} | {error, term()}.
start_link(Pool, Size, Mode) -> ?ROUTER:start_link(Pool, Size, Mode).

?DOC("The specification of a pool for supervisors: it ends with them, and the contexts that end come back.").
-spec child_spec(pool_name(), pos_integer(), py_context:context_mode()) -> supervisor:child_spec().
child_spec(Pool, Size, Mode) -> ?ROUTER:child_spec(Pool, Size, Mode).

?DOC("Stops a pool. One that is not started is fine. `{error, supervised}` for one of `start_link/3`: its supervisor stops it.").
-spec stop_pool(pool_name()) -> ok | {error, supervised}.
stop_pool(Pool) -> ?ROUTER:stop_pool(Pool).

?DOC("Whether a pool is started.").
-spec pool_started(pool_name()) -> boolean().
pool_started(Pool) -> ?ROUTER:pool_started(Pool).

?DOC("Has the calls of a module go to a pool.").
-spec register_pool(pool_name(), py:name()) -> ok.
register_pool(Pool, Module) -> ?ROUTER:register_pool(Pool, Module).

?DOC("Has the calls of one function go to a pool. This goes before what its module is registered with.").
-spec register_pool(pool_name(), py:name(), py:name()) -> ok.
register_pool(Pool, Module, Function) -> ?ROUTER:register_pool(Pool, {Module, Function}).

?DOC("Undoes `register_pool/2`.").
-spec unregister_pool(py:name()) -> ok.
unregister_pool(Module) -> ?ROUTER:unregister_pool(Module).

?DOC("Undoes `register_pool/3`.").
-spec unregister_pool(py:name(), py:name()) -> ok.
unregister_pool(Module, Function) -> ?ROUTER:unregister_pool({Module, Function}).

?DOC("The pool that calls of a function go to.").
-spec lookup_pool(py:name(), py:name()) -> pool_name().
lookup_pool(Module, Function) -> ?ROUTER:lookup_pool(Module, Function).

?DOC("All registrations; the function is `'_'` for those of a module. Names are atoms where such atoms exist.").
-spec list_pool_registrations() -> [{{atom() | binary(), atom() | binary()}, pool_name()}].
list_pool_registrations() -> ?ROUTER:registrations().
