"""The functions that `Py.Object` calls, by name."""

from operator import attrgetter


def getattr(obj, name):  # noqa: A001 - named after what it does
    """Return the attribute `name` of `obj`. Dots reach into attributes of attributes."""
    return attrgetter(name)(obj)


def identity(obj):
    """Return `obj`, so that the converter makes a term of it."""
    return obj


_BRIEF = 80


def brief(object):
    """Return a `repr()` on one line, of at most 80 characters; None where `repr()` fails."""
    from reprlib import Repr

    form = Repr()
    form.maxstring = form.maxother = form.maxlong = _BRIEF
    form.maxlevel = 3
    try:
        text = " ".join(form.repr(object).split())
    except Exception:
        return None
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"


_BATCH = 100
_SECONDS = 0.005


def next_items(iterator):
    """Return `(items, ended)` with the next items: at least one if there is one, and what comes within a few milliseconds."""
    from time import monotonic

    items = []
    until = None
    for item in iterator:
        items.append(item)
        now = monotonic()
        until = until or now + _SECONDS
        if len(items) >= _BATCH or now >= until:
            return items, False
    return items, True


def close(iterator):
    """Close an iterator that will not be asked again, if it can be closed, as a generator can."""
    if hasattr(iterator, "close"):
        iterator.close()


def enter(manager):
    """Begin a `with` block. Return the value of its `as` clause."""
    return type(manager).__enter__(manager)


def leave(manager, failure=None):
    """End a `with` block. `failure` is an exception, or kind, reason and stack trace of one of the BEAM. True if it ends here."""
    from erlang._terms import CallbackError

    error = CallbackError(*failure) if isinstance(failure, tuple) else failure
    if error is None:
        type(manager).__exit__(manager, None, None, None)
        return False
    return bool(type(manager).__exit__(manager, type(error), error, error.__traceback__))


def members(target):
    """Return the public attributes of an object, or of what a dotted name stands for."""
    return [name for name in dir(_named(target)) if not name.startswith("_")]


def document(target):
    """Return Python's help of an object, or of what a dotted name stands for."""
    import pydoc

    return pydoc.render_doc(_named(target), title="%s", renderer=pydoc.plaintext)


def _named(target):
    if not isinstance(target, str):
        return target
    from pydoc import locate

    found = locate(target)
    if found is None:
        raise ModuleNotFoundError(f"there is no Python module, class or function {target!r}")
    return found
