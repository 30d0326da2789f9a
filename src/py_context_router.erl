-module(py_context_router).

-include("py_doc.hrl").

?MODULEDOC("""
Chooses the context that serves a call, and keeps pools of contexts.

```erlang
1> Ctx = py_context_router:get_context(1), py_context_router:bind_context(Ctx).
ok
2> py_context_router:get_context() =:= Ctx.
true
3> py_context_router:unbind_context().
ok
```

The application starts a pool, `default`, of `num_contexts` contexts in `context_mode`. A process
is given one of them, in turn, at its first call, and keeps it, so that it finds its names again.
Start other pools for work that needs another mode, other modules, or contexts of its own:

```erlang
1> {ok, [_, _]} = py_context_router:start_pool(ml, 2).
{ok,_}
2> py:call(ml, math, sqrt, [16]).
{ok,4.0}
3> py_context_router:register_pool(ml, statistics), py:call(statistics, mean, [[1, 2, 3]]).
{ok,2}
4> py_context_router:unregister_pool(statistics), py_context_router:stop_pool(ml).
ok
```

A context of a pool that ends is replaced at the same place. Calls that it has taken fail.

The name of a pool is any atom but `true`, `false` and `nil`. Anything else is the error `badarg`.
""").
?MODULESINCE("0.1.0").

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
?DOC("The size and the mode of the default pool. Without them, those of the configuration.").
-type start_opts() :: #{contexts => pos_integer(), mode => py_context:context_mode()}.

?DOC("Starts the default pool as it is configured. See `start/1`.").
?SINCE("0.1.0").
-spec start() -> {ok, [pid()]} | {error, term()}.
start() -> start(#{}).

?DOC("""
Starts the default pool with that many contexts, of that mode, and returns their pids.

A pool that runs already is fine when it is as asked for.

| result | when |
|---|---|
| `{error, {already_started, #{contexts => N, mode => Mode}}}` | it runs, with these settings |
| `{error, {start_failed, Text}}` | a context cannot start |
| `{error, {invalid_mode, Mode}}` | the mode is neither `worker` nor `owngil` |
| `{error, {context_died, not_running}}` | the application is not started |
""").
?SINCE("0.1.0").
-spec start(start_opts()) -> {ok, [pid()]} | {error, term()}.
start(Options) -> ?ROUTER:start(Options).

?DOC("""
Stops the default pool. Its pending calls fail with `{error, {context_died, stopped}}`. See
`stop_pool/1`.
""").
?SINCE("0.1.0").
-spec stop() -> ok | {error, supervised}.
stop() -> stop_pool(default).

?DOC("Returns `true` if the default pool is started.").
?SINCE("0.1.0").
-spec is_started() -> boolean().
is_started() -> pool_started(default).

?DOC("""
Returns the context that serves the calling process. The error `badarg` when the default pool is
stopped.
""").
?SINCE("0.1.0").
-spec get_context() -> pid().
get_context() -> ?ROUTER:get_context().

?DOC("""
Returns context number `N` of the default pool, from 1, or the context of a pool that serves the
process.

The error `badarg` when there is no such context.
""").
?SINCE("0.1.0").
-spec get_context(pos_integer() | pool_name()) -> pid().
get_context(NumberOrPool) -> ?ROUTER:get_context(NumberOrPool).

?DOC("""
Sends the calls of this process to a context, until `unbind_context/0`.

`Ctx` is a pid, or a number in the default pool. When a context of the pool ends, its replacement
takes its place. When another context ends, the binding is dropped, and the pool serves the
process again.

`{error, {context_died, not_found}}` when there is no such context.
""").
?SINCE("0.1.0").
-spec bind_context(pid() | pos_integer()) -> ok | {error, py:reason()}.
bind_context(Ctx) -> bind_context(default, Ctx).

?DOC("Sends the calls of this process to a pool to one context. See `bind_context/1`.").
?SINCE("0.1.0").
-spec bind_context(pool_name(), pid() | pos_integer()) -> ok | {error, py:reason()}.
bind_context(Pool, Ctx) -> ?ROUTER:bind_context(Pool, Ctx).

?DOC("Undoes `bind_context/1`.").
?SINCE("0.1.0").
-spec unbind_context() -> ok.
unbind_context() -> unbind_context(default).

?DOC("Undoes `bind_context/2`.").
?SINCE("0.1.0").
-spec unbind_context(pool_name()) -> ok.
unbind_context(Pool) -> ?ROUTER:unbind_context(Pool).

?DOC("Returns the number of contexts of the default pool; 0 when it is stopped.").
?SINCE("0.1.0").
-spec num_contexts() -> non_neg_integer().
num_contexts() -> num_contexts(default).

?DOC("Returns the number of contexts of a pool; 0 when it is not started.").
?SINCE("0.1.0").
-spec num_contexts(pool_name()) -> non_neg_integer().
num_contexts(Pool) -> ?ROUTER:num_contexts(Pool).

?DOC("Returns the pids of the contexts of the default pool, in their order.").
?SINCE("0.1.0").
-spec contexts() -> [pid()].
contexts() -> contexts(default).

?DOC("Returns the pids of the contexts of a pool, in their order.").
?SINCE("0.1.0").
-spec contexts(pool_name()) -> [pid()].
contexts(Pool) -> ?ROUTER:contexts(Pool).

?DOC("Starts a pool of `worker` contexts. See `start_pool/3`.").
?SINCE("0.1.0").
-spec start_pool(pool_name(), pos_integer()) -> {ok, [pid()]} | {error, term()}.
start_pool(Pool, Size) -> start_pool(Pool, Size, worker).

?DOC("""
Starts a pool and returns the pids of its contexts.

The pool belongs to the application, and runs until `stop_pool/1`. The errors, and what happens
when it runs already, are those of `start/1`.
""").
?SINCE("0.1.0").
-spec start_pool(pool_name(), pos_integer(), py_context:context_mode()) -> {ok, [pid()]} | {error, term()}.
start_pool(Pool, Size, Mode) -> ?ROUTER:start_pool(Pool, Size, Mode).

?DOC("""
Starts a pool linked to the calling process, as a rule a supervisor: see `child_spec/3`.

Unlike a pool of `start_pool/3` it ends with that process. The errors are
`{already_started, Pool}`, `{start_failed, Text}`, `{invalid_mode, Mode}` and
`{context_died, not_running}`.
""").
?SINCE("0.1.0").
-spec start_link(pool_name(), pos_integer(), py_context:context_mode()) -> {ok, pid()} | {error, term()}.
start_link(Pool, Size, Mode) -> ?ROUTER:start_link(Pool, Size, Mode).

?DOC("""
Returns the specification of a pool for supervisors. The pool ends with its supervisor.

The error `badarg` for a mode that is neither `worker` nor `owngil`, and for a size that is not
from 1 to 10,000.

```erlang
1> maps:get(type, py_context_router:child_spec(ml, 2, worker)).
supervisor
```
""").
?SINCE("0.1.0").
-spec child_spec(pool_name(), pos_integer(), py_context:context_mode()) -> supervisor:child_spec().
child_spec(Pool, Size, Mode) -> ?ROUTER:child_spec(Pool, Size, Mode).

?DOC("""
Stops a pool. Returns `ok` also when it is not started.

Its pending calls fail with `{error, {context_died, stopped}}`. `{error, supervised}` for a pool
of `start_link/3`: its supervisor stops it.
""").
?SINCE("0.1.0").
-spec stop_pool(pool_name()) -> ok | {error, supervised}.
stop_pool(Pool) -> ?ROUTER:stop_pool(Pool).

?DOC("Returns `true` if a pool is started.").
?SINCE("0.1.0").
-spec pool_started(pool_name()) -> boolean().
pool_started(Pool) -> ?ROUTER:pool_started(Pool).

?DOC("""
Sends the calls of a module to a pool, from any process of the node, until `unregister_pool/1`.

Calls that name a context or a pool are not affected.
""").
?SINCE("0.1.0").
-spec register_pool(pool_name(), py:name()) -> ok.
register_pool(Pool, Module) -> ?ROUTER:register_pool(Pool, Module).

?DOC("Sends the calls of one function to a pool. It goes before a registration of the module.").
?SINCE("0.1.0").
-spec register_pool(pool_name(), py:name(), py:name()) -> ok.
register_pool(Pool, Module, Function) -> ?ROUTER:register_pool(Pool, {Module, Function}).

?DOC("Undoes `register_pool/2`. Returns `ok` also when there is none.").
?SINCE("0.1.0").
-spec unregister_pool(py:name()) -> ok.
unregister_pool(Module) -> ?ROUTER:unregister_pool(Module).

?DOC("Undoes `register_pool/3`. Returns `ok` also when there is none.").
?SINCE("0.1.0").
-spec unregister_pool(py:name(), py:name()) -> ok.
unregister_pool(Module, Function) -> ?ROUTER:unregister_pool({Module, Function}).

?DOC("Returns the pool that calls of a function go to; `default` without a registration.").
?SINCE("0.1.0").
-spec lookup_pool(py:name(), py:name()) -> pool_name().
lookup_pool(Module, Function) -> ?ROUTER:lookup_pool(Module, Function).

?DOC("""
Returns all registrations.

The function is `'_'` for the registration of a module. Names are atoms where such atoms exist,
else binaries.
""").
?SINCE("0.1.0").
-spec list_pool_registrations() -> [{{atom() | binary(), atom() | binary()}, pool_name()}].
list_pool_registrations() -> ?ROUTER:registrations().
