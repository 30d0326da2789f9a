-module(py_logger).

-include("py_doc.hrl").

?MODULEDOC("""
Python's `logging` in `logger`, from `py:configure_logging/0` on.

Events have the level, the text and the time of Python's record and the metadata `t:metadata/0`. To keep them out of a handler, or
to let only them in, filter by the domain `[python]` with `logger_filters:domain/2`.

The application does the work: this module has types and no functions.
""").

-export_type([metadata/0]).

?DOC("Metadata of an event: `py_logger` is the name of Python's logger.").
-type metadata() :: #{
    domain := [python],
    py_logger := binary(),
    py_function := binary(),
    file := string(),
    line := pos_integer(),
    time := integer(),
    _ => term()
}.
