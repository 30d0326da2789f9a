//! The limits on concurrent requests and on the size of values.

use rustler::{Encoder, Env, Term};

use crate::beam::atoms;
use crate::beam::serial::to_term;
use crate::convert;
use crate::request::permits::PERMITS;
use crate::request::process_permit::{self, ProcessPermitRef};
use crate::runtime::{process, snapshot};

/// `{in use, limit}`.
#[rustler::nif]
fn permits_used() -> (usize, usize) {
    (PERMITS.used(), PERMITS.max())
}

/// A map, see `t:Py.Stats.permits/0`. Counts the waiters one by one.
#[rustler::nif]
fn permits(env: Env<'_>) -> Term<'_> {
    to_term(env, &snapshot::permits()).expect("numbers")
}

#[rustler::nif]
fn set_max_permits(max: usize) -> rustler::Atom {
    PERMITS.set_max(max);
    atoms::ok()
}

/// `{granted | waiting, permit}`, or `full`. A waiting process gets `{reference, granted}` in its turn.
#[rustler::nif]
fn permit_acquire<'a>(env: Env<'a>, reference: Term<'a>, wait: bool) -> Term<'a> {
    match process_permit::acquire(env, reference, wait) {
        Some((permit, true)) => (atoms::granted(), permit).encode(env),
        Some((permit, false)) => (atoms::waiting(), permit).encode(env),
        None => atoms::full().to_term(env),
    }
}

/// Stops waiting. Returns `false` when the permit was granted and its message is on its way.
#[rustler::nif]
fn permit_give_up(permit: ProcessPermitRef) -> bool {
    permit.give_up()
}

/// Returns `true` if there was a permit to give back.
#[rustler::nif]
fn permit_release(permit: ProcessPermitRef) -> bool {
    permit.release()
}

/// The default bound on one value is a quarter of the available memory, and at most this number of bytes.
const DEFAULT_MAX: u64 = 4 << 30;

/// Bounds the size of one value that comes from Python: bytes, `0` for the default. Returns the bound.
#[rustler::nif(schedule = "DirtyIo")]
fn set_max_value_size(max: u64) -> u64 {
    let max = match max {
        0 => process::available().map_or(DEFAULT_MAX, |bytes| (bytes / 4).min(DEFAULT_MAX)),
        max => max,
    };
    convert::set_max_bytes(usize::try_from(max).unwrap_or(usize::MAX));
    max
}
