"""The replacement of `erlang._native` outside the BEAM: in a test runner, an editor, a type checker."""


def _stand_in(name):
    def function(*args, **kwargs):
        raise RuntimeError(
            f"erlang.{name} works only in Python code that erlang_python runs inside the BEAM, and this is an ordinary "
            f"Python process. In tests, replace what your code calls: monkeypatch.setattr(erlang, '{name}', …)"
        )

    function.__name__ = function.__qualname__ = name
    function.__module__ = "erlang"
    return function


self = _stand_in("self")
send = _stand_in("send")
whereis = _stand_in("whereis")
state_get = _stand_in("state_get")
state_set = _stand_in("state_set")
state_delete = _stand_in("state_delete")
state_keys = _stand_in("state_keys")
state_clear = _stand_in("state_clear")
state_incr = _stand_in("state_incr")
state_decr = _stand_in("state_decr")


def call(name, args):
    # `erlang.price` is `erlang.call` of "price".
    _stand_in(name if isinstance(name, str) else "Function")()


def is_registered(name):
    """Any name may be a registered function inside the BEAM."""
    return True
