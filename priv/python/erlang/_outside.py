"""Stand-ins for `erlang._native` where Python runs outside the BEAM: in a test runner, an editor, a type checker.

They have the parameters of the native functions, so that a wrong call is a TypeError here as well. A right one raises a
RuntimeError, which says what a test does instead.
"""


def _refuse(name):
    raise RuntimeError(
        f"erlang.{name} works only in Python code that erlang_python runs inside the BEAM, and this is an ordinary "
        f"Python process. In tests, replace what your code calls: monkeypatch.setattr(erlang, '{name}', …)"
    )


def self():
    _refuse("self")


def send(pid, message, /):
    _refuse("send")


def whereis(name, /):
    _refuse("whereis")


def state_get(key, default=None, /):
    _refuse("state_get")


def state_set(key, value, /):
    _refuse("state_set")


def state_delete(key, /):
    _refuse("state_delete")


def state_keys():
    _refuse("state_keys")


def state_clear():
    _refuse("state_clear")


def state_incr(key, by=1, /):
    _refuse("state_incr")


def state_decr(key, by=1, /):
    _refuse("state_decr")


# Where users find them.
for _function in (self, send, whereis, state_get, state_set, state_delete, state_keys, state_clear, state_incr, state_decr):
    _function.__module__ = "erlang"


def call(name, args):
    """Refuse every call. `erlang.price` is `erlang.call` of "price"."""
    _refuse(name if isinstance(name, str) else "Function")


def is_registered(name):
    """Return True: any function may be registered where the code is to run."""
    return True
