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

/// The interpreter that a context uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The main interpreter, which all workers share.
    Worker,
    /// A sub-interpreter of its own, with a GIL of its own.
    OwnGil,
}

/// `PyInterpreterConfig_OWN_GIL`.
const OWN_GIL: i32 = 2;

/// The time that an ending interpreter waits for the states of threads whose Python code has ended.
const STATES_LIMIT: Duration = Duration::from_millis(200);

/// Attaches the thread of a context to its interpreter, as long as it exists. Not `Send`: it belongs to the thread.
pub struct Attached {
    mode: Mode,
    /// The current thread state.
    state: *mut ffi::PyThreadState,
    /// The state of this thread in the main interpreter. An own-GIL context needs it to start and to end.
    main_state: *mut ffi::PyThreadState,
    /// `clear` has dropped the values of this thread's `threading.local`.
    cleared: bool,
    _not_send: PhantomData<*mut ()>,
}

/// The way in which an interpreter ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The interpreter has ended, or it is the main interpreter, which goes on.
    Cleanly,
    /// The interpreter stays in memory, because other Python threads still run in it.
    Abandoned,
}

impl Attached {
    /// Attaches the calling thread, which is attached to no interpreter.
    pub fn new(mode: Mode) -> Result<Attached, String> {
        let main_state = host().new_thread_state();
        if main_state.is_null() {
            return Err("cannot allocate a Python thread state".into());
        }
        // SAFETY: a fresh thread state of this thread, which is attached to no interpreter.
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

    /// The thread state.
    pub fn thread(&self) -> *mut ffi::PyThreadState {
        self.state
    }

    /// The interpreter.
    pub fn interpreter(&self) -> *mut ffi::PyInterpreterState {
        // SAFETY: the thread state is live.
        unsafe { ffi::PyThreadState_GetInterpreter(self.state) }
    }

    /// Drops the values of this thread's `threading.local`, whose destructors run. Those of an own-GIL context are
    /// dropped when its interpreter ends. No other Python code runs on the thread afterwards.
    pub fn clear(&mut self) {
        if self.mode == Mode::Worker && !self.cleared {
            self.cleared = true;
            // SAFETY: attached; `cleared` makes sure that it happens once.
            unsafe { ffi::PyThreadState_Clear(self.main_state) };
        }
    }

    /// Ends the interpreter of an own-GIL context and detaches. The thread must have dropped all its `Obj`.
    pub fn end(self) -> Ended {
        let attached = ManuallyDrop::new(self);
        match attached.mode {
            Mode::Worker => {
                attached.end_worker();
                Ended::Cleanly
            }
            Mode::OwnGil if !attached.becomes_alone() => {
                // `Py_EndInterpreter` would abort the whole VM ("not the last thread").
                // SAFETY: attached; the thread state is not used again.
                unsafe { ffi::PyEval_SaveThread() };
                Ended::Abandoned
            }
            Mode::OwnGil => {
                // SAFETY: `state` is current and the only one of its interpreter. After its end no state is current.
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
        // SAFETY: `main_state` is current. It is cleared once, with the GIL, and deleted after the GIL was released.
        unsafe {
            if !self.cleared {
                ffi::PyThreadState_Clear(self.main_state);
            }
            ffi::PyEval_SaveThread();
            ffi::PyThreadState_Delete(self.main_state);
        }
    }

    /// Returns `true` if this is the only thread of the interpreter, or becomes so within `STATES_LIMIT`: the state of
    /// a thread outlives its Python code.
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
            // SAFETY: attached, so the interpreter and its list of thread states are live.
            Some(threads) => unsafe {
                let head = (threads.head)(self.interpreter());
                head != self.state || !(threads.next)(head).is_null()
            },
            // The list cannot be read. A leak is better than an abort.
            None => true,
        }
    }
}

/// Releases the GIL if a panic has kept `end` from being called. The thread state stays in memory.
impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: attached, as long as this value exists; the thread state is not used again.
        unsafe { ffi::PyEval_SaveThread() };
    }
}

/// Runs `work` with the interpreter released. `Send` keeps every `Obj` out of the closure.
///
/// # Safety
/// The calling thread is attached.
pub unsafe fn detach<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // SAFETY: promised by the caller. No code of this thread uses Python before it is attached again.
    let _detached = Detached(unsafe { ffi::PyEval_SaveThread() });
    work()
}

/// Attaches the thread again, also during a panic.
struct Detached(*mut ffi::PyThreadState);

impl Drop for Detached {
    fn drop(&mut self) {
        // SAFETY: the state with which this thread was attached.
        unsafe { ffi::PyEval_RestoreThread(self.0) };
    }
}

/// Makes a sub-interpreter with a GIL of its own. The thread, which is attached to the main interpreter, is attached to
/// it afterwards.
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
    // SAFETY: attached to the main interpreter; `config` has the layout of 3.12+. On success the new thread state is
    // current, on failure the old one is.
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

/// Runs `work` attached to `interpreter`. The calling thread is attached to no interpreter.
///
/// # Safety
/// The interpreter stays live until this returns.
pub unsafe fn visit<R>(interpreter: *mut ffi::PyInterpreterState, work: impl FnOnce() -> R) -> R {
    // SAFETY: a fresh thread state of this thread, which is attached to no interpreter.
    let visit = unsafe {
        let state = ffi::PyThreadState_New(interpreter);
        ffi::PyEval_RestoreThread(state);
        Visit(state)
    };
    let result = work();
    drop(visit);
    result
}

/// Detaches the thread and deletes its state, also during a panic, which would otherwise keep the GIL forever.
struct Visit(*mut ffi::PyThreadState);

impl Drop for Visit {
    fn drop(&mut self) {
        // SAFETY: the state is current. It is cleared while attached and deleted afterwards.
        unsafe {
            ffi::PyThreadState_Clear(self.0);
            ffi::PyEval_SaveThread();
            ffi::PyThreadState_Delete(self.0);
        }
    }
}
