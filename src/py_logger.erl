-module(py_logger).

-include("py_doc.hrl").

?MODULEDOC("""
Python's `logging` in OTP's `logger`, from `py:configure_logging/0` on.

An event has the level, the text and the time of Python's record, and the metadata `t:metadata/0`.
The level `critical` of Python is `critical` here, and levels below `DEBUG` are `debug`.

To drop the events, or to let only them in, filter by the domain `[python]`:

```erlang
1> Filter = {fun logger_filters:domain/2, {stop, sub, [python]}}.
{_,{stop,sub,[python]}}
2> logger:add_primary_filter(no_python, Filter).
ok
3> logger:remove_primary_filter(no_python).
ok
```

The application does the work: this module has types and no functions.
""").
?MODULESINCE("0.1.0").

-export_type([metadata/0]).

?DOC("""
The metadata of an event.

`py_logger` is the name of Python's logger, and `py_function` the function that logged. `file` and
`line` are the place in Python code. `time` is in microseconds since 1970.
""").
-type metadata() :: #{
    domain := [python],
    py_logger := binary(),
    py_function := binary(),
    file := string(),
    line := pos_integer(),
    time := integer(),
    _ => term()
}.
