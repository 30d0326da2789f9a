//! Dotted names of modules and functions, split once.

use std::cell::RefCell;
use std::rc::Rc;

use rustler::sys::ErlNifTerm;

use crate::python::cache::{Cache, Words};
use crate::python::object::{Obj, PyResult};

/// A dotted name: whole, and its parts.
pub struct Name {
    pub whole: Obj,
    pub parts: Vec<Obj>,
    /// The name is `__main__`, the namespace of the request.
    pub is_main: bool,
    /// The module of this name that was last seen after its import was complete. It is kept, because another module may
    /// get the address of one that is gone.
    imported: RefCell<Option<Obj>>,
}

impl Name {
    fn new(text: &str) -> PyResult<Name> {
        let parts = text.split('.').map(Obj::str).collect::<PyResult<_>>()?;
        Ok(Name { whole: Obj::str(text)?, parts, is_main: text == "__main__", imported: RefCell::default() })
    }

    /// Notes that the import of `module` is complete.
    pub fn set_imported(&self, module: &Obj) {
        // Dropped after the borrow has ended, because dropping a module may run Python code.
        let _old = self.imported.replace(Some(module.clone()));
    }

    /// Returns `true` if the import of `module` is known to be complete.
    pub fn is_imported(&self, module: &Obj) -> bool {
        self.imported.borrow().as_ref().is_some_and(|known| known.as_ptr() == module.as_ptr())
    }
}

#[derive(Default)]
pub struct Names {
    names: Cache<Box<str>, Rc<Name>, Words>,
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
