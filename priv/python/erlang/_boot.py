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


class _SpawnByDefault:
    """Makes `spawn` the default start method of multiprocessing, when that is imported.

    A forked copy of the BEAM has one thread and all the locks of the others: it hangs sooner or later.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "multiprocessing":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            module.set_start_method("spawn")

        spec.loader.exec_module = exec_module
        return spec


def prepare_imports():
    """Install the hook above, once per interpreter."""
    if "multiprocessing" not in sys.modules and not any(isinstance(f, _SpawnByDefault) for f in sys.meta_path):
        sys.meta_path.insert(0, _SpawnByDefault())
