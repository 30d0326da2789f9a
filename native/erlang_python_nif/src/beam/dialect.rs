//! The two dialects of values.

/// The API that a value is for: it decides which term a Python object becomes, and which object a term becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `nil` for `None`, structs, handles.
    Elixir,
    /// `none` for `None`, text for objects without a counterpart.
    Erlang,
}

impl Dialect {
    /// The dialect of the Erlang API, or that of the Elixir API.
    pub fn new(erlang: bool) -> Dialect {
        if erlang { Dialect::Erlang } else { Dialect::Elixir }
    }

    /// Returns `true` for the dialect of the Erlang API.
    #[inline]
    pub fn is_erlang(self) -> bool {
        self == Dialect::Erlang
    }
}
