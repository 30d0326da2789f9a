//! Functions that CPython exports beyond the stable ABI of 3.11, looked up once at run time.
//!
//! A missing symbol switches off a capability and never crashes.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};
use std::sync::OnceLock;

use pyo3::ffi::{PyInterpreterState, PyObject, PyThreadState};

/// `PyObject_Vectorcall`.
pub type Vectorcall = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, usize, *mut PyObject) -> *mut PyObject;

/// `PyInterpreterConfig` of CPython 3.12+, with its field names.
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

/// `PyStatus`, with its field names. Returned by value.
#[repr(C)]
pub struct Status {
    pub kind: c_int,
    pub func: *const c_char,
    pub err_msg: *const c_char,
    pub exitcode: c_int,
}

/// `Py_NewInterpreterFromConfig`.
pub type NewInterpreter = unsafe extern "C" fn(*mut *mut PyThreadState, *const InterpreterConfig) -> Status;

/// The functions `PyInitConfig_*` and `Py_InitializeFromInitConfig` of CPython 3.14+ (PEP 741).
pub struct InitConfig {
    pub create: unsafe extern "C" fn() -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void),
    pub set_int: unsafe extern "C" fn(*mut c_void, *const c_char, i64) -> c_int,
    pub set_str: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> c_int,
    pub get_error: unsafe extern "C" fn(*mut c_void, *mut *const c_char) -> c_int,
    pub initialize: unsafe extern "C" fn(*mut c_void) -> c_int,
}

/// `PyInterpreterState_ThreadHead` and `PyThreadState_Next`, which walk the thread states of an interpreter.
pub struct Threads {
    pub head: unsafe extern "C" fn(*mut PyInterpreterState) -> *mut PyThreadState,
    pub next: unsafe extern "C" fn(*mut PyThreadState) -> *mut PyThreadState,
}

/// `PyObjectArenaAllocator`, with its field names: allocates the memory of the small-object allocator.
#[repr(C)]
pub struct ArenaAllocator {
    pub context: *mut c_void,
    pub alloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void, *mut c_void, usize),
}

/// `PyObject_SetArenaAllocator`.
pub type SetArenaAllocator = unsafe extern "C" fn(*mut ArenaAllocator);

/// The functions `PyContext_*`, which make, enter and leave sets of context variables.
pub struct ContextFunctions {
    pub new: unsafe extern "C" fn() -> *mut PyObject,
    pub copy: unsafe extern "C" fn(*mut PyObject) -> *mut PyObject,
    pub enter: unsafe extern "C" fn(*mut PyObject) -> c_int,
    pub exit: unsafe extern "C" fn(*mut PyObject) -> c_int,
}

/// The functions. One that every supported version has is no `Option`.
pub struct Symbols {
    pub vectorcall: Vectorcall,
    pub new_interpreter: Option<NewInterpreter>,
    pub init_config: Option<InitConfig>,
    pub threads: Option<Threads>,
    pub contexts: Option<ContextFunctions>,
    /// `PyUnicode_New(size, greatest code point)`.
    pub unicode_new: Option<unsafe extern "C" fn(isize, u32) -> *mut PyObject>,
    pub set_arena_allocator: Option<SetArenaAllocator>,
    /// `PyThreadState_GetFrame`: a new reference to the innermost frame of a thread, or null.
    pub get_frame: Option<unsafe extern "C" fn(*mut PyThreadState) -> *mut PyObject>,
    /// `PyInterpreterState_Head`: the interpreter made last.
    pub head: Option<unsafe extern "C" fn() -> *mut PyInterpreterState>,
}

static SYMBOLS: OnceLock<Symbols> = OnceLock::new();

/// The symbols. Panics before `load` has succeeded, which `host::start` calls first.
#[inline]
pub fn symbols() -> &'static Symbols {
    SYMBOLS.get().expect("Python symbols are loaded when the runtime starts")
}

/// Looks all symbols up. `Err` names a required symbol that is missing.
pub fn load() -> Result<&'static Symbols, String> {
    if let Some(symbols) = SYMBOLS.get() {
        return Ok(symbols);
    }
    // SAFETY: the type of each field is the signature that CPython documents for that name.
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

fn init_config() -> Option<InitConfig> {
    // SAFETY: as in `load`.
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

fn threads() -> Option<Threads> {
    // SAFETY: as in `load`.
    unsafe { Some(Threads { head: find(c"PyInterpreterState_ThreadHead")?, next: find(c"PyThreadState_Next")? }) }
}

fn contexts() -> Option<ContextFunctions> {
    // SAFETY: as in `load`.
    unsafe {
        Some(ContextFunctions {
            new: find(c"PyContext_New")?,
            copy: find(c"PyContext_Copy")?,
            enter: find(c"PyContext_Enter")?,
            exit: find(c"PyContext_Exit")?,
        })
    }
}

/// The function `name`, if libpython exports it.
///
/// # Safety
/// `F` is a function pointer type with the signature of `name`.
unsafe fn find<F: Copy>(name: &CStr) -> Option<F> {
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: `dlsym` has no preconditions but a NUL-terminated name. The caller promises that the symbol is a function
    // of type `F`, and libpython is never closed.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        (!symbol.is_null()).then(|| std::mem::transmute_copy(&symbol))
    }
}
