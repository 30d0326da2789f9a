//! Integers beyond 64 bits, by way of the external term format: the NIF interface has no other door.

use rustler::{Env, Term};

const VERSION: u8 = 131;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;

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
