//! Dotted names of modules and functions, split once.

use std::rc::Rc;

use rustler::sys::ErlNifTerm;

use crate::python::cache::{Cache, Words};
use crate::python::object::{Obj, PyResult};

/// A dotted name: whole, and its parts.
pub struct Name {
    pub whole: Obj,
    pub parts: Vec<Obj>,
}

impl Name {
    fn new(text: &str) -> PyResult<Name> {
        let parts = text.split('.').map(Obj::str).collect::<PyResult<_>>()?;
        Ok(Name { whole: Obj::str(text)?, parts })
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
