//! What CPython exports beyond the stable ABI of 3.11, looked up once at run time.
//!
//! A missing symbol means a missing capability, never a crash.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};
use std::sync::OnceLock;

use pyo3::ffi::{PyInterpreterState, PyObject, PyThreadState};

pub type Vectorcall = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, usize, *mut PyObject) -> *mut PyObject;

/// `PyInterpreterConfig` of CPython 3.12 and later.
#[repr(C)]
pub struct InterpreterConfig {
    pub use_main_obmalloc: c_int,
    pub allow_fork: c_int,
    pub allow_exec: c_int,
    pub allow_threads: c_int,
    pub allow_daemon_threads: c_int,
    pub check_multi_interp_extensions: c_int,
    pub gil: c_int,
}

/// `PyStatus`: four words, returned by value.
#[repr(C)]
pub struct Status {
    pub kind: c_int,
    pub func: *const c_char,
    pub err_msg: *const c_char,
    pub exitcode: c_int,
}

pub type NewInterpreter = unsafe extern "C" fn(*mut *mut PyThreadState, *const InterpreterConfig) -> Status;

/// The initialization API of CPython 3.14 and later (PEP 741).
pub struct InitConfig {
    pub create: unsafe extern "C" fn() -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void),
    pub set_int: unsafe extern "C" fn(*mut c_void, *const c_char, i64) -> c_int,
    pub set_str: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> c_int,
    pub get_error: unsafe extern "C" fn(*mut c_void, *mut *const c_char) -> c_int,
    pub initialize: unsafe extern "C" fn(*mut c_void) -> c_int,
}

/// Walks the thread states of an interpreter.
pub struct Threads {
    pub head: unsafe extern "C" fn(*mut PyInterpreterState) -> *mut PyThreadState,
    pub next: unsafe extern "C" fn(*mut PyThreadState) -> *mut PyThreadState,
}

/// `PyObjectArenaAllocator`: where the small-object allocator gets its memory from.
#[repr(C)]
pub struct ArenaAllocator {
    pub context: *mut c_void,
    pub alloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void, *mut c_void, usize),
}

pub type SetArenaAllocator = unsafe extern "C" fn(*mut ArenaAllocator);

/// Enters and leaves sets of context variables.
pub struct ContextFunctions {
    pub new: unsafe extern "C" fn() -> *mut PyObject,
    pub copy: unsafe extern "C" fn(*mut PyObject) -> *mut PyObject,
    pub enter: unsafe extern "C" fn(*mut PyObject) -> c_int,
    pub exit: unsafe extern "C" fn(*mut PyObject) -> c_int,
}

pub struct Symbols {
    pub vectorcall: Vectorcall,
    pub new_interpreter: Option<NewInterpreter>,
    pub init_config: Option<InitConfig>,
    pub threads: Option<Threads>,
    pub contexts: Option<ContextFunctions>,
    /// `PyUnicode_New(size, greatest code point)`.
    pub unicode_new: Option<unsafe extern "C" fn(isize, u32) -> *mut PyObject>,
    pub set_arena_allocator: Option<SetArenaAllocator>,
    /// The innermost frame of a thread: a new reference, or null.
    pub get_frame: Option<unsafe extern "C" fn(*mut PyThreadState) -> *mut PyObject>,
    /// The interpreter made last.
    pub head: Option<unsafe extern "C" fn() -> *mut PyInterpreterState>,
}

static SYMBOLS: OnceLock<Symbols> = OnceLock::new();

/// The symbols; panics before `load` has succeeded, which `runtime::host` does before anything else.
#[inline]
pub fn symbols() -> &'static Symbols {
    SYMBOLS.get().expect("Python symbols are loaded when the runtime starts")
}

/// Looks everything up. `Err` names a symbol without which nothing works.
pub fn load() -> Result<&'static Symbols, String> {
    if let Some(symbols) = SYMBOLS.get() {
        return Ok(symbols);
    }
    // SAFETY: every cast below is to the signature CPython documents for that name.
    let symbols = unsafe {
        Symbols {
            vectorcall: find(c"PyObject_Vectorcall").ok_or("libpython does not export PyObject_Vectorcall")?,
            new_interpreter: find(c"Py_NewInterpreterFromConfig"),
            init_config: init_config(),
            threads: threads(),
            contexts: contexts(),
            unicode_new: find(c"PyUnicode_New"),
            set_arena_allocator: find(c"PyObject_SetArenaAllocator"),
            get_frame: find(c"PyThreadState_GetFrame"),
            head: find(c"PyInterpreterState_Head"),
        }
    };
    Ok(SYMBOLS.get_or_init(|| symbols))
}

unsafe fn init_config() -> Option<InitConfig> {
    // SAFETY: see `load`.
    unsafe {
        Some(InitConfig {
            create: find(c"PyInitConfig_Create")?,
            free: find(c"PyInitConfig_Free")?,
            set_int: find(c"PyInitConfig_SetInt")?,
            set_str: find(c"PyInitConfig_SetStr")?,
            get_error: find(c"PyInitConfig_GetError")?,
            initialize: find(c"Py_InitializeFromInitConfig")?,
        })
    }
}

unsafe fn threads() -> Option<Threads> {
    // SAFETY: see `load`.
    unsafe { Some(Threads { head: find(c"PyInterpreterState_ThreadHead")?, next: find(c"PyThreadState_Next")? }) }
}

unsafe fn contexts() -> Option<ContextFunctions> {
    // SAFETY: see `load`.
    unsafe {
        Some(ContextFunctions {
            new: find(c"PyContext_New")?,
            copy: find(c"PyContext_Copy")?,
            enter: find(c"PyContext_Enter")?,
            exit: find(c"PyContext_Exit")?,
        })
    }
}

/// # Safety
/// `F` is a function pointer type of the signature of the symbol `name`.
unsafe fn find<F: Copy>(name: &CStr) -> Option<F> {
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: dlsym has no preconditions; a found symbol is a function of type `F` as promised by the caller, and
    // libpython is never closed.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        (!symbol.is_null()).then(|| std::mem::transmute_copy(&symbol))
    }
}
