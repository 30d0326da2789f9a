"""Python types for BEAM terms that have no Python counterpart."""

from erlang import _native


class Atom(str):
    """A `str` that goes back to the BEAM as an atom.

    It is equal to the plain text, and has the same hash.
    """

    __slots__ = ()

    def __repr__(self):
        return f"erlang.Atom({str.__repr__(self)})"


def atom(name):
    """Return `name` (a str) as an `Atom`."""
    return Atom(name)


class _Term:
    """An opaque term. Objects of the same term are equal."""

    # The term in Erlang's external format, which can be kept forever, in any interpreter, and pickled.
    __slots__ = ("_external",)

    def __init__(self, external):
        if not isinstance(external, bytes):
            raise TypeError(f"{type(self).__name__} objects come from the BEAM and cannot be made from Python")
        object.__setattr__(self, "_external", external)

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} objects are immutable")

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self._external == other._external

    def __hash__(self):
        return hash((type(self), self._external))

    def __reduce__(self):
        return type(self), (self._external,)

    def __repr__(self):
        return f"<erlang.{type(self).__name__} {self._external[-8:].hex()}>"


class Pid(_Term):
    """A process identifier."""

    __slots__ = ()

    def __repr__(self):
        number, serial = (int.from_bytes(self._external[at : at + 4], "big") for at in (-12, -8))
        return f"<erlang.Pid {number}.{serial}>"


class Ref(_Term):
    """A reference, such as `make_ref/0` makes."""

    __slots__ = ()


class Port(_Term):
    """A port."""

    __slots__ = ()


class Function(_Term):
    """A function of Elixir or Erlang, called like any other: `function(1, 2)`.

    Errors are those of `erlang.call`.
    """

    __slots__ = ()

    def __call__(self, *args):
        return _native.call(self, args)


class CallbackError(RuntimeError):
    """A function of the BEAM failed, or no function is registered under the name.

    `kind` is "error", "exit" or "throw", `reason` its text, and `stacktrace` the stack trace of Elixir, which may be empty.
    """

    def __init__(self, kind, reason, stacktrace=""):
        super().__init__(kind, reason, stacktrace)
        self.kind = kind
        self.reason = reason
        self.stacktrace = stacktrace
        if stacktrace:
            self.add_note(f"Elixir stacktrace:\n{stacktrace}".rstrip())

    def __str__(self):
        return self.reason


class ProcessError(Exception):
    """A message was sent to a process that does not exist."""


class SuspensionRequired(BaseException):
    """A name that programs for the C package catch. It is never raised here."""


# The module where users find them.
for _class in (Atom, Pid, Ref, Port, Function, CallbackError, ProcessError, SuspensionRequired):
    _class.__module__ = "erlang"
