"""The BEAM as seen from Python code that runs inside it.

Functions registered with `Py.register_function` are called by name: `erlang.call("name", 1, 2)`, `erlang.name(1, 2)`, or
`from erlang import name`. They may call Python again, on the same context too. A function passed as an argument is called
like any other. A function that fails raises `CallbackError`.

`state_get`, `state_set`, `state_delete`, `state_keys`, `state_clear`, `state_incr` and `state_decr` read and write the state
shared with Elixir (`Py.State`) and Erlang (`py_state`), without any message.

Terms that have no Python counterpart arrive as instances of the classes below and go back as the same term: process
identifiers (`Pid`), references (`Ref`), ports (`Port`) and functions (`Function`). `Atom` is a `str` that returns to the BEAM
as an atom instead of a binary.

Outside the BEAM the package can be imported, so that editors, type checkers and test runners can read code that uses it.
Functions that need the BEAM raise a RuntimeError there.
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
    """Call the function registered as `name` (a str), or the `Function` `name`, and return its value."""
    if kwargs:
        raise TypeError(f"functions of Elixir and Erlang take no keyword arguments, got {', '.join(kwargs)}")
    return _native.call(name, args)


def setup_logging(level=10, format=None):
    """Send log records of at least `level` (a number of `logging`, or a name) to the BEAM's logger: see `Py.Logging`."""
    from erlang import _logging

    # Raises outside the BEAM.
    _native.whereis("logger")
    _logging.configure(level, format)


# Loaded on first use.
_LATER = {"Span": "erlang._tracing", "trace": "erlang._tracing"}


def __getattr__(name):
    if name in _LATER:
        from importlib import import_module

        globals()[name] = value = getattr(import_module(_LATER[name]), name)
        return value
    if not name.startswith("_") and _native.is_registered(name):
        return _partial(call, name)
    raise AttributeError(f"module 'erlang' has no attribute {name!r}, and no function is registered under that name")
