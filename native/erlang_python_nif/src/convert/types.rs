//! The objects of one interpreter that the converter uses, and its caches of atoms and of kinds.

use pyo3::ffi;
use rustler::sys::ErlNifTerm;

use super::kind::Kind;
use crate::python::cache::{Cache, Words};
use crate::python::object::{Obj, PyResult, import};

/// Functions of `priv/python/erlang/_values.py`, classes of `_terms.py`, methods of `int`, and two caches.
pub struct Types {
    pub classify: Obj,
    pub simplify: Obj,
    pub make: Obj,
    pub atom: Obj,
    pub pid: Obj,
    pub reference: Obj,
    pub port: Obj,
    pub function: Obj,
    pub external: Obj,
    pub describe_briefly: Obj,
    pub from_bytes: Obj,
    pub to_bytes: Obj,
    pub bit_length: Obj,
    pub negative: Obj,
    pub little: Obj,
    /// Elixir's `Decimal` is loaded.
    pub decimal: bool,
    atoms: Cache<ErlNifTerm, Obj, Words>,
    kinds: Cache<*mut ffi::PyTypeObject, (Obj, Kind), Words>,
}

impl Types {
    /// Looks the objects up. `decimal`: whether Elixir's `Decimal` is loaded.
    pub fn new(decimal: bool) -> PyResult<Types> {
        let [errors, values, terms, builtins] = ["erlang._errors", "erlang._values", "erlang._terms", "builtins"]
            .map(|name| Obj::str(name).and_then(|name| import(&name)));
        let (values, terms) = (values?, terms?);
        let int = builtins?.attr("int")?;
        Ok(Types {
            classify: values.attr("classify")?,
            simplify: values.attr("simplify")?,
            make: values.attr("make")?,
            atom: terms.attr("Atom")?,
            pid: terms.attr("Pid")?,
            reference: terms.attr("Ref")?,
            port: terms.attr("Port")?,
            function: terms.attr("Function")?,
            external: Obj::str("_external")?,
            describe_briefly: errors?.attr("describe_briefly")?,
            from_bytes: int.attr("from_bytes")?,
            to_bytes: int.attr("to_bytes")?,
            bit_length: int.attr("bit_length")?,
            negative: int.attr("__neg__")?,
            little: Obj::str("little")?,
            decimal,
            atoms: Cache::default(),
            kinds: Cache::default(),
        })
    }

    /// The object of an atom. `make` makes it if it is not cached.
    pub fn atom_object(&self, atom: ErlNifTerm, make: impl FnOnce() -> PyResult<Obj>) -> PyResult<Obj> {
        self.atoms.get_or(&atom, || Ok((atom, make()?)))
    }

    /// The kind of an object's type. The cache keeps the type alive, so that no other type gets its address.
    pub fn kind(&self, object: &Obj) -> PyResult<Kind> {
        let class = object.type_ptr();
        let classify = || {
            // SAFETY: the type of a live object is live.
            let class_object = unsafe { Obj::borrowed(class.cast()) };
            let kind = Kind::from_number(self.classify.call(&[&class_object])?.as_i64()?);
            Ok((class, (class_object, kind)))
        };
        Ok(self.kinds.get_or(&class, classify)?.1)
    }
}
