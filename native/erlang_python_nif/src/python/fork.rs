//! Forks of the VM's process: when they are refused, and what the child does.
//!
//! A forked child has one thread, and the locks of all other threads stay as they were. Nothing of the BEAM works in
//! it. Python code may go on there, as `multiprocessing` does with `fork`, until the request that forked ends. Then
//! `leave` ends the child. The child must not write to the pipe of the BEAM's signal handlers, which the parent reads.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, Once};
use std::time::Duration;

use erlang_python_core::sync::lock;
use pyo3::ffi;

use super::host::host;
use super::interpreter::detach;
use super::object::{Obj, PyResult, Raised, import};

/// `true` in a forked child.
static CHILD: AtomicBool = AtomicBool::new(false);

/// Returns `true` in a forked child.
#[inline]
pub fn is_child() -> bool {
    CHILD.load(Relaxed)
}

/// Makes forked children set `CHILD`, from now on.
pub fn watch() {
    static ONCE: Once = Once::new();
    // SAFETY: the handlers are async-signal-safe, which a fork requires, and this library is never unloaded.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    });
}

thread_local! {
    /// The signals that the forking thread had blocked.
    static MASK: Cell<MaybeUninit<libc::sigset_t>> = const { Cell::new(MaybeUninit::uninit()) };
}

/// Runs before a fork. Blocks all signals, so that none reaches the child while it still has the BEAM's handlers.
unsafe extern "C" fn before() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut mask = MaybeUninit::uninit();
    // SAFETY: both sets are written before they are read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), mask.as_mut_ptr());
    }
    MASK.set(mask);
}

/// Runs in the parent after a fork. Restores the signal mask.
unsafe extern "C" fn in_parent() {
    // SAFETY: `before` wrote the mask, on this thread.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, MASK.get().as_ptr(), ptr::null_mut()) };
}

/// Runs in the child before `fork` returns. Removes the BEAM's signal handlers.
unsafe extern "C" fn in_child() {
    CHILD.store(true, Relaxed);
    for signal in 1..=libc::SIGUSR2.max(31) {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: `action` has room for the result. A zeroed `sigaction` is valid and means the default action.
        unsafe {
            if libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
                && !matches!(action.assume_init().sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
            {
                let default = MaybeUninit::<libc::sigaction>::zeroed();
                libc::sigaction(signal, default.as_ptr(), ptr::null_mut());
            }
        }
    }
    // SAFETY: `sigemptyset` initializes the set. The mask belongs to this thread, the only one of the child.
    unsafe {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Forks under way and interpreters that start. CPython deletes all other interpreters in the child, which crashes for
/// those with a GIL of their own, so none may start during a fork.
#[derive(Default)]
struct Gate {
    forks: usize,
    starting: usize,
}

static GATE: Mutex<Gate> = Mutex::new(Gate { forks: 0, starting: 0 });

const OWN_GIL: &str = "os.fork() does not work in own-GIL contexts: CPython cannot fork a sub-interpreter. Use subprocess, \
                       or multiprocessing in a worker context (mode: :worker)";

const OTHERS: &str = "os.fork() does not work while own-GIL contexts or other sub-interpreters exist: CPython crashes in \
                      the child. Use subprocess without preexec_fn, multiprocessing with the start method \"spawn\", or \
                      worker contexts only";

/// Permits a fork that runs Python code in the child, or raises. `end` has to follow in the parent.
pub fn begin() -> PyResult<()> {
    let mut gate = lock(&GATE);
    // SAFETY: attached; `RuntimeError` is a static class.
    let refuse = |text| Err(unsafe { Raised::new(ffi::PyExc_RuntimeError, text) });
    if !host().is_current() {
        drop(gate);
        return refuse(OWN_GIL);
    }
    if gate.starting > 0 || !host().is_alone() {
        drop(gate);
        return refuse(OTHERS);
    }
    gate.forks += 1;
    Ok(())
}

/// A fork that `begin` permitted is over.
pub fn end() {
    let mut gate = lock(&GATE);
    gate.forks = gate.forks.saturating_sub(1);
}

/// Keeps forks out while an interpreter is made.
pub struct Starting(());

impl Starting {
    /// Waits for forks under way, with the GIL released, because they need it.
    ///
    /// # Safety
    /// The calling thread is attached.
    pub unsafe fn begin() -> Starting {
        loop {
            {
                let mut gate = lock(&GATE);
                if gate.forks == 0 {
                    gate.starting += 1;
                    return Starting(());
                }
            }
            // SAFETY: promised by the caller.
            unsafe { detach(|| std::thread::sleep(Duration::from_millis(1))) }
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        lock(&GATE).starting -= 1;
    }
}

/// Ends this process, a forked child whose request has ended. The exit status is that of a program that raised
/// `raised`, or of one that ended normally. The thread is attached.
pub fn leave(raised: Option<&Raised>) -> ! {
    let exception = raised.map_or_else(Obj::none, |raised| raised.0.clone());
    let module = Obj::str("erlang._fork").and_then(|name| import(&name));
    let _never = module.and_then(|module| module.attr("leave")?.call(&[&exception]));
    end_child()
}

/// Ends this process, a forked child, without running Python code.
pub fn end_child() -> ! {
    // SAFETY: `_exit` has no preconditions and runs no exit handlers.
    unsafe { libc::_exit(1) }
}
