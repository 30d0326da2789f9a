"""The steps of Python at the end of a program, run at the end of the application or of the VM."""

import _io
import atexit
import gc
import sys


def run():
    """Run the functions registered with `atexit`, once, then flush the open files."""
    atexit._run_exitfuncs()
    files = [thing for thing in gc.get_objects() if issubclass(type(thing), _io._IOBase)]
    for file in (sys.stdout, sys.stderr, *files):
        try:
            file.flush()
        except Exception:  # noqa: BLE001 - closed, not writable, or gone
            pass
