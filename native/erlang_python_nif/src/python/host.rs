//! Starts the main interpreter, once in the life of the VM, on a thread of its own that then sleeps forever.
//!
//! That thread is Python's main thread. It outlives every context, so `threading.main_thread()` stays valid.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use pyo3::ffi;

use super::memory;
use super::object::{Obj, PyResult, Raised};
use super::symbols::{self, InitConfig, symbols};

/// The Python to embed, and how to start it.
#[derive(Clone)]
pub struct HostConfig {
    /// The future `sys.executable`. That of a virtual environment activates the environment.
    pub executable: String,
    /// The directory of the Python package `erlang`.
    pub package: String,
    /// The environment variables of the BEAM, which keeps its own copy of them.
    pub environment: Vec<(String, String)>,
    /// Lets `memory::share_out` change settings of the C library.
    pub memory_tuning: bool,
    /// Called on Python's main thread before Python starts.
    pub prepare: fn(),
    /// Adds the functions that Python calls to the interpreter that the calling thread is attached to.
    pub natives: fn() -> PyResult<()>,
}

/// The running Python.
#[derive(Clone)]
pub struct Host {
    /// The configuration that it was started with.
    pub config: HostConfig,
    /// Its version, such as `3.14.2`.
    pub version: String,
    main: MainInterpreter,
}

/// The address of the main `PyInterpreterState`, which stays valid until the process ends.
#[derive(Clone, Copy)]
struct MainInterpreter(*mut ffi::PyInterpreterState);

// SAFETY: CPython locks whatever it reads through this pointer, and the interpreter is never finalized.
unsafe impl Send for MainInterpreter {}
// SAFETY: as above.
unsafe impl Sync for MainInterpreter {}

static HOST: OnceLock<Result<Host, String>> = OnceLock::new();

/// Starts the interpreter. A later call returns the result of the first one, or an error if it names another
/// executable: a process holds one CPython.
pub fn start(config: HostConfig) -> Result<Host, String> {
    let wanted = config.clone();
    let host = HOST.get_or_init(|| start_thread(config)).clone()?;
    if host.config.executable == wanted.executable {
        Ok(host)
    } else {
        Err(format!("this VM already embeds {}; restart it to embed {}", host.config.executable, wanted.executable))
    }
}

/// Returns `true` if Python has started.
pub fn is_started() -> bool {
    matches!(HOST.get(), Some(Ok(_)))
}

/// The running Python. Panics before `start` has succeeded, when there are no contexts yet.
pub fn host() -> &'static Host {
    HOST.get().and_then(|host| host.as_ref().ok()).expect("the runtime starts before any context")
}

impl Host {
    /// Returns `true` if the main interpreter is the only one. The result holds as long as the calling thread stays
    /// attached to the main interpreter, because only attached threads make interpreters.
    pub fn is_alone(&self) -> bool {
        // SAFETY: `PyInterpreterState_Head` needs only a running Python, and its result is only compared.
        symbols().head.is_some_and(|head| unsafe { head() } == self.main.0)
    }

    /// Runs `work` attached to the main interpreter. The calling thread is attached to no interpreter.
    pub fn visit<R>(&self, work: impl FnOnce() -> R) -> R {
        // SAFETY: the main interpreter is never finalized.
        unsafe { super::interpreter::visit(self.main.0, work) }
    }

    /// Returns `true` if the calling thread, which is attached, is attached to the main interpreter.
    pub fn is_current(&self) -> bool {
        // SAFETY: attached.
        self.main.0 == unsafe { ffi::PyInterpreterState_Get() }
    }

    /// Makes a thread state in the main interpreter for the calling thread.
    pub fn new_thread_state(&self) -> *mut ffi::PyThreadState {
        // SAFETY: the interpreter lives; creating a thread state needs no GIL.
        unsafe { ffi::PyThreadState_New(self.main.0) }
    }
}

fn start_thread(config: HostConfig) -> Result<Host, String> {
    symbols::load()?;
    let (sender, receiver) = flume::bounded(1);
    std::thread::Builder::new()
        .name("py_main".into())
        .stack_size(super::STACK_SIZE)
        .spawn(move || {
            super::fork::watch();
            (config.prepare)();
            copy_environment(&config.environment);
            let tuning = config.memory_tuning;
            let started = initialize(&config).and_then(|()| describe(config));
            if started.is_ok() {
                memory::tune(tuning);
            }
            let alive = started.is_ok();
            if sender.send(started).is_ok() && alive {
                // SAFETY: this thread is attached since `initialize`, and never uses Python again.
                unsafe { ffi::PyEval_SaveThread() };
            }
            loop {
                std::thread::park();
            }
        })
        .map_err(|error| format!("cannot start the Python main thread: {error}"))?;
    receiver.recv().unwrap_or_else(|_| Err("Python's initialization panicked".into()))
}

/// Gives Python, and C code in the process, the environment variables of the BEAM.
fn copy_environment(variables: &[(String, String)]) {
    let wanted = |name: &str| variables.iter().any(|(known, _)| known == name);
    for (name, _) in std::env::vars_os() {
        if let Some(name) = name.to_str()
            && !wanted(name)
        {
            // SAFETY: the BEAM reads its own copy, Python does not run yet, and no other thread changes variables.
            unsafe { std::env::remove_var(name) }
        }
    }
    for (name, value) in variables {
        // No C library can hold other names and values.
        let valid = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        if valid && std::env::var(name).ok().as_ref() != Some(value) {
            // SAFETY: as above.
            unsafe { std::env::set_var(name, value) }
        }
    }
}

fn initialize(config: &HostConfig) -> Result<(), String> {
    match &symbols().init_config {
        Some(api) => initialize_pep741(api, config),
        None => initialize_classic(config),
    }
}

/// CPython 3.14+ (PEP 741).
fn initialize_pep741(api: &InitConfig, config: &HostConfig) -> Result<(), String> {
    let executable = c_string(&config.executable)?;
    // The configuration starts isolated. `isolated` is first, because setting it changes others.
    let ints = [
        (c"isolated", 0),
        (c"use_environment", 1),
        (c"user_site_directory", 1),
        (c"install_signal_handlers", 0),
        (c"utf8_mode", 1),
    ];
    // SAFETY: `handle` is created, used and freed here, by functions of one interface. All strings are NUL-terminated,
    // and CPython copies them.
    unsafe {
        let handle = (api.create)();
        if handle.is_null() {
            return Err("out of memory".into());
        }
        let failed = ints.iter().any(|(name, value)| (api.set_int)(handle, name.as_ptr(), *value) < 0)
            || (api.set_str)(handle, c"program_name".as_ptr(), executable.as_ptr()) < 0
            || (api.initialize)(handle) < 0;
        let result = if failed { Err(init_error(api, handle)) } else { Ok(()) };
        (api.free)(handle);
        result
    }
}

/// The message of a failed initialization.
///
/// # Safety
/// `handle` is a live handle of `api`.
unsafe fn init_error(api: &InitConfig, handle: *mut c_void) -> String {
    let mut message: *const c_char = ptr::null();
    // SAFETY: promised by the caller. The message lives as long as the handle.
    unsafe {
        if (api.get_error)(handle, &mut message) == 1 && !message.is_null() {
            CStr::from_ptr(message).to_string_lossy().into_owned()
        } else {
            "Python did not initialize and gave no reason".into()
        }
    }
}

/// CPython before 3.14: functions of the stable ABI. They keep the pointer, so the string is leaked.
fn initialize_classic(config: &HostConfig) -> Result<(), String> {
    let executable = wide(&config.executable)?;
    // SAFETY: the string is NUL-terminated and never freed, and Python is not initialized yet. `Py_UTF8Mode` is an int
    // that the initialization reads. The argument 0 installs no signal handlers.
    unsafe {
        let utf8_mode: *mut c_int = libc::dlsym(libc::RTLD_DEFAULT, c"Py_UTF8Mode".as_ptr()).cast();
        if !utf8_mode.is_null() {
            *utf8_mode = 1;
        }
        #[allow(deprecated)]
        ffi::Py_SetProgramName(executable);
        ffi::Py_InitializeEx(0);
        if ffi::Py_IsInitialized() == 0 {
            return Err("Py_InitializeEx failed".into());
        }
    }
    Ok(())
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} contains a NUL byte"))
}

/// A leaked, NUL-terminated wide string.
fn wide(text: &str) -> Result<*const libc::wchar_t, String> {
    c_string(text)?;
    let wide: Vec<libc::wchar_t> = text.chars().map(|c| c as libc::wchar_t).chain([0]).collect();
    Ok(Box::leak(wide.into_boxed_slice()).as_ptr())
}

/// Prepares the main interpreter, which this thread has initialized.
fn describe(config: HostConfig) -> Result<Host, String> {
    // SAFETY: this thread has initialized Python and is attached to the main interpreter.
    let main = MainInterpreter(unsafe { ffi::PyInterpreterState_Get() });
    // Before any context exists that could load the package at the same time.
    if let Err(raised) = super::package::load(&config) {
        return Err(raised.summary());
    }
    match super::place::learn().and_then(|()| version()) {
        Ok(version) => Ok(Host { config, version, main }),
        Err(Raised(_)) => Err("Python started but did not return its version".into()),
    }
}

fn version() -> PyResult<String> {
    let platform = super::object::import(&Obj::str("sys")?)?.attr("version")?;
    Ok(platform.as_utf8()?.split_whitespace().next().unwrap_or("?").to_owned())
}
