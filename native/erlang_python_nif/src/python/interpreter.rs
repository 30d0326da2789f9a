//! Attaches a context thread to its interpreter: the main one, or a sub-interpreter with its own GIL.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::time::{Duration, Instant};

use pyo3::ffi;
use serde::Serialize;

use super::host::host;
use super::symbols::{InterpreterConfig, symbols};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Worker,
    OwnGil,
}

/// `PyInterpreterConfig_OWN_GIL`.
const OWN_GIL: i32 = 2;

/// How long an interpreter that ends waits for threads whose Python code has ended.
const STATES_LIMIT: Duration = Duration::from_millis(200);

/// The calling thread is attached to the interpreter of one context. Not `Send`: it belongs to the thread.
pub struct Attached {
    mode: Mode,
    /// The thread state that is current while this value exists.
    state: *mut ffi::PyThreadState,
    /// For own-GIL contexts: this thread's state in the main interpreter, needed to start and to end.
    main_state: *mut ffi::PyThreadState,
    /// The values of this thread's `threading.local` are gone.
    cleared: bool,
    _not_send: PhantomData<*mut ()>,
}

/// How an interpreter ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Cleanly,
    /// Other Python threads still run in it, so it cannot be torn down and stays in memory.
    Abandoned,
}

impl Attached {
    pub fn new(mode: Mode) -> Result<Attached, String> {
        let main_state = host().new_thread_state();
        if main_state.is_null() {
            return Err("cannot allocate a Python thread state".into());
        }
        // SAFETY: a fresh thread state, made by and for this thread, which is attached to nothing.
        unsafe { ffi::PyEval_RestoreThread(main_state) };
        let attached = |state| Attached { mode, state, main_state, cleared: false, _not_send: PhantomData };
        match mode {
            Mode::Worker => Ok(attached(main_state)),
            Mode::OwnGil => match new_interpreter() {
                Ok(state) => Ok(attached(state)),
                Err(reason) => {
                    ManuallyDrop::new(attached(main_state)).end_worker();
                    Err(reason)
                }
            },
        }
    }

    /// Runs `work` with the interpreter released.
    pub fn detach<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        // SAFETY: this thread is attached through `self.state`.
        unsafe { detach(work) }
    }

    pub fn thread(&self) -> *mut ffi::PyThreadState {
        self.state
    }

    pub fn interpreter(&self) -> *mut ffi::PyInterpreterState {
        // SAFETY: the thread state is live.
        unsafe { ffi::PyThreadState_GetInterpreter(self.state) }
    }

    /// Lets go of the values of this thread's `threading.local`, whose destructors run. Those of an own-GIL context are part
    /// of its interpreter's end. No other Python code runs on the thread from now on.
    pub fn clear(&mut self) {
        if self.mode == Mode::Worker && !self.cleared {
            self.cleared = true;
            // SAFETY: attached; once.
            unsafe { ffi::PyThreadState_Clear(self.main_state) };
        }
    }

    /// Ends the interpreter of an own-GIL context and detaches. All `Obj` of the thread must be gone.
    pub fn end(self) -> Ended {
        let attached = ManuallyDrop::new(self);
        match attached.mode {
            Mode::Worker => {
                attached.end_worker();
                Ended::Cleanly
            }
            Mode::OwnGil if !attached.becomes_alone() => {
                // `Py_EndInterpreter` would abort the whole VM ("not the last thread").
                // SAFETY: attached; nobody uses the state again.
                unsafe { ffi::PyEval_SaveThread() };
                Ended::Abandoned
            }
            Mode::OwnGil => {
                // SAFETY: `state` is current and the only one of its interpreter; afterwards nothing is current.
                unsafe {
                    ffi::Py_EndInterpreter(attached.state);
                    ffi::PyEval_RestoreThread(attached.main_state);
                }
                attached.end_worker();
                Ended::Cleanly
            }
        }
    }

    fn end_worker(&self) {
        // SAFETY: `main_state` is current; clearing needs the GIL, once; deleting must not hold it.
        unsafe {
            if !self.cleared {
                ffi::PyThreadState_Clear(self.main_state);
            }
            ffi::PyEval_SaveThread();
            ffi::PyThreadState_Delete(self.main_state);
        }
    }

    /// Whether no other thread is in the interpreter, or is so soon: the state of a thread outlives its Python code.
    fn becomes_alone(&self) -> bool {
        let deadline = Instant::now() + STATES_LIMIT;
        while self.has_other_threads() {
            if Instant::now() > deadline {
                return false;
            }
            self.detach(|| std::thread::sleep(Duration::from_millis(1)));
        }
        true
    }

    fn has_other_threads(&self) -> bool {
        match &symbols().threads {
            // SAFETY: attached, so the interpreter's list of thread states does not lose our own entry.
            Some(threads) => unsafe {
                let head = (threads.head)(self.interpreter());
                head != self.state || !(threads.next)(head).is_null()
            },
            // Without a way to look, assume the worst: leaking is better than aborting.
            None => true,
        }
    }
}

/// Where a panic has kept `end` from being called: nobody else would ever get the GIL. What the thread had stays in memory.
impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: attached, as long as this value exists; nobody uses the state again.
        unsafe { ffi::PyEval_SaveThread() };
    }
}

/// Runs `work` with the interpreter released. `Send` keeps every `Obj` out of the closure.
///
/// # Safety
/// The calling thread is attached.
pub unsafe fn detach<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // SAFETY: promised by the caller; no code of this thread touches Python before it is attached again.
    let _detached = Detached(unsafe { ffi::PyEval_SaveThread() });
    work()
}

/// Attaches again, also where a panic unwinds.
struct Detached(*mut ffi::PyThreadState);

impl Drop for Detached {
    fn drop(&mut self) {
        // SAFETY: the state that this thread was attached with.
        unsafe { ffi::PyEval_RestoreThread(self.0) };
    }
}

fn new_interpreter() -> Result<*mut ffi::PyThreadState, String> {
    let Some(new_interpreter) = symbols().new_interpreter else {
        return Err("own-GIL contexts need CPython 3.12 or later; use mode: :worker".into());
    };
    let config = InterpreterConfig {
        use_main_obmalloc: 0,
        allow_fork: 0,
        allow_exec: 0,
        allow_threads: 1,
        allow_daemon_threads: 0,
        check_multi_interp_extensions: 1,
        gil: OWN_GIL,
    };
    let mut state = ptr::null_mut();
    // SAFETY: attached.
    let _starting = unsafe { super::fork::Starting::begin() };
    // SAFETY: attached to the main interpreter; `config` has the layout of 3.12 and later. On success the new thread
    // state is current, on failure the old one is again.
    unsafe {
        let status = new_interpreter(&mut state, &config);
        if status.kind == 0 && !state.is_null() {
            return Ok(state);
        }
        let reason = match status.err_msg.is_null() {
            true => "unknown reason".into(),
            false => CStr::from_ptr(status.err_msg).to_string_lossy(),
        };
        Err(format!("cannot create a sub-interpreter: {reason}"))
    }
}

/// Runs `work` on the calling thread, which is attached to nothing, attached to `interpreter`.
///
/// # Safety
/// The interpreter is live, and stays so until this returns.
pub unsafe fn visit<R>(interpreter: *mut ffi::PyInterpreterState, work: impl FnOnce() -> R) -> R {
    // SAFETY: a fresh thread state for this thread, which is attached to nothing.
    let visit = unsafe {
        let state = ffi::PyThreadState_New(interpreter);
        ffi::PyEval_RestoreThread(state);
        Visit(state)
    };
    let result = work();
    drop(visit);
    result
}

/// Attached to an interpreter for a while. Detached also where a panic unwinds: nobody would ever get the GIL again.
struct Visit(*mut ffi::PyThreadState);

impl Drop for Visit {
    fn drop(&mut self) {
        // SAFETY: the state is current; cleared while attached, deleted after.
        unsafe {
            ffi::PyThreadState_Clear(self.0);
            ffi::PyEval_SaveThread();
            ffi::PyThreadState_Delete(self.0);
        }
    }
}
