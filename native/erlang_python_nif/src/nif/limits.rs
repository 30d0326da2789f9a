//! The limit on concurrent Python work.

use rustler::{Encoder, Env, Term};

use crate::atoms;
use crate::runtime::holder::{self, HolderRef};
use crate::runtime::request::PERMITS;

/// `{in use, limit, waiting}`.
#[rustler::nif]
fn permits() -> (usize, usize, usize) {
    (PERMITS.used(), PERMITS.max(), PERMITS.waiting())
}

#[rustler::nif]
fn set_max_permits(max: usize) -> rustler::Atom {
    PERMITS.set_max(max);
    atoms::ok()
}

/// `{granted | waiting, holder}`, or `full`. A waiting process gets `{reference, granted}` in its turn.
#[rustler::nif]
fn permit_acquire<'a>(env: Env<'a>, reference: Term<'a>, wait: bool) -> Term<'a> {
    match holder::acquire(env, reference, wait) {
        Some((holder, true)) => (atoms::granted(), holder).encode(env),
        Some((holder, false)) => (atoms::waiting(), holder).encode(env),
        None => atoms::full().to_term(env),
    }
}

/// Waits no longer: false when the permit was granted and its message is on its way.
#[rustler::nif]
fn permit_give_up(holder: HolderRef) -> bool {
    holder.give_up()
}

/// Whether there was a permit to give back.
#[rustler::nif]
fn permit_release(holder: HolderRef) -> bool {
    holder.release()
}
