"""What `Py.Object` asks of objects."""

from operator import attrgetter


def getattr(obj, name):  # noqa: A001 - named after what it does
    """The attribute `name` of `obj`; dots reach into attributes of attributes."""
    return attrgetter(name)(obj)


def identity(obj):
    return obj
