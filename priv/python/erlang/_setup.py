"""Functions that change or read interpreters while they run: see `Py.Setup`, `Py.Logging`, `Py.memory_stats`."""

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
    """Give `os.environ` these variables, and remove all others whose names are text."""
    for name in list(os.environ):
        if name not in variables and name.isprintable():
            del os.environ[name]
    for name, value in variables.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def memory_stats():
    """Return `(statistics by generation, counts, thresholds, () or (current, peak) of traced memory)`."""
    # Not imported for this: own-GIL interpreters cannot load it.
    tracemalloc = sys.modules.get("tracemalloc")
    traced = tracemalloc.get_traced_memory() if tracemalloc and tracemalloc.is_tracing() else ()
    return gc.get_stats(), gc.get_count(), gc.get_threshold(), traced
