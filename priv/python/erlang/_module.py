"""Calls of `Py.Module`."""

from importlib import import_module


def run(module, function, args, kwargs):
    """Call the coroutine function `function` of `module`, and run its coroutine until it is done."""
    import asyncio

    return asyncio.run(getattr(import_module(module), function)(*args, **kwargs))
