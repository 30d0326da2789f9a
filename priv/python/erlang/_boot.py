"""Prepares an interpreter. Runs once in each, before anything else of this package."""

import sys


def namespace():
    """Return a new namespace to run code in, like that of a program's main module."""
    import builtins

    import erlang

    return {"__name__": "__main__", "__doc__": None, "__builtins__": builtins, "erlang": erlang}


def add_paths(paths):
    """Put `paths` in front of `sys.path`, in their order. A path that is there already keeps its place."""
    for path in reversed(paths):
        if path not in sys.path:
            sys.path.insert(0, path)


class _SpawnByDefault:
    """An import hook that makes `spawn` the default start method of multiprocessing.

    A forked copy of the BEAM has one thread, and the locks that other threads held at the fork: it hangs sooner or later.
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
            module.set_start_method("spawn", force=True)

        spec.loader.exec_module = exec_module
        return spec


def prepare_output():
    """Flush standard output after each line, also where it is not a terminal."""
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)


def prepare_imports():
    """Install the import hook, the guards of forks, standard input, and `__main__`, once for each interpreter."""
    if "multiprocessing" not in sys.modules and not any(isinstance(f, _SpawnByDefault) for f in sys.meta_path):
        sys.meta_path.insert(0, _SpawnByDefault())
    from erlang import _fork, _input, _main

    _fork.install()
    _input.install()
    _main.install()


def guard_extensions(load_in_main):
    """CPython 3.12: have the main interpreter load a C extension before this one does. See `runtime/extensions.rs`."""
    from importlib.machinery import BuiltinImporter, ExtensionFileLoader

    def guarded(create_module):
        def create(*args):
            name = args[-1].name
            if not load_in_main(name, args[-1].origin):
                raise ImportError(
                    f"CPython 3.12 can load the C extension {name} in an own-GIL context only if the main interpreter can "
                    "load it too, and it cannot. Import it in a worker context (mode: :worker) to see why, or use CPython 3.13",
                    name=name,
                )
            return create_module(*args)

        return create

    ExtensionFileLoader.create_module = guarded(ExtensionFileLoader.create_module)
    BuiltinImporter.create_module = staticmethod(guarded(BuiltinImporter.create_module))
    # `_zoneinfo` fails with an AttributeError where `_datetime` is missing. Without it, `zoneinfo` uses its Python code.
    sys.modules.setdefault("_zoneinfo", None)


def load_extension(name, origin):
    """Load the library of a C extension into this interpreter without importing it.

    An import can break others: that of `_asyncio` before `asyncio` leaves `asyncio` without the tasks of C (CPython 3.12).
    """
    from importlib import _bootstrap, import_module
    from importlib.machinery import BuiltinImporter, ExtensionFileLoader, ModuleSpec

    if "." in name:
        # The initialization of the extension may import its package, which would lead here again.
        try:
            import_module(name.rpartition(".")[0])
        except ImportError:
            pass
    # The lock of an import: no other thread imports the module meanwhile.
    with _bootstrap._ModuleLockManager(name):
        if name not in sys.modules:
            loader = BuiltinImporter if origin == "built-in" else ExtensionFileLoader(name, origin)
            loader.create_module(ModuleSpec(name, loader, origin=origin))
            # An extension with single-phase initialization has added itself.
            sys.modules.pop(name, None)


def end_threads(seconds):
    """End the threads of this interpreter as at the end of a program, waiting at most `seconds` for them."""
    threading = sys.modules.get("threading")
    if threading is None:
        return
    import time

    deadline = time.monotonic() + seconds
    # Thread pools register functions here that end their threads and wait for them, so these run on a thread of their own.
    calls = getattr(threading, "_threading_atexits", [])

    def run():
        while calls:
            calls.pop()()

    if calls:
        threading.Thread(target=run, name="erlang_end_threads").start()
    ours = {threading.get_ident(), threading.main_thread().ident}
    for thread in threading.enumerate():
        if not thread.daemon and thread.ident not in ours:
            thread.join(max(0, deadline - time.monotonic()))
