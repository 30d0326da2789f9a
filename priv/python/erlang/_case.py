"""Stand-ins for functions, in tests: see `Py.Case`."""

import functools
import sys
import types

_MISSING = object()

# What was there before, by the target: the object that has the attribute, the attribute's name, and its value.
_originals = {}


def install(target, find):
    """Replace the function `target` (a str, "module.function") by one that asks `find` for the stand-in at each call."""
    if target in _originals:
        return
    path = target.split(".")
    owner, rest = _module(path[:-1])
    for name in rest:
        owner = getattr(owner, name)
    name = path[-1]
    # Not `getattr`: a static method would lose that it is one.
    original = vars(owner).get(name, _MISSING) if isinstance(owner, (type, types.ModuleType)) else _MISSING
    setattr(owner, name, _stand_in(target, owner, name, original, find))
    _originals[target] = owner, name, original


def uninstall(target):
    """Put back what `install` replaced."""
    if target not in _originals:
        return
    owner, name, original = _originals.pop(target)
    if original is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, original)
    if isinstance(owner, _MadeUp) and not any(one is owner for one, _name, _original in _originals.values()):
        sys.modules.pop(owner.__name__, None)


class _MadeUp(types.ModuleType):
    """A module that could not be found."""


def _module(path):
    """Return the module that the first parts of `path` name, and the other parts."""
    from importlib import import_module

    for size in range(len(path), 0, -1):
        name = ".".join(path[:size])
        try:
            return import_module(name), path[size:]
        except ModuleNotFoundError as error:
            # A module that is there, and imports one that is not, is an error of its own.
            if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
                raise
    name = ".".join(path)
    sys.modules[name] = module = _MadeUp(name)
    return module, []


def _stand_in(target, owner, name, original, find):
    function = original.__func__ if isinstance(original, (staticmethod, classmethod)) else original

    def stand_in(*args, **kwargs):
        found = find(target)
        if found is None:
            return _call_original(target, owner, name, function, args, kwargs)
        if isinstance(found, str):
            return _value(found, owner)(*args, **kwargs)
        return found(*args, kwargs) if kwargs else found(*args)

    if callable(function):
        functools.update_wrapper(stand_in, function)
    if isinstance(original, (staticmethod, classmethod)):
        return type(original)(stand_in)
    return stand_in


def _call_original(target, owner, name, function, args, kwargs):
    if function is not _MISSING:
        return function(*args, **kwargs)
    if isinstance(owner, _MadeUp):
        raise ModuleNotFoundError(f"No module named {owner.__name__!r}", name=owner.__name__)
    if isinstance(owner, type):
        return getattr(super(owner, args[0]), name)(*args[1:], **kwargs)
    raise AttributeError(f"module {owner.__name__!r} has no attribute {name!r}")


def _value(source, owner):
    module = sys.modules[owner.__module__] if isinstance(owner, type) else owner
    return eval(compile(source, "<stand-in>", "eval"), dict(vars(module)))
