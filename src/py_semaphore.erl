-module(py_semaphore).

-include("py_doc.hrl").

?MODULEDOC("""
The limit on concurrent Python work.

Every call, evaluation and cast holds a permit from the moment it is handed to a context until its code is done. Beyond the limit
(`max_concurrent` of the configuration, by default twice the schedulers plus one) work waits its turn, up to its timeout, and then
gives `{error, {overloaded, Current, Max}}`. Permits come back whatever happens.
""").

-export([init/0, acquire/1, release/0, max_concurrent/0, current/0, set_max_concurrent/1]).

-define(SEMAPHORE, 'Elixir.Py.Erlang.Semaphore').

?DOC("Does nothing: the application has the limit in place when it starts.").
-spec init() -> ok.
init() -> ok.

?DOC("""
Takes a permit for the calling process, waiting in line up to `Timeout` milliseconds. It comes back with `release/0`, or when
the process ends.
""").
-spec acquire(timeout()) -> ok | {error, max_concurrent}.
acquire(Timeout) -> ?SEMAPHORE:acquire(Timeout).

?DOC("Gives back a permit that this process has acquired. Without one it does nothing.").
-spec release() -> ok.
release() -> ?SEMAPHORE:release().

?DOC("The limit.").
-spec max_concurrent() -> non_neg_integer().
max_concurrent() -> 'Elixir.Py.Semaphore':max_concurrent().

?DOC("Permits in use.").
-spec current() -> non_neg_integer().
current() -> 'Elixir.Py.Semaphore':in_use().

?DOC("Changes the limit. Raising it serves those that wait; lowering it takes nothing from work that runs.").
-spec set_max_concurrent(pos_integer()) -> ok.
set_max_concurrent(Max) -> ?SEMAPHORE:set_max_concurrent(Max).
