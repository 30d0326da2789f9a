"""Describes exceptions in plain values, for `Py.Error` and for Erlang's `{error, {Class, Text}}`."""

import traceback

_MAX_CHAIN = 16

# What to do about errors that sub-interpreters have of their own, by a part of their text.
_ADVICE = {
    "does not support loading in subinterpreters": "this C extension needs a worker context (mode: :worker)",
    "daemon threads are disabled in this interpreter": "own-GIL contexts have no daemon threads, which multiprocessing "
    "and others need; use a worker context (mode: :worker)",
}


def describe(exc, depth=0):
    """Return `(type, module, message, traceback, frames, notes, cause, bases, exceptions)`.

    `cause` is the description of what caused it, or None; `exceptions` those of the members of a group. Never raises
    for a misbehaving exception class.
    """
    if depth == 0:
        _advise(exc)
    cls = type(exc)
    cause = _cause(exc)
    members = getattr(exc, "exceptions", ()) if isinstance(exc, BaseExceptionGroup) else ()
    deeper = depth < _MAX_CHAIN
    return (
        _text(cls.__qualname__),
        _text(cls.__module__),
        message(exc),
        _formatted(exc) if depth == 0 else "",
        _frames(exc),
        [_text(note) for note in _notes(exc)],
        describe(cause, depth + 1) if cause is not None and deeper else None,
        [_text(f"{base.__module__}.{base.__qualname__}") for base in cls.__mro__],
        [describe(member, depth + 1) for member in members] if deeper else [],
    )


def describe_briefly(exc):
    """Return `(type, message)`."""
    return _text(type(exc).__name__), message(exc)


def forget_frames(exc):
    """Drop the tracebacks of a chain: they keep every local variable of every frame alive."""
    for _ in range(_MAX_CHAIN):
        if exc is None:
            return
        exc.__traceback__ = None
        exc = exc.__cause__ or exc.__context__


def message(exc):
    """`str(exc)`, or a stand-in when that raises."""
    return _text(exc)


def _text(value):
    """`str(value)` with lone surrogates, which UTF-8 cannot hold, escaped; a stand-in when `__str__` raises."""
    try:
        return str(value).encode(errors="backslashreplace").decode()
    except BaseException as error:  # noqa: BLE001 - __str__ is anybody's code
        return f"<{type(value).__name__}.__str__ raised {type(error).__name__}>"


def _advise(exc):
    text = message(exc)
    for part, advice in _ADVICE.items():
        if part in text:
            exc.add_note(f"erlang_python: {advice}")
            return


def _cause(exc):
    if exc.__cause__ is not None:
        return exc.__cause__
    return None if exc.__suppress_context__ else exc.__context__


def _notes(exc):
    try:
        notes = getattr(exc, "__notes__", ())
    except Exception:  # noqa: BLE001 - __getattr__ is anybody's code
        return ()
    return notes if isinstance(notes, (list, tuple)) else ()


def _formatted(exc):
    try:
        return _text("".join(traceback.format_exception(exc)))
    except BaseException as error:  # noqa: BLE001 - __str__ and __repr__ are anybody's code
        return f"{type(exc).__qualname__}: <no traceback: formatting it raised {type(error).__name__}>"


def _frames(exc):
    try:
        frames = traceback.extract_tb(exc.__traceback__, limit=-50)
        return [(_text(f.filename), f.lineno, _text(f.name), _text(f.line or "")) for f in frames]
    except Exception:  # noqa: BLE001 - a broken __loader__ or source file
        return []
