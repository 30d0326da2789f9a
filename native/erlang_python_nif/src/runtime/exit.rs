//! The end of the VM's process, and of the application: contexts end, Python's exit functions run, output is flushed.
//!
//! `exit()` runs the destructors of libraries, last loaded first. That of OpenBLAS joins its threads, and never returns while a
//! context computes with them; others free what a context works with. So contexts end before any of them, and a process
//! whose contexts do not end in time leaves without destructors.

use std::os::raw::{c_int, c_void};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rustler::sys::ErlNifEnv;

use super::{thread, watchdog};
use crate::python::fork;
use crate::python::host::{self, host};
use crate::python::object::{Obj, PyResult, import};

/// For contexts to end, and then again for Python's exit functions.
const LIMIT: Duration = Duration::from_secs(2);

/// The option of `enif_set_option` for a function that is called when the VM halts with a flush, on the way to `exit()`.
const ON_HALT: c_int = 2;

type SetOption = unsafe extern "C" fn(*mut ErlNifEnv, c_int, ...) -> c_int;
type OnExit = unsafe extern "C" fn(unsafe extern "C" fn(c_int, *mut c_void), *mut c_void) -> c_int;

/// Has the VM call back when it halts. Call while this library is loaded.
///
/// # Safety
/// `env` is that of the load function.
pub unsafe fn watch_halt(env: *mut ErlNifEnv) {
    unsafe extern "C" fn on_halt(_data: *mut c_void) {
        // What is registered last runs first: before the destructors of libraries that were loaded since the start.
        if host::is_started() {
            register();
        }
    }
    let callback: unsafe extern "C" fn(*mut c_void) = on_halt;
    // SAFETY: the symbol, where there is one, has this signature, and takes a function of that type for this option.
    unsafe {
        let set_option = libc::dlsym(libc::RTLD_DEFAULT, c"enif_set_option".as_ptr());
        if !set_option.is_null() {
            std::mem::transmute::<*mut c_void, SetOption>(set_option)(env, ON_HALT, callback);
        }
    }
}

/// Has the process end as described above, from now on. Where the C library has no `on_exit`, which tells the status,
/// a process whose contexts are stuck still runs destructors.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(register);
}

fn register() {
    // SAFETY: the symbol, where there is one, has this signature. This library is not unloaded.
    unsafe {
        let on_exit = libc::dlsym(libc::RTLD_DEFAULT, c"on_exit".as_ptr());
        if on_exit.is_null() {
            libc::atexit(at_exit);
        } else {
            std::mem::transmute::<*mut c_void, OnExit>(on_exit)(on_exit_with, std::ptr::null_mut());
        }
    }
}

unsafe extern "C" fn on_exit_with(status: c_int, _argument: *mut c_void) {
    // A forked child shares no threads with the VM, and its destructors.
    if fork::is_child() || !finish() {
        // SAFETY: null flushes all streams of the C library; no preconditions.
        unsafe {
            libc::fflush(std::ptr::null_mut());
            libc::_exit(status)
        }
    }
}

extern "C" fn at_exit() {
    if !fork::is_child() {
        finish();
    }
}

/// Ends all contexts and runs the exit functions: whether all of that ended in time. Once: it may be registered twice.
fn finish() -> bool {
    static FINISHED: AtomicBool = AtomicBool::new(false);
    if !host::is_started() || FINISHED.swap(true, SeqCst) {
        return true;
    }
    watchdog::stop_all_soon();
    let deadline = Instant::now() + LIMIT;
    while thread::alive() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    run_exit_functions() && thread::alive() == 0
}

/// Runs what Python's `atexit` knows, and flushes open files: whether that ended in time. Not attached; not on a scheduler
/// while the VM runs.
pub fn run_exit_functions() -> bool {
    let (sender, receiver) = flume::bounded(1);
    let run = move || {
        // What it raises was printed.
        let _ =
            host().visit(|| -> PyResult<()> { import(&Obj::str("erlang._exit")?)?.attr("run")?.call(&[]).map(drop) });
        let _ = sender.send(());
    };
    let spawned = std::thread::Builder::new().name("py_exit".into()).stack_size(crate::python::STACK_SIZE).spawn(run);
    spawned.is_ok() && receiver.recv_timeout(LIMIT).is_ok()
}
