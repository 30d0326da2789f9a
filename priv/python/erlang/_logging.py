"""Python's `logging` in the BEAM's logger: see `Py.Logging`."""

import logging
import sys
import threading

from erlang import _native
from erlang._terms import Atom

_RECEIVER = "Elixir.Py.Logging"
_LEVELS = (
    (logging.CRITICAL, Atom("critical")),
    (logging.ERROR, Atom("error")),
    (logging.WARNING, Atom("warning")),
    (logging.INFO, Atom("info")),
)


class BeamHandler(logging.Handler):
    """Sends records to the process that logs them. While there is no such process, records are dropped."""

    def emit(self, record):
        try:
            receiver = _native.whereis(_RECEIVER)
            if receiver is not None:
                _native.send(receiver, self._message(record))
        except RuntimeError:
            # The interpreter is about to end, or this is a forked child: print, as without a set-up of logging.
            print(_text(self.format(record)), file=sys.stderr)
        except Exception:  # noqa: BLE001 - a failing log call must not fail the program
            self.handleError(record)

    def _message(self, record):
        level = next((atom for number, atom in _LEVELS if record.levelno >= number), Atom("debug"))
        place = (_text(record.pathname), record.lineno, _text(record.funcName))
        time = int(record.created * 1e6)
        return Atom("py_log"), level, _text(record.name), _text(self.format(record)), place, time, _caller()


def _caller():
    """Return the process whose request runs on this thread, None on a thread of no request."""
    try:
        return _native.self()
    except RuntimeError:
        return None


def _text(value):
    return str(value).encode(errors="backslashreplace").decode()


def configure(level, format=None):
    """Send the records of the root logger, from `level` on, to the BEAM. Another call changes level and format."""
    root = logging.getLogger()
    handler = next((handler for handler in root.handlers if isinstance(handler, BeamHandler)), None)
    if handler is None:
        handler = BeamHandler()
        root.addHandler(handler)
    _hook()
    handler.setFormatter(logging.Formatter(format) if format else None)
    root.setLevel(level.upper() if isinstance(level, str) else level)


def _hook():
    """Log what Python otherwise writes to standard error: warnings, and exceptions that no code can catch."""
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable


def _log_thread(args):
    if args.exc_type is not SystemExit:
        name = args.thread.name if args.thread else "?"
        error = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("threading").error("Exception in thread %s", name, exc_info=error)


def _log_unraisable(args, _logger=logging.getLogger, _otherwise=sys.__unraisablehook__):
    # While an interpreter ends, the globals of its modules are gone, hence the default arguments.
    try:
        error = (args.exc_type, args.exc_value, args.exc_traceback)
        text = args.err_msg or "Exception ignored in"
        _logger("sys.unraisablehook").error("%s: %r", text, args.object, exc_info=error)
    except BaseException:  # noqa: BLE001 - the exception must be visible in any case
        _otherwise(args)
