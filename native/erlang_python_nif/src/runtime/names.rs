//! Dotted names of modules and functions, split once.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use pyo3::ffi;
use rustler::sys::ErlNifTerm;

use crate::python::cache::{Cache, Words};
use crate::python::object::{Obj, PyResult};

/// A dotted name: whole, and its parts.
pub struct Name {
    pub whole: Obj,
    pub parts: Vec<Obj>,
    /// The address of the module of this name that was last seen after its import was complete. Null if there is none.
    pub imported: Cell<*mut ffi::PyObject>,
}

impl Name {
    fn new(text: &str) -> PyResult<Name> {
        let parts = text.split('.').map(Obj::str).collect::<PyResult<_>>()?;
        Ok(Name { whole: Obj::str(text)?, parts, imported: Cell::new(ptr::null_mut()) })
    }
}

#[derive(Default)]
pub struct Names {
    names: Cache<Box<str>, Rc<Name>>,
    atoms: Cache<ErlNifTerm, Rc<Name>, Words>,
}

impl Names {
    pub fn of_atom(&self, atom: ErlNifTerm, text: impl FnOnce() -> String) -> PyResult<Rc<Name>> {
        self.atoms.get_or(&atom, || Ok((atom, Rc::new(Name::new(&text())?))))
    }

    pub fn of_text(&self, text: &str) -> PyResult<Rc<Name>> {
        self.names.get_or(text, || Ok((text.into(), Rc::new(Name::new(text)?))))
    }
}
