"""Functions for test/py/module_test.exs."""

import os
from typing import Optional, Union

LOADED = os.getpid()


def score(text: str, top: int = 5, *, model: str = "small", floor: Optional[float] = None) -> list[tuple[str, float]]:
    """Scores a text.

    The best first.
    """
    return [(f"{text}-{model}-{floor}", float(top))]


def _hidden():
    pass


def separated(text, separator=os.sep, limit=-1):
    return text.split(separator, limit)


def total(first: Union[int, float], *more, scale=1) -> "float | None":
    return (first + sum(more)) * scale


def options(*, timeout, **others):
    return {"timeout": timeout, **others}


def count(to: int):
    yield from range(to)


async def later(value, *, times=1):
    import asyncio

    await asyncio.sleep(0)
    return [value] * times


def end(fn, options, Big=1):
    return [fn, options, Big]


def fails():
    raise ValueError("as asked")


if os.name == "posix":

    def system():
        return "posix"

else:

    def system():
        return "other"
