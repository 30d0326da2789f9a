//! C extensions in own-GIL contexts of CPython 3.12.
//!
//! An extension of the old kind (single-phase initialization, `_datetime` for one) cannot be loaded in an interpreter with a
//! GIL of its own. CPython 3.12 finds that out after the extension has made its types, in the memory of that interpreter. The
//! next interpreter that tries corrupts the heap (python/cpython issues 110415 and 117953). CPython 3.13 has the main
//! interpreter load every extension first, and so do we on 3.12. The refusal then comes before anything is made.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use erlang_python_core::sync::lock;
use pyo3::ffi;

use super::thread::without_runtime;
use crate::python::host::host;
use crate::python::interpreter::detach;
use crate::python::method::{self, Method};
use crate::python::object::{Obj, PyResult, import};

static LOAD_IN_MAIN: Method = Method::new(c"load_in_main", load_in_main);

/// Extensions that the main interpreter has loaded for others, by name and file.
static LOADED: Mutex<Option<HashSet<[String; 2]>>> = Mutex::new(None);

/// Guards the interpreter of an own-GIL context, to which this thread is attached.
pub fn guard() -> PyResult<()> {
    if !host().version.starts_with("3.12.") {
        return Ok(());
    }
    let function = LOAD_IN_MAIN.function(None)?;
    import(&Obj::str("erlang._boot")?)?.attr("guard_extensions")?.call(&[&function]).map(drop)
}

/// `load_in_main(name, origin)`: `True` if the main interpreter can load that extension.
///
/// # Safety
/// Called by Python: attached, with `count` live arguments.
unsafe extern "C" fn load_in_main(
    _first: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let args = unsafe { method::arguments(args, count) };
    // A panic must not unwind through Python's frames. Any str is text here: the import system has looked for it.
    let texts: Vec<_> = args.iter().filter_map(|text| text.as_utf8().ok().map(str::to_owned)).collect();
    let loaded = match <[String; 2]>::try_from(texts) {
        Ok(file) => catch_unwind(AssertUnwindSafe(|| is_loadable(file))).unwrap_or(false),
        Err(_) => false,
    };
    Obj::bool(loaded).into_ptr()
}

fn is_loadable(file: [String; 2]) -> bool {
    if lock(&LOADED).get_or_insert_with(HashSet::new).contains(&file) {
        return true;
    }
    // Not under the lock, for this runs Python code: two at once do it twice.
    let load = || {
        let load = import(&Obj::str("erlang._boot")?)?.attr("load_extension")?;
        let [name, origin] = &file;
        load.call(&[&Obj::str(name)?, &Obj::str(origin)?])
    };
    // SAFETY: attached. Code of the main interpreter finds no runtime of another one.
    let loaded = unsafe { detach(|| without_runtime(|| host().visit(|| load().is_ok()))) };
    if loaded {
        lock(&LOADED).get_or_insert_with(HashSet::new).insert(file);
    }
    loaded
}
