"""The BEAM as seen from Python code that runs inside it.

Functions registered with `Py.register_function` are called by name: `erlang.call("name", 1, 2)`, `erlang.name(1, 2)`, or
`from erlang import name`. They may call Python again, on the same context too. A function passed as an argument is called
like any other. A failing one raises `CallbackError`.

`state_get`, `state_set`, `state_delete`, `state_keys`, `state_clear`, `state_incr` and `state_decr` work on the state shared
with Elixir (`Py.State`) and Erlang (`py_state`), without any message.

Values that have no Python counterpart arrive as instances of the classes below and go back as the very term they
came from: process identifiers (`Pid`), references (`Ref`), ports (`Port`) and functions (`Function`). `Atom` is a
`str` that returns to the BEAM as an atom instead of a binary.
"""

from functools import partial as _partial

from erlang import _native
from erlang import _objects  # noqa: F401 - reached by name from Py.Object
from erlang._native import (
    self,
    send,
    state_clear,
    state_decr,
    state_delete,
    state_get,
    state_incr,
    state_keys,
    state_set,
    whereis,
)
from erlang._terms import Atom, CallbackError, Function, Pid, Port, Ref, atom

__all__ = [
    "Atom",
    "CallbackError",
    "Function",
    "Pid",
    "Port",
    "Ref",
    "atom",
    "call",
    "self",
    "send",
    "state_clear",
    "state_decr",
    "state_delete",
    "state_get",
    "state_incr",
    "state_keys",
    "state_set",
    "whereis",
]


def call(name, *args, **kwargs):
    """Call the function registered as `name` (a str), or the `Function` `name`, and return its value."""
    if kwargs:
        raise TypeError(f"functions of Elixir and Erlang take no keyword arguments, got {', '.join(kwargs)}")
    return _native.call(name, args)


def __getattr__(name):
    if not name.startswith("__") and _native.is_registered(name):
        return _partial(call, name)
    raise AttributeError(f"module 'erlang' has no attribute {name!r}, and no function is registered under that name")
