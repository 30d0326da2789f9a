-module(py_semaphore).

-include("py_doc.hrl").

?MODULEDOC("""
The limit on concurrent requests.

```erlang
1> py_semaphore:acquire(1000).
ok
2> py_semaphore:current().
1
3> py_semaphore:release().
ok
```

Every call, evaluation and cast holds a permit from the moment it is handed to a context until its
code is done. There are `max_concurrent` permits, a key of the application's environment. The
default is twice the number of schedulers plus one.

A request without a permit waits in line, up to its timeout, and then fails with
`{error, {overloaded, Current, Max}}`. Nothing of it has run then. What a callback calls needs no
permit of its own.

A permit is given back also when the code fails, the caller dies or the context ends.
""").
?MODULESINCE("0.1.0").

-export([init/0, acquire/1, release/0, max_concurrent/0, current/0, set_max_concurrent/1]).

-define(SEMAPHORE, 'Elixir.Py.Erlang.Semaphore').

?DOC("""
Does nothing and returns `ok`.

The application sets the limit when it starts. The function is there for programs written for
earlier versions.
""").
?SINCE("0.1.0").
-spec init() -> ok.
init() -> ok.

?DOC("""
Takes a permit for the calling process, waiting in line up to `Timeout` milliseconds.

Use it to count other work against the same limit. The permit is given back by `release/0`, or
when the process ends. Python calls of the process need permits of their own.

`{error, max_concurrent}` when there was no permit in time. The error `badarg` for a timeout that
is neither `infinity` nor an integer from 0 to 4,294,967,295.
""").
?SINCE("0.1.0").
-spec acquire(timeout()) -> ok | {error, max_concurrent}.
acquire(Timeout) -> ?SEMAPHORE:acquire(Timeout).

?DOC("Gives back a permit that this process has acquired. Without one it does nothing.").
?SINCE("0.1.0").
-spec release() -> ok.
release() -> ?SEMAPHORE:release().

?DOC("Returns the limit: the number of permits.").
?SINCE("0.1.0").
-spec max_concurrent() -> non_neg_integer().
max_concurrent() -> 'Elixir.Py.Semaphore':max_concurrent().

?DOC("Returns the number of permits in use.").
?SINCE("0.1.0").
-spec current() -> non_neg_integer().
current() -> 'Elixir.Py.Semaphore':in_use().

?DOC("""
Changes the limit, until the application stops.

Raising it lets waiting requests run at once. Lowering it takes no permit from running requests.
The error `badarg` for anything but a positive integer.
""").
?SINCE("0.1.0").
-spec set_max_concurrent(pos_integer()) -> ok.
set_max_concurrent(Max) -> ?SEMAPHORE:set_max_concurrent(Max).
