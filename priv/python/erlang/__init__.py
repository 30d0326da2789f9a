"""The BEAM as seen from Python code that runs inside it.

Functions. A function registered with `Py.register_function` is called by its name: `erlang.call("name", 1, 2)`,
`erlang.name(1, 2)`, or `from erlang import name`. It may call Python again, on the same context too. A function passed as an
argument is called like any other. A function that fails raises `CallbackError`.

Messages. `send(pid, message)` sends a message to a process, `whereis(name)` finds a registered process, and `self()` is the
process that waits for this code.

Shared state. `state_get`, `state_set`, `state_delete`, `state_keys`, `state_clear`, `state_incr` and `state_decr` work on the
state shared with Elixir (`Py.State`) and Erlang (`py_state`), without a message.

Spans. `Span` and `trace` record pieces of work for `Py.Tracing`. `setup_logging` sends the records of `logging` to the BEAM.

Values without a Python counterpart arrive as instances of the classes below, and go back as the very term they came from:
process identifiers (`Pid`), references (`Ref`), ports (`Port`) and functions (`Function`). `Atom` is a `str` that returns to
the BEAM as an atom instead of a binary.

Outside the BEAM the package can be imported, so that editors, type checkers and test runners can read code that uses it.
There, functions that need the BEAM raise RuntimeError when they are called.
"""

from functools import partial as _partial

try:
    from erlang import _native
except ImportError:
    from erlang import _outside as _native

from erlang import _objects  # noqa: F401 - reached by name from Py.Object
from erlang._terms import Atom, CallbackError, Function, Pid, Port, ProcessError, Ref, SuspensionRequired, atom

__all__ = [
    "Atom",
    "CallbackError",
    "Function",
    "Pid",
    "Port",
    "ProcessError",
    "Ref",
    "Span",
    "SuspensionRequired",
    "atom",
    "call",
    "self",
    "send",
    "setup_logging",
    "state_clear",
    "state_decr",
    "state_delete",
    "state_get",
    "state_incr",
    "state_keys",
    "state_set",
    "trace",
    "whereis",
]

self = _native.self
send = _native.send
state_clear = _native.state_clear
state_decr = _native.state_decr
state_delete = _native.state_delete
state_get = _native.state_get
state_incr = _native.state_incr
state_keys = _native.state_keys
state_set = _native.state_set
whereis = _native.whereis


def call(name, *args, **kwargs):
    """Call a function of the BEAM and return its value.

    `name` is the name that the function is registered under (a str), or a `Function`. Arguments are positional. The Python
    code waits, without the GIL. Raises `CallbackError` when the function fails or there is none of that name, and TypeError
    when an argument has no counterpart.
    """
    if kwargs:
        raise TypeError(f"functions of Elixir and Erlang take no keyword arguments, got {', '.join(kwargs)}")
    return _native.call(name, args)


def setup_logging(level=10, format=None):
    """Send Python's log records to the BEAM's logger: see `Py.Logging`.

    `level` is the lowest level that is sent, as a number or a name of `logging`. `format` is a format of `logging.Formatter`;
    None is the message alone. It may be called again.
    """
    from erlang import _logging

    # Raises outside the BEAM.
    _native.whereis("logger")
    _logging.configure(level, format)


# Imported when they are first used.
_LATER = {"Span": "erlang._tracing", "trace": "erlang._tracing"}


def __getattr__(name):
    if name in _LATER:
        from importlib import import_module

        globals()[name] = value = getattr(import_module(_LATER[name]), name)
        return value
    if not name.startswith("_") and _native.is_registered(name):
        return _partial(call, name)
    raise AttributeError(f"module 'erlang' has no attribute {name!r}, and no function is registered under that name")
