//! The limit on concurrent Python work.

use crate::runtime::request::PERMITS;

/// `{in use, limit, waiting}`.
#[rustler::nif]
fn permits() -> (usize, usize, usize) {
    (PERMITS.used(), PERMITS.max(), PERMITS.waiting())
}

#[rustler::nif]
fn set_max_permits(max: usize) -> rustler::Atom {
    PERMITS.set_max(max);
    crate::atoms::ok()
}
