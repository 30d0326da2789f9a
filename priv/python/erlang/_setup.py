"""Functions that change or ask an interpreter while it runs, for `Py.Setup` and `Py.memory_stats`."""

import gc
import importlib
import os
import sys

from erlang._boot import add_paths  # noqa: F401 - reached by name from Py.Setup


def reload(name):
    """Reload the module `name` if it is loaded. Return True if it was."""
    module = sys.modules.get(name)
    if module is None:
        return False
    importlib.reload(module)
    return True


def sync_env(variables):
    """Make `os.environ` hold exactly these variables. A variable whose name is not printable text is left alone."""
    for name in list(os.environ):
        if name not in variables and name.isprintable():
            del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def memory_stats():
    """Return `(statistics by generation, counts, thresholds, traced)`.

    `traced` is `(current, peak)` in bytes while `tracemalloc` is tracing, else `()`.
    """
    # Not imported here, because own-GIL interpreters cannot load it.
    tracemalloc = sys.modules.get("tracemalloc")
    traced = tracemalloc.get_traced_memory() if tracemalloc and tracemalloc.is_tracing() else ()
    return gc.get_stats(), gc.get_count(), gc.get_threshold(), traced
