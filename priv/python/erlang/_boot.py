"""Run once in each interpreter before anything else of this package."""

import sys


def namespace():
    """A fresh namespace to run code in, like that of a program's main module."""
    import builtins

    return {"__name__": "__main__", "__doc__": None, "__builtins__": builtins}


def add_paths(paths):
    """Put `paths` in front of `sys.path`, in their order, without doubling any."""
    for path in reversed(paths):
        if path not in sys.path:
            sys.path.insert(0, path)
