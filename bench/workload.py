"""What the benchmarks do in Python: alone, as a floor, or called from Elixir."""

import ctypes
import functools
import math
import time

try:
    import erlang
except ImportError:  # looked at without the BEAM
    erlang = None


# Called from Elixir


def echo(value):
    return value


def take(value):
    return None


@functools.cache
def kept(name):
    """Made once: only its way out is measured."""
    return DATA[name]()


def give(name):
    return kept(name)


def options(first, *, second=0):
    return first + second


def fail():
    raise ValueError("no")


def nest(depth):
    return erlang.call("bench_nest", depth) if depth else 0


def spin(rounds):
    """Keeps a core busy with bytecode."""
    total = 0
    for number in range(rounds):
        total += number & 7
    return total


# Data

DATA = {
    "ints_10000": lambda: list(range(1_000_000, 1_010_000)),
    "ints_100000": lambda: list(range(1_000_000, 1_100_000)),
    "floats_10000": lambda: [number * 0.5 for number in range(10_000)],
    "floats_100000": lambda: [number * 0.5 for number in range(100_000)],
    "strings_10000": lambda: [f"item {number}" for number in range(10_000)],
    "strings_100000": lambda: [f"item {number}" for number in range(100_000)],
    "maps_1000": lambda: {
        f"key {number}": {"id": number, "name": f"name {number}", "tags": ["a", "b"], "score": number * 0.5}
        for number in range(1_000)
    },
    "bytes_1000000": lambda: b"\xff" * 1_000_000,
    "bytes_100000000": lambda: b"\xff" * 100_000_000,
    "text_1000000": lambda: "x" * 1_000_000,
}


# Timed in Python


def incr():
    erlang.state_incr("bench_counter")


def get():
    erlang.state_get("bench_value")


def call_back():
    erlang.call("bench_noop")


def sum_of(name):
    build = DATA[name]
    return lambda: sum(build())


def lengths_of(name):
    build = DATA[name]
    return lambda: sum(map(len, build()))


def new_interpreter():
    import _interpreters

    _interpreters.destroy(_interpreters.create())


@functools.cache
def memcpy(size):
    source, target = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    ctypes.memset(source, 1, size)
    ctypes.memset(target, 2, size)
    return lambda: ctypes.memmove(target, source, size)


ALONE = {
    "sqrt": lambda: math.sqrt(16),
    "incr": incr,
    "get": get,
    "call_back": call_back,
    "new_interpreter": new_interpreter,
    "spin": lambda: spin(200_000),
}


def operation(name):
    kind, _, rest = name.partition("_")
    if name in ALONE:
        return ALONE[name]
    if kind == "memcpy":
        return memcpy(int(rest))
    return sum_of(name) if kind in ("ints", "floats") else lengths_of(name)


def timed(name, number, repeat):
    """`number` samples in nanoseconds, each the mean of `repeat` runs."""
    run, clock, samples = operation(name), time.perf_counter_ns, []
    runs = range(repeat)
    for _ in range(number):
        start = clock()
        for _ in runs:
            run()
        samples.append((clock() - start) / repeat)
    return samples
