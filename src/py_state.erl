-module(py_state).

-include("py_doc.hrl").

?MODULEDOC("""
State shared by Erlang, Elixir and Python.

```erlang
1> py_state:store(limits, #{retries => 3}).
ok
2> py_state:incr(hits, 2).
2
3> py_state:fetch(hits).
{ok,2}
```

The state is a concurrent map in native memory. Every process and every Python context of the node
sees the same entries. They outlive the processes that made them, and end with the VM.

Keys and values are any terms. An atom and the binary of its name are different keys. Elixir and
Python know the keys that are binaries. `fetch/1` returns the very term that was stored; Python
reads its counterpart, by the table of values in `m:py`.

The integers are counters: `incr/2` and `decr/2` are atomic, and updates of Erlang, Elixir and
Python all count.

In Python the module `erlang` has `state_get`, `state_set`, `state_delete`, `state_keys`,
`state_clear`, `state_incr` and `state_decr`.

`max_state_entries` of the application's environment bounds the number of entries. By default
there is no bound. It is read whenever a value is stored.
""").
?MODULESINCE("0.1.0").

-export([fetch/1, store/2, remove/1, keys/0, clear/0, incr/1, incr/2, decr/1, decr/2]).

-define(STATE, 'Elixir.Py.Erlang.State').

?DOC("""
Returns the value of a key.

`{error, not_found}` when there is no such entry.

```erlang
1> py_state:store({user, 1}, [anna]).
ok
2> py_state:fetch({user, 1}).
{ok,[anna]}
3> py_state:remove({user, 1}), py_state:fetch({user, 1}).
{error,not_found}
```
""").
?SINCE("0.1.0").
-spec fetch(term()) -> {ok, term()} | {error, not_found}.
fetch(Key) -> ?STATE:fetch(Key).

?DOC("""
Stores a value under a key, in place of an earlier value.

`{error, full}` when the key is new and there are `max_state_entries` entries already.
""").
?SINCE("0.1.0").
-spec store(term(), term()) -> ok | {error, full}.
store(Key, Value) -> ?STATE:store(Key, Value).

?DOC("Removes the entry of a key. Returns `ok` also when there is none.").
?SINCE("0.1.0").
-spec remove(term()) -> ok.
remove(Key) -> ?STATE:remove(Key).

?DOC("Returns the keys of all entries, in no particular order.").
?SINCE("0.1.0").
-spec keys() -> [term()].
keys() -> ?STATE:keys().

?DOC("Removes all entries, those of other applications and of Python code included.").
?SINCE("0.1.0").
-spec clear() -> ok.
clear() -> 'Elixir.Py.State':clear().

?DOC("Adds 1 to a counter and returns its new value. See `incr/2`.").
?SINCE("0.1.0").
-spec incr(term()) -> integer() | {error, full}.
incr(Key) -> incr(Key, 1).

?DOC("""
Adds an integer to a counter and returns its new value.

A missing counter starts at 0. The update is atomic, and integers may be of any size.

`{error, full}` when the key is new and there are `max_state_entries` entries already. The error
`badarg` when the value or the amount is not an integer.

```erlang
1> py_state:incr(visits, 5).
5
2> py_state:decr(visits).
4
3> py_state:store(visits, many), py_state:incr(visits, 1).
** exception error: bad argument
```
""").
?SINCE("0.1.0").
-spec incr(term(), integer()) -> integer() | {error, full}.
incr(Key, Amount) -> ?STATE:incr(Key, Amount).

?DOC("Subtracts 1 from a counter and returns its new value. See `incr/2`.").
?SINCE("0.1.0").
-spec decr(term()) -> integer() | {error, full}.
decr(Key) -> decr(Key, 1).

?DOC("Subtracts an integer from a counter and returns its new value. See `incr/2`.").
?SINCE("0.1.0").
-spec decr(term(), integer()) -> integer() | {error, full}.
decr(Key, Amount) -> ?STATE:decr(Key, Amount).
