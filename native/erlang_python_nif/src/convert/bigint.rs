//! Integers beyond 64 bits, by way of the external term format: the NIF interface has no other door.

use rustler::{Env, Term};

use super::{ConvertError, ConvertResult, Converter};
use crate::runtime::python::{Obj, PyResult};

const VERSION: u8 = 131;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;

impl Converter<'_> {
    pub(super) fn big_to_python(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        let external = term.to_binary();
        let Some((negative, magnitude)) = big_parts(external.as_slice()) else {
            return Err(ConvertError::value("integer in an unknown external format"));
        };
        Ok(self.big(negative, magnitude)?)
    }

    /// The int of this sign and magnitude, little end first.
    pub fn big(&self, negative: bool, magnitude: &[u8]) -> PyResult<Obj> {
        let helpers = &self.caches.helpers;
        let number = helpers.from_bytes.call(&[&Obj::bytes(magnitude)?, &helpers.little])?;
        if negative { helpers.negative.call(&[&number]) } else { Ok(number) }
    }

    /// The magnitude of an int as `bytes`, little end first.
    pub fn magnitude(&self, number: &Obj, negative: bool) -> PyResult<Obj> {
        let helpers = &self.caches.helpers;
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

/// Sign and magnitude, little end first, of a big integer in the external term format.
pub fn big_parts(external: &[u8]) -> Option<(bool, &[u8])> {
    match external {
        [VERSION, SMALL_BIG, _, sign, magnitude @ ..] => Some((*sign == 1, magnitude)),
        [VERSION, LARGE_BIG, _, _, _, _, sign, magnitude @ ..] => Some((*sign == 1, magnitude)),
        _ => None,
    }
}

/// The integer of this sign and magnitude; `None` when the BEAM cannot hold it.
pub fn big_term<'a>(env: Env<'a>, negative: bool, magnitude: &[u8]) -> Option<Term<'a>> {
    let mut external = Vec::with_capacity(magnitude.len() + 7);
    external.push(VERSION);
    match u8::try_from(magnitude.len()) {
        Ok(len) => external.extend([SMALL_BIG, len]),
        Err(_) => {
            external.push(LARGE_BIG);
            external.extend(u32::try_from(magnitude.len()).ok()?.to_be_bytes());
        }
    }
    external.push(u8::from(negative));
    external.extend(magnitude);
    env.binary_to_term(&external).map(|(term, _)| term)
}
