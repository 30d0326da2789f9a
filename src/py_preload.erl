-module(py_preload).

-include("py_doc.hrl").

?MODULEDOC("""
Code that contexts run when they start; what it defines is seen by all code they run.

It is the `preload` of the configuration, and may be set before the application starts. Contexts that run already are not changed.
Code that raises keeps contexts from starting.
""").

-export([set_code/1, get_code/0, clear_code/0, has_preload/0]).

-define(SETUP, 'Elixir.Py.Erlang.Setup').

?DOC("Has contexts that start from now on run this code first.").
-spec set_code(py:code()) -> ok.
set_code(Code) -> ?SETUP:set_preload(Code).

?DOC("The code that contexts run when they start.").
-spec get_code() -> binary() | undefined.
get_code() -> ?SETUP:get_preload().

?DOC("Forgets the code.").
-spec clear_code() -> ok.
clear_code() -> 'Elixir.Py.Setup':delete_preload().

?DOC("Whether there is such code.").
-spec has_preload() -> boolean().
has_preload() -> get_code() =/= undefined.
