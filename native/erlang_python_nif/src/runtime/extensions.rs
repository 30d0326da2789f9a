//! C extensions in own-GIL contexts of CPython 3.12.
//!
//! An extension of the old kind (single-phase initialization, `_datetime` for one) cannot be loaded in an interpreter with a
//! GIL of its own. CPython 3.12 finds that out after the extension has made its types, in the memory of that interpreter: the
//! next interpreter that tries corrupts the heap (python/cpython issues 110415 and 117953). CPython 3.13 has the main
//! interpreter load every extension first, and so do we on 3.12: then the refusal comes before anything is made.

use std::collections::HashSet;
use std::os::raw::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Mutex;

use pyo3::ffi;

use super::host::host;
use super::interpreter::detach;
use super::python::{Obj, PyResult, import};
use super::thread::without_runtime;
use erlang_python_core::sync::lock;

struct Method(ffi::PyMethodDef);

// SAFETY: CPython only reads method definitions.
unsafe impl Sync for Method {}

static IMPORT_IN_MAIN: Method = Method(ffi::PyMethodDef {
    ml_name: c"import_in_main".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: import_in_main },
    ml_flags: ffi::METH_O as c_int,
    ml_doc: ptr::null(),
});

/// Modules that the main interpreter has imported for others.
static IMPORTED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Guards the interpreter of an own-GIL context, to which this thread is attached.
pub fn guard() -> PyResult<()> {
    if !host().version.starts_with("3.12.") {
        return Ok(());
    }
    let method = ptr::from_ref(&IMPORT_IN_MAIN.0).cast_mut();
    // SAFETY: attached; a static definition.
    let function = unsafe { Obj::checked(ffi::PyCFunction_NewEx(method, ptr::null_mut(), ptr::null_mut()))? };
    import(&Obj::str("erlang._boot")?)?.attr("guard_extensions")?.call(&[&function]).map(drop)
}

/// `import_in_main(name)`: whether the main interpreter can import that module.
///
/// # Safety
/// Called by Python: attached, with a live argument.
unsafe extern "C" fn import_in_main(_module: *mut ffi::PyObject, name: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let name = unsafe { Obj::borrowed(name) };
    // A panic must not unwind through Python's frames. Any str is text here: the import system has looked for it.
    let imported = name.as_utf8().is_ok_and(|name| {
        let name = name.to_owned();
        catch_unwind(AssertUnwindSafe(|| is_importable(name))).unwrap_or(false)
    });
    Obj::bool(imported).into_ptr()
}

fn is_importable(name: String) -> bool {
    if lock(&IMPORTED).get_or_insert_with(HashSet::new).contains(&name) {
        return true;
    }
    // Not under the lock, for this runs Python code: two at once find the same module.
    let there = || host().visit(|| Obj::str(&name).and_then(|name| import(&name)).is_ok());
    // SAFETY: attached. Code of the main interpreter finds no runtime of another one.
    let imported = unsafe { detach(|| without_runtime(there)) };
    if imported {
        lock(&IMPORTED).get_or_insert_with(HashSet::new).insert(name);
    }
    imported
}
