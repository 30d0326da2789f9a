"""Types of the package `erlang`, for type checkers and editors.

Parameters before a `/` are positional only: functions of the native half take no keywords. A value
that goes to the BEAM is an `object`, because most types have a counterpart there; one without raises
TypeError. A value that comes from the BEAM is `Any`.
"""

from types import TracebackType
from typing import Any, Callable, Literal, overload, Self, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

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

class Atom(str):
    """A `str` that goes back to the BEAM as an atom.

    It is equal to the plain text, and has the same hash.
    """

class _Term:
    def __init__(self, external: bytes) -> None: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

class Pid(_Term):
    """A process identifier."""

class Ref(_Term):
    """A reference, such as `make_ref/0` makes."""

class Port(_Term):
    """A port."""

class Function(_Term):
    """A function of Elixir or Erlang, called like any other: `function(1, 2)`.

    Errors are those of `erlang.call`.
    """

    def __call__(self, *args: object) -> Any: ...

class CallbackError(RuntimeError):
    """A function of the BEAM failed, or no function is registered under the name.

    `kind` is "error", "exit" or "throw", `reason` its text, and `stacktrace` the stack trace of Elixir,
    which may be empty.
    """

    kind: str
    reason: str
    stacktrace: str
    def __init__(self, kind: str, reason: str, stacktrace: str = "") -> None: ...

class ProcessError(Exception):
    """A message was sent to a process that does not exist."""

class SuspensionRequired(BaseException):
    """A name that programs for the C package catch. It is never raised here."""

def atom(name: str) -> Atom:
    """Return `name` as an `Atom`."""

def call(name: str | Function, *args: object) -> Any:
    """Call a function of the BEAM and return its value.

    `name` is the name that the function is registered under, or a `Function`. The Python code waits,
    without the GIL. Raises `CallbackError` when the function fails or there is none, and TypeError when
    an argument has no counterpart.
    """

def setup_logging(level: int | str = 10, format: str | None = None) -> None:
    """Send Python's log records to the BEAM's logger.

    `level` is the lowest level that is sent, as a number or a name of `logging`; the default is
    `logging.DEBUG`. `format` is a format of `logging.Formatter`; the default is the message alone.
    """

class Span:
    """A piece of work with a name and attributes, collected by `Py.Tracing`.

    Use it as a context manager: `with erlang.Span("parse", size=3) as span: ...`.
    """

    name: str
    attrs: dict[str, Any]
    span_id: int
    def __init__(self, name: str, **attrs: object) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> Literal[False]: ...
    def event(self, name: str, **attrs: object) -> None:
        """Record a moment within the span."""

@overload
def trace(name: _F) -> _F: ...
@overload
def trace(name: str | None = None) -> Callable[[_F], _F]:
    """Make each call of a function a span: `@erlang.trace()` or `@erlang.trace("name")`.

    The function may be async.
    """

def self() -> Pid:
    """Return the process that waits for this code."""

def send(pid: Pid, message: object, /) -> None:
    """Send a message to a process of this node. Raises `ProcessError` when there is no such process."""

def whereis(name: str | bytes, /) -> Pid | None:
    """Return the process registered as `name`, or None."""

def state_get(key: str | bytes, default: object = None, /) -> Any:
    """Return the shared value of `key`, or `default` when there is none."""

def state_set(key: str | bytes, value: object, /) -> None:
    """Store a shared value. Raises RuntimeError when `max_state_entries` is reached and `key` is new."""

def state_delete(key: str | bytes, /) -> bool:
    """Delete a shared value. Return True if there was one."""

def state_keys() -> list[str | bytes]:
    """Return the keys of all shared values, in no particular order; bytes where a key is not UTF-8."""

def state_clear() -> None:
    """Delete all shared values."""

def state_incr(key: str | bytes, by: int = 1, /) -> int:
    """Add `by` to a shared counter, which starts at 0, and return its new value.

    The update is atomic. Raises TypeError when the value is not an integer, and RuntimeError when
    `max_state_entries` is reached and `key` is new.
    """

def state_decr(key: str | bytes, by: int = 1, /) -> int:
    """Subtract `by` from a shared counter. See `state_incr`."""

# A function registered with `Py.register_function`.
def __getattr__(name: str) -> Callable[..., Any]: ...
