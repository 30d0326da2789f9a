//! Integers beyond 64 bits, by way of the external term format: the NIF interface has no other door.

use rustler::{Env, Term};

use super::{ConvertError, ConvertResult, Converter};
use crate::runtime::python::Obj;

const VERSION: u8 = 131;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;

impl Converter<'_> {
    pub(super) fn big_to_python(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        let external = term.to_binary();
        let (negative, magnitude) = match external.as_slice() {
            [VERSION, SMALL_BIG, _, sign, magnitude @ ..] => (*sign == 1, magnitude),
            [VERSION, LARGE_BIG, _, _, _, _, sign, magnitude @ ..] => (*sign == 1, magnitude),
            _ => return Err(ConvertError::value("integer in an unknown external format")),
        };
        let helpers = &self.caches.helpers;
        let number = helpers.from_bytes.call(&[&Obj::bytes(magnitude)?, &helpers.little])?;
        Ok(if negative { helpers.negative.call(&[&number])? } else { number })
    }

    pub(super) fn big_to_term<'a>(&mut self, number: &Obj, negative: bool, env: Env<'a>) -> ConvertResult<Term<'a>> {
        let helpers = &self.caches.helpers;
        let magnitude = if negative { helpers.negative.call(&[number])? } else { number.clone() };
        let bits = helpers.bit_length.call(&[&magnitude])?.as_i64()?;
        let len = (bits + 7) / 8;
        let bytes = helpers.to_bytes.call(&[&magnitude, &Obj::int(len)?, &helpers.little])?;
        let mut external = Vec::with_capacity(len as usize + 7);
        external.push(VERSION);
        match u8::try_from(len) {
            Ok(len) => external.extend([SMALL_BIG, len]),
            Err(_) => {
                let len = u32::try_from(len).map_err(|_| too_big())?;
                external.push(LARGE_BIG);
                external.extend(len.to_be_bytes());
            }
        }
        external.push(u8::from(negative));
        external.extend(bytes.as_bytes());
        env.binary_to_term(&external).map(|(term, _)| term).ok_or_else(too_big)
    }
}

fn too_big() -> ConvertError {
    ConvertError::value("integer larger than the BEAM can hold")
}
