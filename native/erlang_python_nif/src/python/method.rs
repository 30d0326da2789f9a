//! Functions of ours that Python code can call.

use std::ffi::CStr;
use std::os::raw::c_int;

use pyo3::ffi;

use super::object::{Obj, PyResult, raised};

/// The body of a function: what `Method::function` was given (null for nothing), its positional arguments, their number.
/// Python calls it attached, with live arguments.
pub type Body =
    unsafe extern "C" fn(*mut ffi::PyObject, *mut *mut ffi::PyObject, ffi::Py_ssize_t) -> *mut ffi::PyObject;

/// Returns the arguments of a `Body`, made strong for the call.
///
/// # Safety
/// Attached; `args` are `count` live objects.
pub unsafe fn arguments(args: *mut *mut ffi::PyObject, count: ffi::Py_ssize_t) -> Vec<Obj> {
    // SAFETY: promised by the caller.
    (0..count as usize).map(|index| unsafe { Obj::borrowed(*args.add(index)) }).collect()
}

/// The definition of a function. It belongs to no interpreter.
pub struct Method {
    definition: ffi::PyMethodDef,
    name: &'static CStr,
}

// SAFETY: CPython only reads definitions, and the name and the pointers are those of constants.
unsafe impl Sync for Method {}

impl Method {
    pub const fn new(name: &'static CStr, body: Body) -> Method {
        let definition = ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: body },
            ml_flags: ffi::METH_FASTCALL as c_int,
            ml_doc: std::ptr::null(),
        };
        Method { definition, name }
    }

    /// Returns a function for the interpreter that this thread is attached to. It keeps `first`.
    pub fn function(&'static self, first: Option<&Obj>) -> PyResult<Obj> {
        let first = first.map_or(std::ptr::null_mut(), Obj::as_ptr);
        let definition = std::ptr::from_ref(&self.definition).cast_mut();
        // SAFETY: attached; a static definition, which is not written; a live object or null.
        unsafe { Obj::checked(ffi::PyCFunction_NewEx(definition, first, std::ptr::null_mut())) }
    }

    /// Makes the function an attribute of `module`.
    pub fn install(&'static self, module: &Obj) -> PyResult<()> {
        let function = self.function(None)?;
        // SAFETY: attached; live objects and a static name.
        let status = unsafe { ffi::PyObject_SetAttrString(module.as_ptr(), self.name.as_ptr(), function.as_ptr()) };
        if status < 0 { Err(raised()) } else { Ok(()) }
    }
}
