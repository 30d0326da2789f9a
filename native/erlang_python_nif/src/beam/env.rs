//! Environments of our own: terms outside of any process.

use std::cell::RefCell;

use rustler::sys::{ErlNifEnv, ErlNifTerm, enif_alloc_env, enif_clear_env, enif_free_env, enif_make_copy, enif_send};
use rustler::{Env, LocalPid, Term};

/// A process-independent environment, freed or kept for the next use when dropped.
pub struct OwnedTermEnv(*mut ErlNifEnv);

/// Empty environments that a thread keeps for itself.
struct Spare(Vec<*mut ErlNifEnv>);

/// A thread has few requests under way at once.
const MAX_SPARE: usize = 8;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare(Vec::new())) };
}

impl Drop for Spare {
    fn drop(&mut self) {
        for env in self.0.drain(..) {
            // SAFETY: nobody else has it.
            unsafe { enif_free_env(env) }
        }
    }
}

// SAFETY: a process-independent environment may be used by any thread, one at a time; `&mut`/ownership ensures that.
unsafe impl Send for OwnedTermEnv {}

impl OwnedTermEnv {
    pub fn new() -> Self {
        // The storage is gone while the thread ends.
        let spare = SPARE.try_with(|spare| spare.borrow_mut().0.pop()).ok().flatten();
        // SAFETY: no preconditions.
        OwnedTermEnv(spare.unwrap_or_else(|| unsafe { enif_alloc_env() }))
    }

    /// The environment alone, to be given back to `from_raw`.
    pub fn into_raw(self) -> *mut ErlNifEnv {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    /// # Safety
    /// `raw` comes from `into_raw`, once.
    pub unsafe fn from_raw(raw: *mut ErlNifEnv) -> Self {
        OwnedTermEnv(raw)
    }

    pub fn as_ptr(&self) -> *mut ErlNifEnv {
        self.0
    }

    /// The environment, for as long as `self` is borrowed.
    pub fn env(&self) -> Env<'_> {
        // SAFETY: the lifetime is that of this borrow; terms made in it cannot outlive it.
        unsafe { Env::new(self, self.0) }
    }

    pub fn copy<'a>(&'a self, term: Term<'_>) -> Term<'a> {
        // SAFETY: both environments are live.
        unsafe { Term::new(self.env(), enif_make_copy(self.0, term.as_c_arg())) }
    }

    /// Sends the message that `build` makes and empties the environment. Only from threads that are not schedulers.
    pub fn send(&mut self, to: &LocalPid, build: impl FnOnce(Env<'_>) -> Term<'_>) -> bool {
        let message = build(self.env()).as_c_arg();
        // SAFETY: called from our own threads only, hence the null caller environment; `message` lives in `self`.
        unsafe {
            let sent = enif_send(std::ptr::null_mut(), to.as_c_arg(), self.0, message);
            enif_clear_env(self.0);
            sent == 1
        }
    }

    pub fn clear(&mut self) {
        // SAFETY: `&mut` means that no term borrows from the environment.
        unsafe { enif_clear_env(self.0) }
    }
}

impl Drop for OwnedTermEnv {
    fn drop(&mut self) {
        self.clear();
        // The storage is gone while the thread ends.
        let kept = SPARE.try_with(|spare| {
            let spare = &mut spare.borrow_mut().0;
            let room = spare.len() < MAX_SPARE;
            if room {
                spare.push(self.0);
            }
            room
        });
        if kept != Ok(true) {
            // SAFETY: allocated in `new`, freed once.
            unsafe { enif_free_env(self.0) }
        }
    }
}

/// A local pid is an immediate term: equal pids are equal words.
pub fn pid_word(pid: &LocalPid) -> ErlNifTerm {
    // SAFETY: making a term of a local pid uses no environment.
    unsafe { rustler::sys::enif_make_pid(std::ptr::null_mut(), *pid.as_c_arg()) }
}
