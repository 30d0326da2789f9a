//! Starts the main interpreter, once in the life of the VM, on a thread of its own that then sleeps for ever.
//!
//! That thread is Python's "main thread"; it outlives every context, so `threading.main_thread()` stays valid.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use pyo3::ffi;

use super::memory;
use super::object::{Obj, PyResult, Raised};
use super::symbols::{self, InitConfig, symbols};

/// What the BEAM side found out about the Python to embed.
#[derive(Clone)]
pub struct HostConfig {
    /// `sys.executable` to be; a venv's python makes the venv active.
    pub executable: String,
    /// Directory of our Python package `erlang`.
    pub package: String,
    /// The environment variables of the BEAM, which has a copy of its own.
    pub environment: Vec<(String, String)>,
    /// Whether the C library may be told how much memory it keeps.
    pub memory_tuning: bool,
    /// Run on Python's main thread before it starts.
    pub prepare: fn(),
    /// Makes the functions that Python calls known to the interpreter that the calling thread is attached to.
    pub natives: fn() -> PyResult<()>,
}

#[derive(Clone)]
pub struct Host {
    pub config: HostConfig,
    pub version: String,
    main: MainInterpreter,
}

/// Address of the main `PyInterpreterState`, valid for the rest of the process.
#[derive(Clone, Copy)]
struct MainInterpreter(*mut ffi::PyInterpreterState);

// SAFETY: CPython locks what it reads through this pointer, and the interpreter is never finalized.
unsafe impl Send for MainInterpreter {}
// SAFETY: as above.
unsafe impl Sync for MainInterpreter {}

static HOST: OnceLock<Result<Host, String>> = OnceLock::new();

/// Starts the interpreter, or returns what the first start returned. Another executable than the first is an error:
/// one process holds one CPython.
pub fn start(config: HostConfig) -> Result<Host, String> {
    let wanted = config.clone();
    let host = HOST.get_or_init(|| start_thread(config)).clone()?;
    if host.config.executable == wanted.executable {
        Ok(host)
    } else {
        Err(format!("this VM already embeds {}; restart it to embed {}", host.config.executable, wanted.executable))
    }
}

pub fn is_started() -> bool {
    matches!(HOST.get(), Some(Ok(_)))
}

/// The running host. Contexts exist only after it has started.
pub fn host() -> &'static Host {
    HOST.get().and_then(|host| host.as_ref().ok()).expect("the runtime starts before any context")
}

impl Host {
    /// Whether no interpreter but the main one is there. To be asked by a thread that is attached to it: as long as it stays
    /// so, the answer holds, for only attached threads make interpreters.
    pub fn is_alone(&self) -> bool {
        // SAFETY: reading the head of the list needs no more than a running Python; nothing is read through it.
        symbols().head.is_some_and(|head| unsafe { head() } == self.main.0)
    }

    /// Runs `work` on the calling thread, which is attached to nothing, attached to the main interpreter.
    pub fn visit<R>(&self, work: impl FnOnce() -> R) -> R {
        // SAFETY: the main interpreter is never finalized.
        unsafe { super::interpreter::visit(self.main.0, work) }
    }

    /// Whether the calling thread is attached to the main interpreter.
    pub fn is_current(&self) -> bool {
        // SAFETY: attached, as the name says.
        self.main.0 == unsafe { ffi::PyInterpreterState_Get() }
    }

    /// Makes a thread state of the main interpreter for the calling thread.
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
                // SAFETY: this thread is attached since `initialize`; it never comes back.
                unsafe { ffi::PyEval_SaveThread() };
            }
            loop {
                std::thread::park();
            }
        })
        .map_err(|error| format!("cannot start the Python main thread: {error}"))?;
    receiver.recv().unwrap_or_else(|_| Err("Python's initialization panicked".into()))
}

/// Has Python, and what C code asks, see the variables that the BEAM sees.
fn copy_environment(variables: &[(String, String)]) {
    let wanted = |name: &str| variables.iter().any(|(known, _)| known == name);
    for (name, _) in std::env::vars_os() {
        if let Some(name) = name.to_str()
            && !wanted(name)
        {
            // SAFETY: the BEAM reads its own copy, and Python does not run yet; nobody else changes variables.
            unsafe { std::env::remove_var(name) }
        }
    }
    for (name, value) in variables {
        // What no C library can hold.
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

/// CPython 3.14 and later.
fn initialize_pep741(api: &InitConfig, config: &HostConfig) -> Result<(), String> {
    let executable = c_string(&config.executable)?;
    // The configuration starts isolated: first, for it sets others.
    let ints = [
        (c"isolated", 0),
        (c"use_environment", 1),
        (c"user_site_directory", 1),
        (c"install_signal_handlers", 0),
        (c"utf8_mode", 1),
    ];
    // SAFETY: `handle` is created, used and freed here, by the functions that belong together; strings are
    // NUL-terminated and copied by CPython.
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

unsafe fn init_error(api: &InitConfig, handle: *mut c_void) -> String {
    let mut message: *const c_char = ptr::null();
    // SAFETY: the message belongs to the live handle.
    unsafe {
        if (api.get_error)(handle, &mut message) == 1 && !message.is_null() {
            CStr::from_ptr(message).to_string_lossy().into_owned()
        } else {
            "Python did not initialize and gave no reason".into()
        }
    }
}

/// Before 3.14: the functions the stable ABI keeps exporting. They keep the pointers, hence the leaks.
fn initialize_classic(config: &HostConfig) -> Result<(), String> {
    let executable = wide(&config.executable)?;
    // SAFETY: the strings are NUL-terminated and never freed; Python is not initialized yet; 0 asks for no signal
    // handlers. `Py_UTF8Mode` is an int that is read during initialization.
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

/// A leaked, NUL-terminated wide string in the encoding of this platform's `wchar_t`.
fn wide(text: &str) -> Result<*const libc::wchar_t, String> {
    c_string(text)?;
    let wide: Vec<libc::wchar_t> = text.chars().map(|c| c as libc::wchar_t).chain([0]).collect();
    Ok(Box::leak(wide.into_boxed_slice()).as_ptr())
}

fn describe(config: HostConfig) -> Result<Host, String> {
    // SAFETY: this thread initialized Python and is attached to the main interpreter.
    let main = MainInterpreter(unsafe { ffi::PyInterpreterState_Get() });
    // Here, while no context is there to do it at the same time.
    if let Err(raised) = super::package::load(&config) {
        return Err(raised.summary());
    }
    match super::place::learn().and_then(|()| version()) {
        Ok(version) => Ok(Host { config, version, main }),
        Err(Raised(_)) => Err("Python started but cannot tell its version".into()),
    }
}

fn version() -> PyResult<String> {
    let platform = super::object::import(&Obj::str("sys")?)?.attr("version")?;
    Ok(platform.as_utf8()?.split_whitespace().next().unwrap_or("?").to_owned())
}
