//! Environments that belong to no process.

use std::cell::RefCell;

use rustler::sys::{ErlNifEnv, ErlNifTerm, enif_alloc_env, enif_clear_env, enif_free_env, enif_make_copy, enif_send};
use rustler::{Env, LocalPid, Term};

/// A process-independent environment. When dropped, it is freed or kept for the next use.
pub struct OwnedTermEnv(*mut ErlNifEnv);

/// Empty environments that a thread keeps for its next uses.
struct Spare(Vec<*mut ErlNifEnv>);

/// The maximum number of environments kept. A thread has few requests under way at once.
const MAX_SPARE: usize = 8;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare(Vec::new())) };
}

impl Drop for Spare {
    fn drop(&mut self) {
        for env in self.0.drain(..) {
            // SAFETY: allocated by `enif_alloc_env`, and this thread owns it.
            unsafe { enif_free_env(env) }
        }
    }
}

// SAFETY: any thread may use a process-independent environment, one at a time, which ownership ensures.
unsafe impl Send for OwnedTermEnv {}

impl OwnedTermEnv {
    /// An empty environment.
    pub fn new() -> Self {
        // While the thread ends, the storage may be gone.
        let spare = SPARE.try_with(|spare| spare.borrow_mut().0.pop()).ok().flatten();
        // SAFETY: `enif_alloc_env` has no preconditions.
        OwnedTermEnv(spare.unwrap_or_else(|| unsafe { enif_alloc_env() }))
    }

    /// The bare environment, to be passed to `from_raw`.
    pub fn into_raw(self) -> *mut ErlNifEnv {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    /// Takes over the environment that `into_raw` returned.
    ///
    /// # Safety
    /// `raw` comes from `into_raw` and is passed here once.
    pub unsafe fn from_raw(raw: *mut ErlNifEnv) -> Self {
        OwnedTermEnv(raw)
    }

    /// The environment, borrowed.
    pub fn as_ptr(&self) -> *mut ErlNifEnv {
        self.0
    }

    /// The environment, for as long as `self` is borrowed.
    pub fn env(&self) -> Env<'_> {
        // SAFETY: the environment is live, and the lifetime is that of the borrow, so that no term outlives it.
        unsafe { Env::new(self, self.0) }
    }

    /// A copy of `term` in this environment.
    pub fn copy<'a>(&'a self, term: Term<'_>) -> Term<'a> {
        // SAFETY: both environments are live.
        unsafe { Term::new(self.env(), enif_make_copy(self.0, term.as_c_arg())) }
    }

    /// Sends the message that `build` makes, and empties the environment. Not for schedulers. Returns `false` if the
    /// receiver is dead.
    pub fn send(&mut self, to: &LocalPid, build: impl FnOnce(Env<'_>) -> Term<'_>) -> bool {
        let message = build(self.env()).as_c_arg();
        // SAFETY: called on threads that are not schedulers, which pass null as the caller's environment. `message`
        // lives in `self`.
        unsafe {
            let sent = enif_send(std::ptr::null_mut(), to.as_c_arg(), self.0, message);
            enif_clear_env(self.0);
            sent == 1
        }
    }

    /// Drops all terms.
    pub fn clear(&mut self) {
        // SAFETY: `&mut` ensures that no term borrows from the environment.
        unsafe { enif_clear_env(self.0) }
    }
}

impl Drop for OwnedTermEnv {
    fn drop(&mut self) {
        self.clear();
        // While the thread ends, the storage may be gone.
        let kept = SPARE.try_with(|spare| {
            let spare = &mut spare.borrow_mut().0;
            let room = spare.len() < MAX_SPARE;
            if room {
                spare.push(self.0);
            }
            room
        });
        if kept != Ok(true) {
            // SAFETY: allocated by `enif_alloc_env`, and freed here only.
            unsafe { enif_free_env(self.0) }
        }
    }
}

/// The term of a local pid. It is an immediate: equal pids are equal words.
pub fn pid_word(pid: &LocalPid) -> ErlNifTerm {
    // SAFETY: the term of a local pid needs no environment.
    unsafe { rustler::sys::enif_make_pid(std::ptr::null_mut(), *pid.as_c_arg()) }
}
