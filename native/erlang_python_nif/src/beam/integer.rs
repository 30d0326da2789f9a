//! Integers of more than 64 bits, by the external term format: the NIF interface has no functions for them.

use rustler::{Env, Term};

const VERSION: u8 = 131;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;

/// The sign and the little-endian magnitude of a big integer in the external term format. `None` for anything else. The
/// sign is `true` for a negative number.
pub fn big_parts(external: &[u8]) -> Option<(bool, &[u8])> {
    match external {
        [VERSION, SMALL_BIG, _, sign, magnitude @ ..] => Some((*sign == 1, magnitude)),
        [VERSION, LARGE_BIG, _, _, _, _, sign, magnitude @ ..] => Some((*sign == 1, magnitude)),
        _ => None,
    }
}

/// The external term format of a big integer. `None` if it has 4 GiB or more.
pub fn big_external(negative: bool, magnitude: &[u8]) -> Option<Vec<u8>> {
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
    Some(external)
}

/// The integer with this sign and little-endian magnitude. `None` if the BEAM cannot hold it.
pub fn big_term<'a>(env: Env<'a>, negative: bool, magnitude: &[u8]) -> Option<Term<'a>> {
    env.binary_to_term(&big_external(negative, magnitude)?).map(|(term, _)| term)
}
