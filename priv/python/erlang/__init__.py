"""The BEAM as seen from Python code that runs inside it.

Values that have no Python counterpart arrive as instances of the classes below and go back as the very term they
came from: process identifiers (`Pid`), references (`Ref`), ports (`Port`) and functions (`Function`). `Atom` is a
`str` that returns to the BEAM as an atom instead of a binary.
"""

from erlang import _objects  # noqa: F401 - reached by name from Py.Object
from erlang._terms import Atom, Function, Pid, Port, Ref, atom

__all__ = ["Atom", "Function", "Pid", "Port", "Ref", "atom"]
