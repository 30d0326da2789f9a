//! Serializes Serde structs as terms. Structs become maps with atoms as keys, unit variants become atoms, `None`
//! becomes `nil`, and text becomes a binary.
//!
//! rustler's own serializer adds the name of the Rust struct to every map, and makes no new atoms.

use std::fmt::{self, Display};

use rustler::types::tuple::make_tuple;
use rustler::{Atom, Encoder, Env, Term};
use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeTuple};

/// The term of `value`.
pub fn to_term<'a, T: Serialize + ?Sized>(env: Env<'a>, value: &T) -> Result<Term<'a>, Error> {
    value.serialize(Serializer(env))
}

/// The error for a type that has no term here, and for a map that could not be built.
#[derive(Debug)]
pub struct Error(String);

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: Display>(text: T) -> Self {
        Error(text.to_string())
    }
}

fn unsupported<T>(what: &str) -> Result<T, Error> {
    Err(Error(format!("{what} cannot be serialized")))
}

#[derive(Clone, Copy)]
struct Serializer<'a>(Env<'a>);

/// The elements of a list or a tuple, or alternating keys and values.
struct Parts<'a> {
    env: Env<'a>,
    terms: Vec<Term<'a>>,
}

impl<'a> Parts<'a> {
    fn new(env: Env<'a>, len: usize) -> Result<Self, Error> {
        Ok(Parts { env, terms: Vec::with_capacity(len) })
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.terms.push(to_term(self.env, value)?);
        Ok(())
    }
}

/// The atom `name`. All names are constants of this crate, so their number is bounded.
fn atom<'a>(env: Env<'a>, name: &'static str) -> Result<Term<'a>, Error> {
    Atom::from_str(env, name).map(|atom| atom.to_term(env)).map_err(|_| Error(format!("{name} is no atom")))
}

macro_rules! encoded {
    ($($method:ident: $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result<Term<'a>, Error> {
            Ok(value.encode(self.0))
        })+
    };
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = Term<'a>;
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeTupleStruct = Impossible<Term<'a>, Error>;
    type SerializeTupleVariant = Impossible<Term<'a>, Error>;
    type SerializeMap = Impossible<Term<'a>, Error>;
    type SerializeStructVariant = Impossible<Term<'a>, Error>;

    encoded!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    encoded!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);
    encoded!(serialize_f32: f32, serialize_f64: f64, serialize_str: &str);

    fn serialize_char(self, value: char) -> Result<Term<'a>, Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<Term<'a>, Error> {
        unsupported("a byte string")
    }

    fn serialize_none(self) -> Result<Term<'a>, Error> {
        atom(self.0, "nil")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Term<'a>, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Term<'a>, Error> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Term<'a>, Error> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Term<'a>, Error> {
        atom(self.0, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Term<'a>, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Result<Term<'a>, Error> {
        unsupported(variant)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Parts<'a>, Error> {
        Parts::new(self.0, len.unwrap_or(0))
    }

    fn serialize_tuple(self, len: usize) -> Result<Parts<'a>, Error> {
        Parts::new(self.0, len)
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Parts<'a>, Error> {
        Parts::new(self.0, 2 * len)
    }

    fn serialize_tuple_struct(self, name: &'static str, _len: usize) -> Result<Self::SerializeTupleStruct, Error> {
        unsupported(name)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        unsupported(variant)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap, Error> {
        unsupported("a map, which has no fixed keys,")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        unsupported(variant)
    }
}

impl<'a> SerializeSeq for Parts<'a> {
    type Ok = Term<'a>;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<Term<'a>, Error> {
        Ok(self.terms.encode(self.env))
    }
}

impl<'a> SerializeTuple for Parts<'a> {
    type Ok = Term<'a>;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<Term<'a>, Error> {
        Ok(make_tuple(self.env, &self.terms))
    }
}

impl<'a> SerializeStruct for Parts<'a> {
    type Ok = Term<'a>;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.terms.push(atom(self.env, key)?);
        self.push(value)
    }

    fn end(self) -> Result<Term<'a>, Error> {
        let (keys, values): (Vec<_>, Vec<_>) = self.terms.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
        Term::map_from_term_arrays(self.env, &keys, &values).map_err(|_| Error("two fields of one name".into()))
    }
}
