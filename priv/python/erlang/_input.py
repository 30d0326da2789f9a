"""Standard input, `exit` and `breakpoint` of code that runs inside the BEAM.

The terminal belongs to the Erlang shell: another reader would take every second line from it. Reading raises an error that
says what to do instead.
"""

import io
import sys

_ADVICE = (
    "standard input belongs to the Erlang shell and cannot be read by Python code inside the BEAM. Read in Elixir (IO.gets/2) and "
    "pass the text as an argument, or register a function that reads and call it with erlang.call"
)
_DEBUG = (
    "breakpoint() and pdb read commands from standard input, which belongs to the Erlang shell. Use the frames and the "
    "traceback of Py.Error, print or logging, or debug the same code in a plain python3"
)


class _NoInput(io.TextIOBase):
    """A `sys.stdin` that cannot be read. Closing it does not close the standard input of the VM."""

    name = "<stdin>"
    encoding = "utf-8"
    errors = "strict"

    def readable(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation(_ADVICE)

    def isatty(self):
        return False

    def _refuse(self, *_args):
        raise EOFError(_ADVICE)

    read = readline = readlines = __next__ = _refuse

    def close(self):
        pass


class _Exit:
    """`exit` and `quit`, which raise SystemExit. Those of `site` close standard input as well."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"Use {self._name}() to end this call with SystemExit."

    def __call__(self, code=None):
        raise SystemExit(code)


def _breakpoint(*_args, **_kwargs):
    raise RuntimeError(_DEBUG)


def install():
    """Install these, once for each interpreter. A hook that the environment variable PYTHONBREAKPOINT names is kept."""
    import builtins
    import os

    if isinstance(sys.stdin, _NoInput):
        return
    sys.stdin = sys.__stdin__ = _NoInput()
    builtins.exit, builtins.quit = _Exit("exit"), _Exit("quit")
    if not os.environ.get("PYTHONBREAKPOINT"):
        sys.breakpointhook = _breakpoint
