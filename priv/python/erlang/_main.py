"""The module `__main__`, as code sees it that a context runs.

Every namespace says that its name is `__main__`, and `pickle`, `typing`, `unittest` and others look names up in
`sys.modules["__main__"]`. So that module answers for the namespace of whoever asks: that of the innermost frame of a
`__main__`, else that of the request which runs on this thread. Forked children, and the threads of multiprocessing, have
that of the code which has started them.
"""

import functools
import sys
import threading
from types import ModuleType

from erlang import _native


# The namespace that a forked child goes on in.
_of_fork = None


def _namespace():
    """Return the namespace of the calling code, or None."""
    frame = sys._getframe()
    while frame is not None:
        names = frame.f_globals
        if names.get("__name__") == "__main__":
            return names
        frame = frame.f_back
    thread = threading._active.get(threading.get_ident())
    inherited = getattr(thread, "_erlang_main", _of_fork)
    if inherited is not None:
        return inherited
    try:
        return _native.namespace()
    except RuntimeError:
        # The contexts have ended, or this is a forked child.
        return None


def keep_in_fork():
    """Prepare a fork. Return a function to call in the child."""
    names = _namespace()

    def keep():
        global _of_fork
        _of_fork = names

    return keep


class _Main(ModuleType):
    """Its own names are the interpreter's `__main__`, which no namespace shares; those of the asking code go first."""

    def __getattribute__(self, name):
        names = _namespace()
        if name == "__dict__":
            return object.__getattribute__(self, "__dict__") if names is None else names
        if names is not None and name in names:
            return names[name]
        return super().__getattribute__(name)

    def __setattr__(self, name, value):
        names = _namespace()
        if names is None:
            super().__setattr__(name, value)
        else:
            names[name] = value

    def __delattr__(self, name):
        names = _namespace()
        if names is None:
            super().__delattr__(name)
        elif name in names:
            del names[name]
        else:
            raise AttributeError(f"module '__main__' has no attribute {name!r}")

    def __dir__(self):
        names = _namespace()
        return sorted(super().__dir__() if names is None else names)


def install():
    """Put the module into `sys.modules`, once per interpreter. The old one stays alive as its base."""
    main = sys.modules.get("__main__")
    if type(main) is not _Main:
        module = _Main("__main__")
        if main is not None:
            object.__getattribute__(module, "__dict__").update(vars(main))
        sys.modules["__main__"] = module
    _have_threads_inherit()


def _have_threads_inherit():
    """Have the threads that pickle for multiprocessing know in which namespace they were started.

    Others do not: one that serves everybody would keep alive the namespace of whoever came first.
    """
    start = threading.Thread.start
    if hasattr(start, "__wrapped__"):
        return

    @functools.wraps(start)
    def started(thread):
        module = getattr(getattr(thread, "_target", None), "__module__", None) or type(thread).__module__
        if module.startswith(("multiprocessing.", "concurrent.futures.process")):
            thread._erlang_main = _namespace()
        return start(thread)

    threading.Thread.start = started
