-module(py_callback).

-include("py_doc.hrl").

?MODULEDOC("""
Functions of Erlang that Python may call.

```erlang
1> py_callback:register(sum, fun(Numbers) -> lists:sum(Numbers) end).
ok
2> py:eval(<<"erlang.sum(1, 2, 3)">>).
{ok,6}
3> py_callback:unregister(sum).
ok
```

A function takes one argument, the list of all arguments that Python passes. Values are those of
the table in `m:py`. A registration belongs to no process, and stays until it is removed or the
application stops.

The process that waits for the Python code runs the function. Where none waits, a process of its
own does: for `py:cast/3`, `py:spawn_call/3`, and threads that Python code started. The function
may call Python again, on the same context too, to a depth of 256.

A function that fails, and a name that is not registered, raise `erlang.CallbackError` in Python,
a subclass of `RuntimeError`.
""").
?MODULESINCE("0.1.0").

-export([register/2, unregister/1, lookup/1, execute/2]).

-define(CALLBACK, 'Elixir.Py.Erlang.Callback').

?DOC("""
Registers a function under a name, in place of an earlier one.

`Fun` is a function of one argument, or `{Module, Function}`, which is called as
`Module:Function([Args])`. The error `badarg` for anything else.
""").
?SINCE("0.1.0").
-spec register(py:name(), fun(([term()]) -> term()) | {module(), atom()}) -> ok.
register(Name, Fun) -> ?CALLBACK:register(Name, Fun).

?DOC("Removes the function of that name. Returns `ok` also when there is none.").
?SINCE("0.1.0").
-spec unregister(py:name()) -> ok.
unregister(Name) -> ?CALLBACK:unregister(Name).

?DOC("""
Returns the function of that name, as it was registered.

`{error, not_found}` when there is none.
""").
?SINCE("0.1.0").
-spec lookup(py:name()) -> {ok, fun() | {module(), atom()}} | {error, not_found}.
lookup(Name) -> ?CALLBACK:lookup(Name).

?DOC("""
Runs the function of that name in the calling process, without Python.

`{error, {not_found, Name}}` when there is none. `{error, {Class, Reason, Stacktrace}}` when it
fails, as in `catch Class:Reason:Stacktrace`.

```erlang
1> py_callback:register(inverse, fun([N]) -> 1 / N end).
ok
2> py_callback:execute(inverse, [4]).
{ok,0.25}
3> py_callback:execute(inverse, [0]).
{error,{error,badarith,_}}
4> py_callback:unregister(inverse), py_callback:execute(inverse, [4]).
{error,{not_found,inverse}}
```
""").
?SINCE("0.1.0").
-spec execute(py:name(), [term()]) ->
    {ok, term()} | {error, {not_found, py:name()} | {error | exit | throw, term(), list()}}.
execute(Name, Args) -> ?CALLBACK:execute(Name, Args).
