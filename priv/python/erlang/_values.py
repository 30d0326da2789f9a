"""The rare conversions, which the native converter leaves to Python.

`classify` is asked once for each class how its instances cross. The numbers are those of `Kind` in convert/kind.rs.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import types
import uuid

from erlang._terms import Atom, _Term

OBJECT, STR, INT, FLOAT, BYTES, TUPLE, LIST, DICT, SET, ATOM, OPAQUE = range(11)
BUFFER, ENUM, DATACLASS, ARRAY, COMPLEX, TEXT, RANGE = range(11, 18)
DATETIME, DATE, TIME, TIMEDELTA, DECIMAL, NULL = range(18, 24)

_BY_BASE = [
    (Atom, ATOM),
    (_Term, OPAQUE),
    (enum.Enum, ENUM),
    (str, STR),
    (int, INT),
    (float, FLOAT),
    (bytes, BYTES),
    ((bytearray, memoryview), BUFFER),
    (tuple, TUPLE),
    (list, LIST),
    ((dict, types.MappingProxyType), DICT),
    ((set, frozenset), SET),
    (complex, COMPLEX),
    (dt.datetime, DATETIME),
    (dt.date, DATE),
    (dt.time, TIME),
    (dt.timedelta, TIMEDELTA),
    (decimal.Decimal, DECIMAL),
    ((uuid.UUID, pathlib.PurePath), TEXT),
    (range, RANGE),
]


def classify(cls):
    """Return how instances of `cls` cross into the BEAM."""
    # The missing values of pandas; NaT would be a datetime.
    if cls.__name__ in ("NaTType", "NAType") and cls.__module__.partition(".")[0] == "pandas":
        return NULL
    for base, kind in _BY_BASE:
        if issubclass(cls, base):
            return kind
    if cls.__module__ == "array" and cls.__name__ == "array":
        return BUFFER
    if dataclasses.is_dataclass(cls):
        return DATACLASS
    if hasattr(cls, "tolist") and hasattr(cls, "ndim"):
        return ARRAY
    return OBJECT


def simplify(kind, value):
    """Return a value that the native converter knows in place of `value`: a basic value, or the parts of a struct."""
    return _SIMPLIFY[kind](value)


def _zone(value):
    """Return `(zone name, abbreviation, UTC offset, DST offset)`, offsets in seconds, or None for a naive value."""
    offset = value.utcoffset()
    if offset is None:
        return None
    zone = value.tzinfo
    if zone is dt.timezone.utc or getattr(zone, "key", None) in ("UTC", "Etc/UTC"):
        return "Etc/UTC", "UTC", 0, 0
    if offset.microseconds:
        raise ValueError("a UTC offset with fractions of a second has no Elixir counterpart; use a whole number of seconds")
    if type(zone) is Zone:
        return zone.parts
    name = getattr(zone, "key", None)
    saving = value.dst() or dt.timedelta()
    seconds, dst = _seconds(offset), _seconds(saving)
    if name is None:
        name = _offset_name(seconds)
        return name, name, seconds, 0
    return name, value.tzname() or name, seconds - dst, dst


def _seconds(delta):
    return delta.days * 86400 + delta.seconds


def _offset_name(seconds):
    minutes, rest = divmod(abs(seconds), 60)
    text = f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{rest:02}" if rest else text


def _datetime(value):
    # pandas.Timestamp; `floor` is its method.
    if getattr(value, "nanosecond", 0):
        raise ValueError("a date-time with nanoseconds has no exact counterpart; round it in Python, with .floor('us')")
    date = (value.year, value.month, value.day)
    return date + (value.hour, value.minute, value.second, value.microsecond, _zone(value))


def _time(value):
    if value.tzinfo is not None:
        raise ValueError("a time with a time zone has no Elixir counterpart; use a datetime")
    return value.hour, value.minute, value.second, value.microsecond


def _duration(value):
    """Return `(days, seconds, microseconds)`, all with the sign of `value`."""
    if getattr(value, "nanoseconds", 0):
        raise ValueError("a timedelta with nanoseconds has no exact counterpart; round it in Python, with .floor('us')")
    size = abs(value)
    sign = -1 if value.days < 0 else 1
    return sign * size.days, sign * size.seconds, sign * size.microseconds


def _range(value):
    """Return `(first, last, step)`, with `last` included, as Elixir has it."""
    return value.start, value.stop - (1 if value.step > 0 else -1), value.step


def _list(value):
    dtype = getattr(value, "dtype", None)
    if _has_times_in_fields(dtype):
        return _records(value)
    if getattr(dtype, "kind", None) in ("M", "m") and hasattr(value, "astype") and hasattr(value, "ravel"):
        value = _microseconds(value, dtype)
    result = value.tolist()
    if type(result) is type(value):
        raise TypeError(f"{type(value).__module__}.{type(value).__name__} has no exact counterpart; convert it in Python")
    return result


def _has_times_in_fields(dtype):
    fields = getattr(dtype, "fields", None) or {}
    types = [getattr(field[0], "base", field[0]) for field in fields.values()]
    return any(getattr(part, "kind", None) in ("M", "m") or _has_times_in_fields(part) for part in types)


def _records(value):
    """Return structured data of numpy as tuples, field by field: its `tolist` would make numbers of some times."""
    if value.ndim > 0:
        return [_records(item) for item in value]
    parts = [value[name] for name in value.dtype.names]
    return tuple(_list(part) if hasattr(part, "tolist") else part for part in parts)


def _microseconds(value, dtype):
    """Return the numpy times of `value` with a unit of which `tolist` makes no numbers."""
    if dtype.str.endswith(("ns]", "ps]", "fs]", "as]")):
        coarse = value.astype(f"{dtype.kind}8[us]")
        if not (coarse.astype(dtype).astype("i8") == value.astype("i8")).all():
            raise ValueError(
                f"{dtype} with parts of a microsecond has no exact counterpart; "
                f"round it in Python, with .astype('{dtype.kind}8[us]')"
            )
        value = coarse
    flat = value.ravel().tolist()
    if any(type(item) is int for item in flat):
        raise ValueError(f"{dtype} has no exact counterpart; convert it in Python, with .astype('i8') to integers")
    return value


def _decimal(value):
    """Return `(sign, coefficient, exponent)` as Elixir's Decimal has them."""
    sign, digits, exponent = value.as_tuple()
    sign = -1 if sign else 1
    if exponent == "F":
        return sign, Atom("inf"), 0
    if exponent in ("n", "N"):
        return sign, Atom("NaN"), 0
    return sign, int(decimal.Decimal((0, digits, 0))), exponent


_SIMPLIFY = {
    BUFFER: bytes,
    DICT: dict,
    ENUM: lambda value: value.value,
    DATACLASS: lambda value: {field.name: getattr(value, field.name) for field in dataclasses.fields(value)},
    ARRAY: _list,
    COMPLEX: lambda value: (value.real, value.imag),
    TEXT: str,
    RANGE: _range,
    DATETIME: _datetime,
    DATE: lambda value: (value.year, value.month, value.day),
    TIME: _time,
    TIMEDELTA: _duration,
    DECIMAL: _decimal,
}


# From Elixir structs.


class Zone(dt.tzinfo):
    """The zone of one Elixir DateTime, where Python's zoneinfo does not know it or has another offset."""

    def __init__(self, zone, abbreviation, utc_offset, std_offset):
        self.parts = zone, abbreviation, utc_offset, std_offset

    def utcoffset(self, when):
        return dt.timedelta(seconds=self.parts[2] + self.parts[3])

    def dst(self, when):
        return dt.timedelta(seconds=self.parts[3])

    def tzname(self, when):
        return self.parts[1]

    def __eq__(self, other):
        return self.parts == other.parts if type(other) is Zone else NotImplemented

    def __hash__(self):
        return hash(self.parts)

    def __reduce__(self):
        return Zone, self.parts

    def __repr__(self):
        return f"<erlang time zone {self.parts[0]}, {self.parts[1]}>"


def make_datetime(
    year, month, day, hour, minute, second, microsecond, zone=None, abbreviation=None, utc_offset=0, std_offset=0
):
    """Return a datetime, a naive one if `zone` is None.

    The zone is that of `zoneinfo` where it has the same offset at that time, else a fixed offset or a `Zone`.
    """
    naive = dt.datetime(year, month, day, hour, minute, second, microsecond)
    if zone is None:
        return naive
    if zone in ("Etc/UTC", "UTC"):
        return naive.replace(tzinfo=dt.timezone.utc)
    offset = dt.timedelta(seconds=utc_offset + std_offset)
    for fold in (0, 1):
        known = naive.replace(tzinfo=_zone_info(zone), fold=fold)
        if known.tzinfo is not None and known.utcoffset() == offset:
            return known
    if std_offset == 0 and zone == _offset_name(utc_offset):
        return naive.replace(tzinfo=dt.timezone(offset))
    return naive.replace(tzinfo=Zone(zone, abbreviation, utc_offset, std_offset))


def _zone_info(name):
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def make_duration(days, seconds, microseconds):
    """Return the timedelta of an Elixir Duration. Raises OverflowError beyond what a timedelta can hold."""
    try:
        return dt.timedelta(days=days, seconds=seconds, microseconds=microseconds)
    except OverflowError:
        raise OverflowError("a Duration too long for a timedelta") from None


def make_decimal(sign, coefficient, exponent):
    """Return the Decimal of an Elixir Decimal, exactly."""
    if coefficient in ("inf", "NaN"):
        return decimal.Decimal(f"{'-' if sign < 0 else ''}{coefficient}")
    # By way of Decimal: int -> str is limited to a few thousand digits.
    digits = decimal.Decimal(coefficient).as_tuple().digits
    return decimal.Decimal((int(sign < 0), digits, exponent))


def make_range(first, last, step):
    """Return the range of an Elixir Range, whose `last` is included."""
    return range(first, last + (1 if step > 0 else -1), step)


MAKE = {
    "date": dt.date,
    "time": dt.time,
    "datetime": make_datetime,
    "duration": make_duration,
    "decimal": make_decimal,
    "range": make_range,
}


def make(name, *parts):
    """Build the Python value of an Elixir struct from its parts."""
    return MAKE[name](*parts)
