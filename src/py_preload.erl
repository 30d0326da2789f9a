-module(py_preload).

-include("py_doc.hrl").

?MODULEDOC("""
The code that every context runs when it starts.

```erlang
1> py_preload:set_code("GREETING = 'hello'").
ok
2> {ok, Ctx} = py_context:new(#{}), py_context:eval(Ctx, "GREETING").
{ok,<<"hello">>}
3> py_context:stop(Ctx), py_preload:clear_code().
ok
```

The names that the code defines are seen by all code of the context. Contexts that run already are
not changed. It is the key `preload` of the application's environment, and may be set before the
application starts.

Code that raises keeps contexts from starting: `{error, {start_failed, Text}}`, with the
traceback.
""").
?MODULESINCE("0.1.0").

-export([set_code/1, get_code/0, clear_code/0, has_preload/0]).

-define(SETUP, 'Elixir.Py.Erlang.Setup').

?DOC("""
Sets the code that contexts run first when they start from now on.

It replaces earlier code. The error `badarg` for code that is not text.
""").
?SINCE("0.1.0").
-spec set_code(py:code()) -> ok.
set_code(Code) -> ?SETUP:set_preload(Code).

?DOC("Returns the code that contexts run when they start, or `undefined`.").
?SINCE("0.1.0").
-spec get_code() -> binary() | undefined.
get_code() -> ?SETUP:get_preload().

?DOC("Removes the code. Contexts that run keep what it has defined.").
?SINCE("0.1.0").
-spec clear_code() -> ok.
clear_code() -> 'Elixir.Py.Setup':delete_preload().

?DOC("Returns `true` if there is such code.").
?SINCE("0.1.0").
-spec has_preload() -> boolean().
has_preload() -> get_code() =/= undefined.
