"""Spans of work, for `Py.Tracing`. While spans are not collected, each costs a look-up of the collecting process."""

import functools
import inspect
import os
import time
from contextvars import ContextVar

from erlang import _native
from erlang._terms import Atom

_RECEIVER = "Elixir.Py.Tracing"
_current = ContextVar("erlang_span", default=None)


class Span:
    """A span with a name and attributes: `with erlang.Span("parse", size=3) as span: ...`.

    A span that begins inside of it, also in a task of asyncio, has it as its parent. An exception that leaves it makes its
    status `error`, and is not swallowed. Attributes are numbers, text, booleans and None; any other value is sent as its
    `str()`.
    """

    def __init__(self, name, **attrs):
        self.name = str(name)
        self.attrs = attrs
        self.span_id = int.from_bytes(os.urandom(8)) >> 1  # not from the program's own random numbers
        self._started = None
        self._tokens = []

    def __enter__(self):
        self._started = (time.time_ns() // 1000, time.perf_counter_ns())
        parent = _current.get()
        self._tokens.append(_current.set(self.span_id))
        _send("span_start", self.span_id, Atom("undefined") if parent is None else parent, self.name, self.attrs, self._now())
        return self

    def __exit__(self, kind, exc, tb):
        attrs = {} if exc is None else {"exception": _text(exc)}
        _send("span_end", self.span_id, Atom("ok" if exc is None else "error"), attrs, self._now())
        try:
            _current.reset(self._tokens.pop())
        except ValueError:
            # The span ends in another context than it began in, as in an async generator that another task closes.
            pass
        return False

    def event(self, name, **attrs):
        """Record a moment within the span."""
        _send("span_event", self.span_id, str(name), attrs, self._now())

    def _now(self):
        """Return the microseconds since 1970. They never go back within a span."""
        if self._started is None:
            return time.time_ns() // 1000
        wall, ticks = self._started
        return wall + (time.perf_counter_ns() - ticks) // 1000


def trace(name=None):
    """Make each call of a function a span: `@erlang.trace`, `@erlang.trace()` or `@erlang.trace("name")`.

    The default name is the module and the qualified name of the function, which may be async.
    """

    def decorator(function):
        title = name if isinstance(name, str) else f"{function.__module__}.{function.__qualname__}"
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced(*args, **kwargs):
                with Span(title):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def traced(*args, **kwargs):
                with Span(title):
                    return function(*args, **kwargs)

        return traced

    return decorator(name) if callable(name) else decorator


def _send(kind, *parts):
    try:
        receiver = _native.whereis(_RECEIVER)
        if receiver is not None:
            _native.send(receiver, (Atom(kind), *(_plain(part) if isinstance(part, dict) else part for part in parts)))
    except Exception:  # noqa: BLE001 - tracing must not fail the program: outside the BEAM, in a forked child
        pass


def _plain(attrs):
    known = (str, int, float, type(None))
    return {_text(key): _text(value) if type(value) is str or not isinstance(value, known) else value for key, value in attrs.items()}


def _text(value):
    try:
        return str(value).encode(errors="backslashreplace").decode()
    except Exception as error:  # noqa: BLE001 - __str__ is anybody's code
        return f"<{type(value).__name__}.__str__ raised {type(error).__name__}>"
