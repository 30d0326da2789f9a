"""Describes exceptions in plain values, for `Py.Error` and for Erlang's `{error, {Class, Text}}`."""

import os
import reprlib
import traceback
from types import TracebackType

_MAX_CHAIN = 16

# Frames of this package say nothing about the program.
_OWN = os.path.dirname(__file__) + os.sep

# Files that are not the program's own: the standard library and installed packages.
_STANDARD = os.path.dirname(os.__file__) + os.sep
_INSTALLED = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))

# What to do about errors of ours, and about those that sub-interpreters have of their own, by a part of their text.
_ADVICE = {
    f"from 'erlang' ({_OWN}__init__.py)": "no function is registered under that name; Py.register_function/2 does that, in "
    "Erlang py:register_function/2",
    "does not support loading in subinterpreters": "this C extension needs a worker context (mode: :worker)",
    "daemon threads are disabled in this": "own-GIL contexts have no daemon threads, which multiprocessing "
    "and others need; use a worker context (mode: :worker)",
}


def describe(exc, depth=0):
    """Return `(type, module, message, traceback, frames, notes, cause, bases, exceptions, location)`.

    `cause` is the description of what caused it, or None; `exceptions` those of the members of a group; `location` as
    `_location` returns it, for the exception itself. Never raises for a misbehaving exception class.
    """
    if depth == 0:
        with _Abridged(exc):
            _prepare(exc)
            return _describe(exc, 0)
    return _describe(exc, depth)


def _describe(exc, depth):
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
        _location(exc) if depth == 0 else None,
    )


def describe_briefly(exc):
    """Return `(type, message, location)`; for `location` see `_location`."""
    with _Abridged(exc):
        return _text(type(exc).__name__), message(exc), _location(exc)


def describe_start(exc):
    """Return the text of an exception of the code that contexts run first."""
    with _Abridged(exc):
        return _describe_start(exc)


def _describe_start(exc):
    _prepare(exc)
    text = f"{_text(type(exc).__name__)}: {message(exc)}\nIt was raised by the code that contexts run first "
    return f"{text}(:imports, then :preload, of the configuration or of the context's options):\n{_formatted(exc)}"


def format_traceback(exc):
    """Return the traceback as Python prints it, of the program's frames."""
    with _Abridged(exc):
        _prepare(exc)
        return _formatted(exc)


# The text of larger arguments would take long to make, in C code that holds the GIL and that no interrupt ends: items of
# containers, each counted as often as it would be shown.
_MAX_ITEMS = 10_000


class _Abridged:
    """While entered, replaces large arguments of an exception and of its causes by a short form."""

    def __init__(self, exc):
        self._replaced = []
        # As most are.
        plain = exc.__context__ is None and exc.__cause__ is None and all(type(arg) in _SMALL for arg in _args(exc))
        self._links = () if plain and not isinstance(exc, BaseExceptionGroup) else _related(exc)

    def __enter__(self):
        try:
            for link in self._links:
                args = _args(link)
                if any(type(arg) not in _SMALL for arg in args) and _items(args, _MAX_ITEMS) <= 0:
                    brief = tuple(arg if type(arg) in _SMALL else _Brief(arg) for arg in args)
                    self._replaced.append((link, args))
                    _set_args(link, brief)
        except BaseException:  # an interrupt
            self.__exit__()
            raise

    def __exit__(self, *_error):
        for link, args in self._replaced:
            _set_args(link, args)


# Classes may have an attribute of this name that is anything.
_args = BaseException.args.__get__
_set_args = BaseException.args.__set__


_SMALL = (str, bytes, int, float, bool, type(None))


class _Brief:
    """The short form of a large argument."""

    def __init__(self, value):
        form = reprlib.Repr()
        form.maxlevel = 3
        self._text = form.repr(value)

    def __repr__(self):
        return self._text


def _items(value, left):
    """Return `left` minus the number of items in `value` and its nested containers; at most 0 if there are more."""
    stack = [value]
    while stack and left > 0:
        item = stack.pop()
        if type(item) is dict:
            left -= 2 * len(item)
            if left > 0:
                stack.extend(item.keys())
                stack.extend(item.values())
        elif type(item) in (list, tuple, set, frozenset):
            left -= len(item)
            if left > 0:
                stack.extend(item)
    return left


def _related(exc):
    """Return the chain of an exception, and of the members of groups in it, each once."""
    found, stack = [], [exc]
    while stack and len(found) < _MAX_CHAIN * _MAX_CHAIN:
        for link in _chain(stack.pop()):
            if not any(link is known for known in found):
                found.append(link)
                if isinstance(link, BaseExceptionGroup):
                    stack.extend(link.exceptions)
    return found


def _prepare(exc):
    """Add advice if there is any, and remove the frames of this package."""
    chain = _chain(exc)
    _advise(exc, chain)
    for link in chain:
        link.__traceback__ = _foreign(link.__traceback__)


def forget_frames(exc):
    """Drop the tracebacks of a chain: they keep every local variable of every frame alive."""
    for link in _chain(exc):
        link.__traceback__ = None


def _chain(exc):
    """Return the exception and its causes."""
    chain = []
    while exc is not None and len(chain) < _MAX_CHAIN:
        chain.append(exc)
        exc = exc.__cause__ or exc.__context__
    return chain


def _foreign(tb):
    """Return the traceback without frames of this package."""
    kept, count, link = [], 0, tb
    while link is not None:
        count += 1
        if not link.tb_frame.f_code.co_filename.startswith(_OWN):
            kept.append(link)
        link = link.tb_next
    if len(kept) == count:
        return tb
    result = None
    for tb in reversed(kept):
        result = TracebackType(result, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return result


def _location(exc):
    """Return `(file, line)` of the innermost line of the program, or of a library if there is none; else None."""
    found, innermost, link = None, None, exc.__traceback__
    while link is not None:
        file = link.tb_frame.f_code.co_filename
        if not file.startswith(_OWN):
            innermost = (file, link.tb_lineno)
            if not _of_library(file):
                found = innermost
        link = link.tb_next
    file, line = found or innermost or _location_of_syntax(exc)
    # Code of C extensions may have frames without lines.
    return (_text(file), line) if file and isinstance(line, int) else None


def _location_of_syntax(exc):
    return (exc.filename, exc.lineno) if isinstance(exc, SyntaxError) else (None, None)


def _of_library(file):
    return file.startswith((_STANDARD, "<frozen ")) or any(folder in file for folder in _INSTALLED)


def message(exc):
    """Return `str(exc)`, or a stand-in if that raises."""
    return _text(exc)


def _text(value):
    """Return `str(value)` with lone surrogates escaped, which UTF-8 cannot hold; a stand-in if `__str__` raises."""
    try:
        return str(value).encode(errors="backslashreplace").decode()
    except BaseException as error:  # noqa: BLE001 - __str__ is anybody's code
        return f"<{type(value).__name__}.__str__ raised {type(error).__name__}>"


def _advise(exc, chain):
    # A library may have wrapped the error that needs advice.
    for text in map(message, chain):
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
