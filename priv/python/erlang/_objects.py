"""The functions of objects that `Py.Object` calls."""

from operator import attrgetter


def getattr(obj, name):  # noqa: A001 - named after what it does
    """Return the attribute `name` of `obj`. Dots reach into attributes of attributes."""
    return attrgetter(name)(obj)


def identity(obj):
    return obj


_BRIEF = 80


def brief(object):
    """Return a short `repr()` on one line; None if `repr()` fails."""
    from reprlib import Repr

    form = Repr()
    form.maxstring = form.maxother = form.maxlong = _BRIEF
    form.maxlevel = 3
    try:
        text = " ".join(form.repr(object).split())
    except Exception:
        return None
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"
