-module(py_callback).

-include("py_doc.hrl").

?MODULEDOC("""
Functions of Erlang that Python may call: see `py:register_function/2`.

A function runs in the process that waits for the Python code; where none waits (`py:cast`, `py:spawn_call`, threads that Python
code started), in one of its own. It may call Python again, on the same context too. One that fails raises
`erlang.CallbackError`, a subclass of `RuntimeError`, in Python.
""").

-export([register/2, unregister/1, lookup/1, execute/2]).

-define(CALLBACK, 'Elixir.Py.Erlang.Callback').

?DOC("Registers a function under a name, in place of the one before.").
-spec register(py:name(), fun(([term()]) -> term()) | {module(), atom()}) -> ok.
register(Name, Fun) -> ?CALLBACK:register(Name, Fun).

?DOC("Forgets the function of that name.").
-spec unregister(py:name()) -> ok.
unregister(Name) -> ?CALLBACK:unregister(Name).

?DOC("The function of that name.").
-spec lookup(py:name()) -> {ok, fun() | {module(), atom()}} | {error, not_found}.
lookup(Name) -> ?CALLBACK:lookup(Name).

?DOC("Runs the function of that name, in the calling process.").
-spec execute(py:name(), [term()]) ->
    {ok, term()} | {error, {not_found, py:name()} | {error | exit | throw, term(), list()}}.
execute(Name, Args) -> ?CALLBACK:execute(Name, Args).
