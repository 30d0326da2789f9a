//! The kinds of Python types, which decide how their values become terms.

/// The kind of a Python type. The numbers are those of `priv/python/erlang/_values.py`, which describes the kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum Kind {
    Object = 0,
    Str,
    Int,
    Float,
    Bytes,
    Tuple,
    List,
    Dict,
    Set,
    Atom,
    Opaque,
    Buffer,
    Enum,
    Dataclass,
    Array,
    Complex,
    Text,
    Range,
    DateTime,
    Date,
    Time,
    TimeDelta,
    Decimal,
    Null,
}

impl Kind {
    const ALL: [Kind; 24] = [
        Kind::Object,
        Kind::Str,
        Kind::Int,
        Kind::Float,
        Kind::Bytes,
        Kind::Tuple,
        Kind::List,
        Kind::Dict,
        Kind::Set,
        Kind::Atom,
        Kind::Opaque,
        Kind::Buffer,
        Kind::Enum,
        Kind::Dataclass,
        Kind::Array,
        Kind::Complex,
        Kind::Text,
        Kind::Range,
        Kind::DateTime,
        Kind::Date,
        Kind::Time,
        Kind::TimeDelta,
        Kind::Decimal,
        Kind::Null,
    ];

    /// The kind with this number. `Object` for an unknown number.
    pub fn from_number(number: i64) -> Kind {
        usize::try_from(number).ok().and_then(|index| Kind::ALL.get(index).copied()).unwrap_or(Kind::Object)
    }
}
