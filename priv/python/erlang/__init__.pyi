from typing import Any, Callable, overload, TypeVar

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
    """A `str` that goes back to the BEAM as an atom. Equal to, and hashed like, the plain text."""

class _Term:
    def __init__(self, external: bytes) -> None: ...
    def __hash__(self) -> int: ...

class Pid(_Term):
    """A process identifier."""

class Ref(_Term):
    """A reference."""

class Port(_Term):
    """A port."""

class Function(_Term):
    """An Elixir or Erlang function. Call it like any other: `function(1, 2)`; see `erlang.call`."""

    def __call__(self, *args: Any) -> Any: ...

class CallbackError(RuntimeError):
    """A function of the BEAM failed, or there is none of that name."""

    kind: str
    reason: str
    stacktrace: str
    def __init__(self, kind: str, reason: str, stacktrace: str = ...) -> None: ...

class ProcessError(Exception):
    """A message was sent to a process that does not exist (any more)."""

class SuspensionRequired(BaseException):
    """There for programs of the C package, which name it; never raised here."""

def atom(name: str) -> Atom:
    """Return `name` as an `Atom`."""

def call(name: str | Function, *args: Any) -> Any:
    """Call the function registered as `name`, or the `Function` `name`, and return its value."""

def setup_logging(level: int | str = ..., format: str | None = ...) -> None:
    """Send Python's log records from `level` on to the BEAM's logger."""

class Span:
    """A piece of work with a name and attributes, for `Py.Tracing`: a context manager."""

    name: str
    span_id: int
    def __init__(self, name: str, **attrs: Any) -> None: ...
    def __enter__(self) -> Span: ...
    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: object) -> bool: ...
    def event(self, name: str, **attrs: Any) -> None:
        """Note that something has happened within the span."""

@overload
def trace(name: _F) -> _F: ...
@overload
def trace(name: str | None = ...) -> Callable[[_F], _F]:
    """Make each call of a function a span; async functions too."""

def self() -> Pid:
    """The process that waits for this code."""

def send(pid: Pid, message: Any, /) -> None:
    """Send a message to a process. Raises `ProcessError` when there is none."""

def whereis(name: str | bytes, /) -> Pid | None:
    """The process registered as `name`, or None."""

def state_get(key: str, default: Any = ..., /) -> Any: ...
def state_set(key: str, value: Any, /) -> None: ...
def state_delete(key: str, /) -> bool: ...
def state_keys() -> list[str]: ...
def state_clear() -> None: ...
def state_incr(key: str, by: int = ..., /) -> int: ...
def state_decr(key: str, by: int = ..., /) -> int: ...

# Functions registered with `Py.register_function`.
def __getattr__(name: str) -> Callable[..., Any]: ...
