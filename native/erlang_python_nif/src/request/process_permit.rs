//! A permit that a BEAM process holds by itself: `Py.Semaphore.acquire`.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use erlang_python_core::request::permits::Acquired;
use erlang_python_core::sync::errands;
use rustler::{Encoder, Env, LocalPid, Monitor, Resource, ResourceArc, Term};

use super::permits::{PERMITS, Waiter};
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;

const WAITING: u8 = 0;
const HELD: u8 = 1;
const GIVEN_UP: u8 = 2;
const RELEASED: u8 = 3;

/// A permit of a process, or its wait for one. It is given back when it is released or dropped, and when the process dies.
pub struct ProcessPermit {
    phase: AtomicU8,
    pid: LocalPid,
    /// The reference of `{reference, granted}`, and its environment, only read after construction.
    env: OwnedTermEnv,
    reference: rustler::sys::ErlNifTerm,
}

// SAFETY: the environment is only read, which several threads may do at once.
unsafe impl Sync for ProcessPermit {}

pub type ProcessPermitRef = ResourceArc<ProcessPermit>;

#[rustler::resource_impl]
impl Resource for ProcessPermit {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        if !self.give_up() {
            self.release();
        }
    }
}

impl ProcessPermit {
    fn step(&self, from: u8, to: u8) -> bool {
        self.phase.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }

    /// Stops waiting. Returns `false` when the permit has been granted, and the message is on its way.
    pub fn give_up(&self) -> bool {
        let gave_up = self.step(WAITING, GIVEN_UP);
        if gave_up {
            PERMITS.note_withdrawn();
        }
        gave_up
    }

    /// Returns `true` if there was a permit to give back.
    pub fn release(&self) -> bool {
        let released = self.step(HELD, RELEASED);
        if released {
            PERMITS.release();
        }
        released
    }

    /// Sends the process the message that it has its permit. Not from scheduler threads.
    pub fn notify(&self) {
        OwnedTermEnv::new().send(&self.pid, |env| {
            // SAFETY: the reference lives in the permit's environment.
            let reference = unsafe { Term::new(self.env.env(), self.reference) };
            (reference.in_env(env), atoms::granted()).encode(env)
        });
    }

    /// Returns `true` if it waits no longer.
    pub fn gone(&self) -> bool {
        self.phase.load(SeqCst) != WAITING
    }
}

impl Drop for ProcessPermit {
    fn drop(&mut self) {
        self.release();
    }
}

/// Grants the permit. Returns `false` if the process no longer waits.
pub fn grant(permit: &ProcessPermitRef) -> bool {
    let granted = permit.step(WAITING, HELD);
    if granted {
        // A scheduler thread may be the one that grants.
        let permit = permit.clone();
        errands::post(move || permit.notify());
    }
    granted
}

/// Takes a permit for the calling process, or queues for one. Returns the permit, and whether it was granted at once. `None` when
/// there is none and the process will not wait, or is dead.
pub fn acquire(env: Env<'_>, reference: Term<'_>, wait: bool) -> Option<(ProcessPermitRef, bool)> {
    let own = OwnedTermEnv::new();
    let reference = own.copy(reference).as_c_arg();
    let pid = env.pid();
    let permit = ResourceArc::new(ProcessPermit { phase: AtomicU8::new(WAITING), pid, env: own, reference });
    env.monitor(&permit, &pid)?;
    match PERMITS.acquire(wait, || Waiter::Process(permit.clone())) {
        Acquired::Now => {
            permit.step(WAITING, HELD);
            Some((permit, true))
        }
        Acquired::Waiting => {
            errands::nudge();
            Some((permit, false))
        }
        Acquired::Refused => {
            permit.step(WAITING, GIVEN_UP);
            None
        }
    }
}
