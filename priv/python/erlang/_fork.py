"""Forks of the VM's process: refused where CPython cannot fork, and ended with the request in the child."""

import functools
import os
import sys

from erlang import _main, _native

# Of _posixsubprocess.fork_exec.
_PREEXEC_FN = 21


def install():
    """Guard the functions that fork, once per interpreter. Programs that `subprocess` starts are not affected."""
    import posix

    for name in ("fork", "forkpty"):
        function = getattr(posix, name, None)
        if function is not None and not hasattr(function, "__wrapped__"):
            guarded = _guard(function)
            setattr(posix, name, guarded)
            setattr(os, name, guarded)
    _guard_preexec_fn()


# True in a forked child, which may fork without a guard.
_forked = False


def _remember():
    global _forked
    _forked = True


def _guard(fork):
    @functools.wraps(fork)
    def guarded():
        if _forked:
            return fork()
        in_child = _main.keep_in_fork()
        _native.fork_begin()
        result = None
        try:
            result = fork()
        finally:
            if result is None or (result[0] if isinstance(result, tuple) else result) != 0:
                _native.fork_end()
            else:
                in_child()
                _remember()
        return result

    return guarded


def _guard_preexec_fn():
    """`subprocess` with `preexec_fn` runs Python code in a forked child."""
    try:
        import _posixsubprocess
    except ImportError:
        return
    fork_exec = _posixsubprocess.fork_exec
    if hasattr(fork_exec, "__wrapped__"):
        return

    @functools.wraps(fork_exec)
    def guarded(*args):
        if _forked or len(args) <= _PREEXEC_FN or args[_PREEXEC_FN] is None:
            return fork_exec(*args)
        _native.fork_begin()
        try:
            return fork_exec(*args)
        finally:
            _native.fork_end()

    _posixsubprocess.fork_exec = guarded
    subprocess = sys.modules.get("subprocess")
    if getattr(subprocess, "_fork_exec", None) is fork_exec:
        subprocess._fork_exec = guarded


def leave(exc):
    """End this process, a forked child whose request has ended: `exc` is what it raised, or None."""
    code = 1
    try:
        code = _status(exc)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(code & 0xFF)


def _status(exc):
    if exc is None:
        return 0
    if not isinstance(exc, SystemExit):
        import traceback

        traceback.print_exception(exc)
        return 1
    if exc.code is None or isinstance(exc.code, int):
        return int(exc.code or 0)
    print(exc.code, file=sys.stderr)
    return 1
