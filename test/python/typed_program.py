"""A typed program that uses every name of the package `erlang`.

`script/types` checks it with `mypy --strict`. `assert_type` states what the stub says of a right use. A
wrong use has `# type: ignore[...]` with the error that mypy must find: an ignore that hides no error is
itself an error. Nothing here is ever run.
"""

from typing import Any, Callable, assert_type

import erlang
from erlang import (
    Atom,
    CallbackError,
    Function,
    Pid,
    Port,
    ProcessError,
    Ref,
    Span,
    SuspensionRequired,
    price,
)


def terms(pid: Pid, ref: Ref, port: Port, function: Function) -> None:
    assert_type(erlang.atom("ok"), Atom)
    text: str = erlang.atom("ok")
    assert_type(text.upper(), str)
    assert_type(function(1, pid, ref, port), Any)
    assert_type(pid == ref, bool)
    assert_type({pid: 1, ref: 2}[pid], int)

    erlang.atom(1)  # type: ignore[arg-type]
    not_atom: Atom = "ok"  # type: ignore[assignment]
    not_pid: Pid = ref  # type: ignore[assignment]
    pid.name  # type: ignore[attr-defined]
    pid("not a function")  # type: ignore[operator]
    function(named=1)  # type: ignore[call-arg]
    print(not_atom, not_pid)


def calls(function: Function) -> None:
    assert_type(erlang.call("price", "tea", 2), Any)
    assert_type(erlang.call(Atom("price")), Any)
    assert_type(erlang.call(function, [1]), Any)
    assert_type(erlang.price, Callable[..., Any])
    assert_type(price("tea", 2), Any)

    erlang.call()  # type: ignore[call-arg]
    erlang.call(1)  # type: ignore[arg-type]
    erlang.call("price", count=2)  # type: ignore[call-arg]
    number: int = erlang.price  # type: ignore[assignment]
    print(number)


def failures() -> str:
    try:
        erlang.call("price")
    except CallbackError as error:
        assert_type(error.kind, str)
        assert_type(error.stacktrace, str)
        as_runtime_error: RuntimeError = error
        print(as_runtime_error, error.code)  # type: ignore[attr-defined]
        return error.reason
    except ProcessError as error:
        assert_type(error, ProcessError)
    except Exception as error:
        not_suspended: SuspensionRequired = error  # type: ignore[assignment]
        print(not_suspended)
    CallbackError("error")  # type: ignore[call-arg]
    return str(CallbackError("error", "no stock", "…"))


def messages() -> None:
    assert_type(erlang.self(), Pid)
    found = erlang.whereis("logger")
    assert_type(found, Pid | None)
    erlang.whereis(b"logger")
    if found is not None:
        erlang.send(found, ("tuple", [1, None], {"key": 1.5}))

    erlang.send(found, "text")  # type: ignore[arg-type]
    erlang.send("logger", "text")  # type: ignore[arg-type]
    erlang.send(erlang.self())  # type: ignore[call-arg]
    erlang.send(pid=erlang.self(), message=1)  # type: ignore[call-arg]
    erlang.whereis(1)  # type: ignore[arg-type]
    erlang.self(1)  # type: ignore[call-arg]


def state() -> None:
    assert_type(erlang.state_get("limits"), Any)
    assert_type(erlang.state_get(b"limits", {}), Any)
    erlang.state_set("limits", {"retries": 3})
    assert_type(erlang.state_delete("limits"), bool)
    assert_type(erlang.state_keys(), list[str | bytes])
    assert_type(erlang.state_incr("hits"), int)
    assert_type(erlang.state_incr("hits", 2), int)
    assert_type(erlang.state_decr("hits", 2**80), int)
    erlang.state_clear()

    erlang.state_get(1)  # type: ignore[arg-type]
    erlang.state_get("limits", default=1)  # type: ignore[call-arg]
    erlang.state_set("limits")  # type: ignore[call-arg]
    erlang.state_incr("hits", 1.5)  # type: ignore[arg-type]
    erlang.state_incr("hits", by=2)  # type: ignore[call-arg]
    erlang.state_decr(None)  # type: ignore[arg-type]
    erlang.state_delete()  # type: ignore[call-arg]
    erlang.state_keys("prefix")  # type: ignore[call-arg]
    erlang.state_clear(1)  # type: ignore[call-arg]


def logs() -> None:
    erlang.setup_logging()
    erlang.setup_logging(20, "%(message)s")
    erlang.setup_logging(level="INFO", format=None)

    erlang.setup_logging(None)  # type: ignore[arg-type]
    erlang.setup_logging(stream=1)  # type: ignore[call-arg]


# A span does not swallow exceptions, so no return is missing after it.
def spans() -> int:
    with erlang.Span("order", id=7, paid=True) as span:
        assert_type(span, Span)
        assert_type(span.span_id, int)
        span.event("priced", euros=3)
        span.event(1)  # type: ignore[arg-type]
        Span()  # type: ignore[call-arg]
        Span(7)  # type: ignore[arg-type]
        return len(span.name) + len(span.attrs)


@erlang.trace
def plain(number: int) -> str:
    return str(number)


@erlang.trace()
def called(number: int) -> str:
    return str(number)


@erlang.trace("waits")
async def waits(number: int) -> str:
    return str(number)


async def traced() -> None:
    assert_type(plain(1), str)
    assert_type(called(1), str)
    assert_type(await waits(1), str)

    plain("1")  # type: ignore[arg-type]
    erlang.trace(1)  # type: ignore[call-overload]
