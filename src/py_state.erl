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

Keys and values are any terms. An atom and the binary of its name are different keys; Elixir and Python know keys that are
binaries. `max_state_entries` of the application's environment is read whenever a value is stored. In Python: `state_get`, `state_set`, `state_delete`,
`state_keys`, `state_clear`, `state_incr` and `state_decr` of the module `erlang`. Counters lose no update, whoever else counts.
""").

-export([fetch/1, store/2, remove/1, keys/0, clear/0, incr/1, incr/2, decr/1, decr/2]).

-define(STATE, 'Elixir.Py.Erlang.State').

?DOC("The value of a key.").
-spec fetch(term()) -> {ok, term()} | {error, not_found}.
fetch(Key) -> ?STATE:fetch(Key).

?DOC("Stores a value. `{error, full}` when the key is new and there are `max_state_entries`.").
-spec store(term(), term()) -> ok | {error, full}.
store(Key, Value) -> ?STATE:store(Key, Value).

?DOC("Removes a key, if it is there.").
-spec remove(term()) -> ok.
remove(Key) -> ?STATE:remove(Key).

?DOC("All keys, in no order.").
-spec keys() -> [term()].
keys() -> ?STATE:keys().

?DOC("Removes all keys.").
-spec clear() -> ok.
clear() -> 'Elixir.Py.State':clear().

?DOC("Adds 1 to a counter: see `incr/2`.").
-spec incr(term()) -> integer() | {error, full}.
incr(Key) -> incr(Key, 1).

?DOC("Adds to a counter, which starts at 0: its new value. `badarg` when the value is no integer.").
-spec incr(term(), integer()) -> integer() | {error, full}.
incr(Key, Amount) -> ?STATE:incr(Key, Amount).

?DOC("Subtracts 1 from a counter: see `incr/2`.").
-spec decr(term()) -> integer() | {error, full}.
decr(Key) -> decr(Key, 1).

?DOC("Subtracts from a counter: see `incr/2`.").
-spec decr(term(), integer()) -> integer() | {error, full}.
decr(Key, Amount) -> ?STATE:decr(Key, Amount).
