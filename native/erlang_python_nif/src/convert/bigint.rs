//! Integers of more than 64 bits.

use rustler::{Env, Term};

use super::{ConvertError, ConvertResult, Converter};
use crate::beam::integer::{big_parts, big_term};
use crate::python::object::{Obj, PyResult};

impl Converter<'_> {
    pub(super) fn big_to_python(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        let external = term.to_binary();
        let Some((negative, magnitude)) = big_parts(external.as_slice()) else {
            return Err(ConvertError::value("integer in an unknown external format"));
        };
        Ok(self.big(negative, magnitude)?)
    }

    /// The int with this sign and little-endian magnitude.
    pub fn big(&self, negative: bool, magnitude: &[u8]) -> PyResult<Obj> {
        let helpers = self.types;
        let number = helpers.from_bytes.call(&[&Obj::bytes(magnitude)?, &helpers.little])?;
        if negative { helpers.negative.call(&[&number]) } else { Ok(number) }
    }

    /// The little-endian magnitude of an int, as `bytes`.
    pub fn magnitude(&self, number: &Obj, negative: bool) -> PyResult<Obj> {
        let helpers = self.types;
        let magnitude = if negative { helpers.negative.call(&[number])? } else { number.clone() };
        let bits = helpers.bit_length.call(&[&magnitude])?.as_i64()?;
        helpers.to_bytes.call(&[&magnitude, &Obj::int((bits + 7) / 8)?, &helpers.little])
    }

    pub(super) fn big_to_term<'a>(&mut self, number: &Obj, negative: bool, env: Env<'a>) -> ConvertResult<Term<'a>> {
        let magnitude = self.magnitude(number, negative)?;
        let words = magnitude.as_bytes().len() / size_of::<usize>();
        self.take(words)?;
        self.size += words;
        big_term(env, negative, magnitude.as_bytes())
            .ok_or_else(|| ConvertError::value("integer larger than the BEAM can hold"))
    }
}
