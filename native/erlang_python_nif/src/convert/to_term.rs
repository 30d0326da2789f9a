//! Converts Python objects to terms.

use std::mem::ManuallyDrop;

use pyo3::ffi;
use rustler::sys::{enif_make_list_from_array, enif_make_map_from_arrays, enif_make_new_binary};
use rustler::types::atom::{false_, true_};
use rustler::types::tuple::make_tuple;
use rustler::{Encoder, Env, Term};

use super::handle::ObjectHandle;
use super::kind::Kind;
use super::shown::repeated;
use super::{
    ConvertError, ConvertResult, Converter, LONG_BINARY, NEVER_COPY, VERY_LONG, failed, key_text, struct_term,
};
use crate::beam::dialect::Dialect;
use crate::beam::{atoms, immediate};
use crate::python::object::{Obj, PyResult};

/// The size of a handle, in words: its struct and the name of its class.
const HANDLE: usize = 24;

impl Converter<'_> {
    /// The term of an object.
    pub fn to_term<'a>(&mut self, object: Obj, env: Env<'a>, depth: usize) -> ConvertResult<Term<'a>> {
        // SAFETY: attached; a live object.
        if let Some(leaf) = unsafe { self.leaf(object.as_ptr(), env) } {
            return leaf;
        }
        let class = object.type_ptr();
        let exact = |kind: *mut ffi::PyTypeObject| class == kind;
        // Common types are recognized by their address, all others by the cached kind.
        if exact(&raw mut ffi::PyList_Type) {
            self.list_term(&object, env, depth)
        } else if exact(&raw mut ffi::PyDict_Type) {
            self.dict_term(&object, env, depth)
        } else if exact(&raw mut ffi::PyTuple_Type) {
            self.tuple_term(&object, env, depth)
        } else {
            let kind = self.types.kind(&object)?;
            self.other_term(kind, object, env, depth)
        }
    }

    /// The term of an int, str, float, bool, bytes or None, and not of an instance of a subclass. `None` for any other
    /// object. The conversion runs no Python code, so a borrowed reference is enough.
    ///
    /// # Safety
    /// The thread is attached, and `object` is live.
    #[inline]
    unsafe fn leaf<'a>(&mut self, object: *mut ffi::PyObject, env: Env<'a>) -> Option<ConvertResult<Term<'a>>> {
        self.size += 1;
        // SAFETY: promised by the caller. `ManuallyDrop` keeps the borrowed reference from being dropped.
        unsafe {
            let class = ffi::Py_TYPE(object);
            let borrowed = ManuallyDrop::new(Obj::from_owned(object)?);
            Some(if class == &raw mut ffi::PyLong_Type {
                self.int_term(&borrowed, env)
            } else if class == &raw mut ffi::PyUnicode_Type {
                self.str_term(&borrowed, env)
            } else if class == &raw mut ffi::PyFloat_Type {
                float_term(&borrowed, env)
            } else if borrowed.is_none() {
                Ok(if self.dialect.is_erlang() { atoms::none() } else { atoms::nil() }.to_term(env))
            } else if class == &raw mut ffi::PyBool_Type {
                Ok(if object == ffi::Py_True() { true_() } else { false_() }.to_term(env))
            } else if class == &raw mut ffi::PyBytes_Type {
                self.binary_term(borrowed.as_bytes(), env)
            } else {
                return None;
            })
        }
    }

    /// The term of an object of this kind.
    fn other_term<'a>(&mut self, kind: Kind, object: Obj, env: Env<'a>, depth: usize) -> ConvertResult<Term<'a>> {
        match kind {
            Kind::Str => self.str_term(&object, env),
            Kind::Int => self.int_term(&object, env),
            Kind::Float => float_term(&object, env),
            Kind::Bytes => self.binary_term(object.as_bytes(), env),
            Kind::Tuple => self.tuple_term(&object, env, depth),
            Kind::List => self.list_term(&object, env, depth),
            Kind::Set => self.set_term(&object, env, depth),
            Kind::Atom => match atoms::from_text(env, object.as_utf8().map_err(|_| surrogates())?) {
                Some(atom) => Ok(atom),
                None => Err(ConvertError::value("too many new atoms, or an atom of more than 255 characters")),
            },
            Kind::Null => Ok(if self.dialect.is_erlang() { atoms::none() } else { atoms::nil() }.to_term(env)),
            Kind::Opaque => {
                self.size += NEVER_COPY;
                let damaged = || ConvertError::value("a damaged erlang term");
                let external = object.getattr(&self.types.external).map_err(|_| damaged())?;
                // SAFETY: attached; a live object.
                if unsafe { ffi::PyBytes_Check(external.as_ptr()) } == 0 {
                    return Err(damaged());
                }
                self.take(external.as_bytes().len())?;
                env.binary_to_term(external.as_bytes()).map(|(term, _)| term).ok_or_else(damaged)
            }
            Kind::Object if self.dialect.is_erlang() => self.text_term(&object, env),
            Kind::Object => self.handle_term(object, env),
            // A subclass of dict may override how it is read. Its copy is a plain dict at the same depth.
            Kind::Dict | Kind::Buffer => {
                let simple = self.simplify(kind, &object)?;
                self.to_term(simple, env, depth)
            }
            Kind::Array => {
                self.step(depth)?;
                let simple = self.simplify(kind, &object)?;
                self.to_term(simple, env, depth + 1)
            }
            _ if self.dialect.is_erlang() => self.text_term(&object, env),
            Kind::Decimal if !self.types.decimal => self.text_term(&object, env),
            Kind::Range | Kind::DateTime | Kind::Date | Kind::Time | Kind::TimeDelta | Kind::Decimal => {
                self.step(depth)?;
                let parts = self.simplify(kind, &object)?;
                self.struct_to_term(kind, parts, env, depth)
            }
            Kind::Dataclass | Kind::Complex | Kind::Text => {
                let simple = self.simplify(kind, &object)?;
                self.to_term(simple, env, depth)
            }
            // The value of a member may be any object, even the member itself.
            Kind::Enum => {
                self.step(depth)?;
                let simple = self.simplify(kind, &object)?;
                self.to_term(simple, env, depth + 1)
            }
        }
    }

    /// Simple Python objects for an object of this kind.
    fn simplify(&mut self, kind: Kind, object: &Obj) -> ConvertResult<Obj> {
        let kind = Obj::int(kind as i64)?;
        self.types.simplify.call(&[&kind, object]).map_err(|raised| self.refused(raised))
    }

    fn int_term<'a>(&mut self, object: &Obj, env: Env<'a>) -> ConvertResult<Term<'a>> {
        // SAFETY: attached; a live int.
        match unsafe { int_value(object.as_ptr()) } {
            // SAFETY: a term of `env`.
            Ok(value) => Ok(unsafe { Term::new(env, immediate::make_integer(env, value)) }),
            Err(negative) => self.big_to_term(object, negative, env),
        }
    }

    fn list_term<'a>(&mut self, list: &Obj, env: Env<'a>, depth: usize) -> ConvertResult<Term<'a>> {
        self.step(depth)?;
        let mut terms = Vec::new();
        // SAFETY: attached; a list. The size is read before each item, because converting an item may run Python code
        // that changes the list. For the same reason a borrowed item is made strong, unless its conversion runs no
        // Python code.
        unsafe {
            let mut size = ffi::PyList_Size(list.as_ptr()) as usize;
            self.take(2 * size)?;
            terms.reserve(size);
            self.size += terms.capacity();
            while (terms.len() as isize) < ffi::PyList_Size(list.as_ptr()) {
                let index = terms.len();
                let item = ffi::PyList_GetItem(list.as_ptr(), index as isize);
                // Most long lists consist of ints.
                if ffi::Py_TYPE(item) == &raw mut ffi::PyLong_Type {
                    let term = match int_value(item) {
                        Ok(value) => immediate::make_integer(env, value),
                        // Calls Python code, which may change the list.
                        Err(_) => self.item_term(Obj::borrowed(item), env, depth, index)?.as_c_arg(),
                    };
                    terms.push(term);
                    continue;
                }
                let term = match self.leaf(item, env) {
                    Some(leaf) => leaf.map_err(|error| error.at(|| format!("[{index}]"))),
                    None => {
                        let term = self.item_term(Obj::borrowed(item), env, depth, index);
                        let now = ffi::PyList_Size(list.as_ptr()) as usize;
                        if now > size {
                            self.take(2 * (now - size))?;
                            size = now;
                        }
                        term
                    }
                };
                terms.push(term?.as_c_arg());
            }
        }
        let count = u32::try_from(terms.len()).map_err(|_| ConvertError::value("list of more than 2^32 elements"))?;
        // SAFETY: an array of `count` terms of `env`.
        Ok(unsafe { Term::new(env, enif_make_list_from_array(env.as_c_arg(), terms.as_ptr(), count)) })
    }

    fn item_term<'a>(&mut self, item: Obj, env: Env<'a>, depth: usize, index: usize) -> ConvertResult<Term<'a>> {
        self.to_term(item, env, depth + 1).map_err(|error| error.at(|| format!("[{index}]")))
    }

    fn tuple_term<'a>(&mut self, tuple: &Obj, env: Env<'a>, depth: usize) -> ConvertResult<Term<'a>> {
        self.step(depth)?;
        let items = tuple.tuple_items();
        if items.len() >= 1 << 24 {
            return Err(ConvertError::value("tuple of more than 16,777,215 elements"));
        }
        self.take(items.len() + 1)?;
        let mut terms = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            terms.push(self.item_term(item, env, depth, index)?);
        }
        Ok(make_tuple(env, &terms))
    }

    fn dict_term<'a>(&mut self, dict: &Obj, env: Env<'a>, depth: usize) -> ConvertResult<Term<'a>> {
        self.step(depth)?;
        let entries = entries(dict);
        self.take(2 * entries.len())?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            let at = || step_text(&key);
            keys.push(self.to_term(key.clone(), env, depth + 1).map_err(|error| error.at(at))?.as_c_arg());
            values.push(self.to_term(value, env, depth + 1).map_err(|error| error.at(at))?.as_c_arg());
        }
        map_term(env, &keys, &values, self.dialect)
    }

    fn set_term<'a>(&mut self, set: &Obj, env: Env<'a>, depth: usize) -> ConvertResult<Term<'a>> {
        self.step(depth)?;
        let empty = Vec::<Term>::new().encode(env).as_c_arg();
        let mut keys = Vec::new();
        for item in self.items_of(set)? {
            keys.push(self.to_term(item, env, depth + 1).map_err(|error| error.at(|| "{…}".into()))?.as_c_arg());
        }
        let map = map_term(env, &keys, &vec![empty; keys.len()], self.dialect)?;
        Ok(if self.dialect.is_erlang() {
            map
        } else {
            struct_term(env, atoms::map_set_struct(), &[(atoms::map(), map)])
        })
    }

    /// The items of a set. A subclass may have an `__iter__` of its own, and that may be endless.
    fn items_of(&mut self, set: &Obj) -> ConvertResult<Vec<Obj>> {
        let mut items = Vec::new();
        // SAFETY: attached. The results are owned.
        unsafe {
            let iterator = Obj::checked(ffi::PyObject_GetIter(set.as_ptr()))?;
            while let Some(item) = Obj::from_owned(ffi::PyIter_Next(iterator.as_ptr())) {
                self.take(2)?;
                items.push(item);
            }
            if !ffi::PyErr_Occurred().is_null() {
                return Err(failed());
            }
        }
        Ok(items)
    }

    fn text_term<'a>(&mut self, object: &Obj, env: Env<'a>) -> ConvertResult<Term<'a>> {
        // SAFETY: attached; a live object.
        let text = unsafe { Obj::checked(ffi::PyObject_Str(object.as_ptr())) };
        let text = text.map_err(|raised| self.refused(raised))?;
        self.str_term(&text, env)
    }

    fn str_term<'a>(&mut self, object: &Obj, env: Env<'a>) -> ConvertResult<Term<'a>> {
        match object.as_utf8() {
            Ok(text) => self.binary_term(text.as_bytes(), env),
            Err(_) => Err(surrogates()),
        }
    }

    #[inline(always)]
    fn binary_term<'a>(&mut self, bytes: &[u8], env: Env<'a>) -> ConvertResult<Term<'a>> {
        self.take(2 + bytes.len() / size_of::<usize>())?;
        Ok(self.bytes_term(bytes, env))
    }

    fn bytes_term<'a>(&mut self, bytes: &[u8], env: Env<'a>) -> Term<'a> {
        let mut term = Default::default();
        match bytes.len() {
            0..=LONG_BINARY => self.size += bytes.len() / 8,
            long => {
                self.has_refc_binaries = true;
                // Very long ones make the result too large for the handover, so that it does not wait for the caller.
                self.size += long / VERY_LONG;
            }
        }
        // SAFETY: a live environment. The new binary has room for exactly these bytes.
        unsafe {
            let data = enif_make_new_binary(env.as_c_arg(), bytes.len(), &mut term);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
            Term::new(env, term)
        }
    }

    /// A `%Py.Object{}`: a handle that keeps the object alive.
    pub fn handle_term<'a>(&mut self, object: Obj, env: Env<'a>) -> ConvertResult<Term<'a>> {
        let class = type_name(&object).unwrap_or_else(|_| "?".into());
        self.size += NEVER_COPY;
        self.take(HANDLE)?;
        // SAFETY: the converting thread is attached to the interpreter of its context.
        let handle =
            unsafe { ObjectHandle::new(self.owner.home().clone(), object) }.ok_or(ConvertError::WrongInterpreter)?;
        let fields = [
            (atoms::r#ref(), handle.encode(env)),
            (atoms::r#type(), class.encode(env)),
            (atoms::context(), self.owner.term(env)),
        ];
        Ok(struct_term(env, atoms::object_struct(), &fields))
    }
}

/// The qualified name of the type of an object.
fn type_name(object: &Obj) -> PyResult<String> {
    // SAFETY: the type of a live object is live.
    let class = unsafe { Obj::borrowed(object.type_ptr().cast()) };
    let (module, name) = (class.attr("__module__")?, class.attr("__qualname__")?);
    let name = name.as_utf8()?;
    // SAFETY: attached; a live object.
    let module = match unsafe { ffi::PyUnicode_Check(module.as_ptr()) } {
        0 => "builtins",
        _ => module.as_utf8()?,
    };
    Ok(if module == "builtins" { name.to_owned() } else { format!("{module}.{name}") })
}

/// The value of an int. `Err` if it has more than 64 bits, with `true` if it is negative.
///
/// # Safety
/// The thread is attached, and `object` is a live int.
#[inline]
unsafe fn int_value(object: *mut ffi::PyObject) -> Result<i64, bool> {
    let mut overflow = 0;
    // SAFETY: promised by the caller. Overflow, the only failure, is reported in `overflow`.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow) };
    if overflow == 0 { Ok(value) } else { Err(overflow < 0) }
}

fn surrogates() -> ConvertError {
    ConvertError::value(
        "str with lone surrogates, which UTF-8 cannot hold; encode it in Python, with errors='surrogatepass'",
    )
}

fn float_term<'a>(object: &Obj, env: Env<'a>) -> ConvertResult<Term<'a>> {
    // SAFETY: attached; a float, so the call cannot fail.
    let value = unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) };
    Ok(if value.is_finite() {
        value.encode(env)
    } else if value.is_nan() {
        atoms::nan().to_term(env)
    } else if value > 0.0 {
        atoms::infinity().to_term(env)
    } else {
        atoms::neg_infinity().to_term(env)
    })
}

#[cold]
#[inline(never)]
fn same_keys(env: Env<'_>, keys: &[rustler::sys::ErlNifTerm], dialect: Dialect) -> ConvertError {
    // SAFETY: terms of `env`.
    let keys = keys.iter().map(|key| unsafe { Term::new(env, *key) });
    let repeated = repeated(keys, dialect).map(|key| format!(", {key}")).unwrap_or_default();
    ConvertError::value(format!("two keys become the same term{repeated}"))
}

fn map_term<'a>(
    env: Env<'a>,
    keys: &[rustler::sys::ErlNifTerm],
    values: &[rustler::sys::ErlNifTerm],
    dialect: Dialect,
) -> ConvertResult<Term<'a>> {
    let mut map = Default::default();
    // SAFETY: two arrays of `keys.len()` terms of `env`.
    unsafe {
        if enif_make_map_from_arrays(env.as_c_arg(), keys.as_ptr(), values.as_ptr(), keys.len(), &mut map) == 0 {
            return Err(same_keys(env, keys, dialect));
        }
        Ok(Term::new(env, map))
    }
}

/// The entries of a dict, all read before any is converted, because the conversion may run code that changes the dict.
fn entries(dict: &Obj) -> Vec<(Obj, Obj)> {
    let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    let mut entries = Vec::new();
    // SAFETY: attached; a dict. The loop runs no Python code, so nothing changes the dict. The borrowed results are
    // made strong at once.
    unsafe {
        entries.reserve(ffi::PyDict_Size(dict.as_ptr()) as usize);
        while ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) != 0 {
            entries.push((Obj::borrowed(key), Obj::borrowed(value)));
        }
    }
    entries
}

/// The step of a path to a key of a dict.
fn step_text(key: &Obj) -> String {
    // SAFETY: attached; a live object.
    if unsafe { ffi::PyUnicode_Check(key.as_ptr()) } != 0
        && let Ok(text) = key.as_utf8()
    {
        let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
        return if plain { format!(".{text}") } else { key_text(&format!("{text:?}")) };
    }
    // SAFETY: attached; a live object.
    let text = unsafe { Obj::checked(ffi::PyObject_Repr(key.as_ptr())) };
    match text.as_ref().map(Obj::as_utf8) {
        Ok(Ok(text)) => key_text(text),
        _ => "[?]".into(),
    }
}
