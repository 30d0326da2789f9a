//! Converts terms to Python objects.

use pyo3::ffi;
use rustler::sys::{ErlNifTermType as Type, enif_get_double, enif_get_uint64, enif_inspect_binary};
use rustler::types::map::MapIterator;
use rustler::types::tuple::get_tuple;
use rustler::{Binary, ResourceArc, Term};

use super::handle::ObjectHandle;
use super::shown::shown;
use super::{ConvertError, ConvertResult, Converter, failed, key_text};
use crate::beam::atoms;
use crate::beam::dialect::Dialect;
use crate::beam::immediate::{self, Shape};
use crate::python::object::Obj;

impl Converter<'_> {
    /// The object of a term.
    #[inline(always)]
    pub fn to_python(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        if let Some(small) = immediate::small(term) {
            return Ok(Obj::int(small)?);
        }
        self.larger(term, depth)
    }

    /// The object of a term that is not a small integer.
    fn larger(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        match immediate::shape(term) {
            Shape::Float(value) => Ok(Obj::float(value)?),
            Shape::Bits => binary(term),
            Shape::List => self.list(term, depth),
            Shape::Other => self.other(term, depth),
        }
    }

    /// The object of a term that only the VM can read.
    fn other(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        match immediate::type_of(term) {
            Some(Type::ERL_NIF_TERM_TYPE_ATOM) => self.atom(term),
            Some(Type::ERL_NIF_TERM_TYPE_MAP) => self.map(term, depth),
            Some(Type::ERL_NIF_TERM_TYPE_TUPLE) => self.tuple(term, depth),
            Some(Type::ERL_NIF_TERM_TYPE_LIST) => self.list(term, depth),
            Some(Type::ERL_NIF_TERM_TYPE_INTEGER) => self.integer(term),
            Some(Type::ERL_NIF_TERM_TYPE_BITSTRING) => binary(term),
            Some(Type::ERL_NIF_TERM_TYPE_FLOAT) => float(term),
            Some(Type::ERL_NIF_TERM_TYPE_PID) => self.opaque(term, |helpers| &helpers.pid),
            Some(Type::ERL_NIF_TERM_TYPE_PORT) => self.opaque(term, |helpers| &helpers.port),
            Some(Type::ERL_NIF_TERM_TYPE_FUN) => self.opaque(term, |helpers| &helpers.function),
            Some(Type::ERL_NIF_TERM_TYPE_REFERENCE) => self.reference(term),
            _ => Err(ConvertError::value(
                "a term that has no Python counterpart, such as a native record: pass a map, a tuple or a list instead",
            )),
        }
    }

    fn integer(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        if let Some(int) = immediate::integer(term) {
            return Ok(Obj::int(int)?);
        }
        let mut uint = 0;
        // SAFETY: a live term. The result is read only on success.
        if unsafe { enif_get_uint64(term.get_env().as_c_arg(), term.as_c_arg(), &mut uint) } != 0 {
            return Ok(Obj::uint(uint)?);
        }
        self.big_to_python(term)
    }

    fn atom(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        if term == atoms::nil().to_term(term.get_env()) {
            return Ok(Obj::none());
        }
        match term.decode::<bool>() {
            Ok(truth) => return Ok(Obj::bool(truth)),
            Err(_) if self.dialect.is_erlang() && (atoms::none() == term || atoms::undefined() == term) => {
                return Ok(Obj::none());
            }
            Err(_) => {}
        }
        Ok(self.types.atom_object(term.as_c_arg(), || match atoms::number(term) {
            Some(number) => Obj::float(number),
            None => Obj::str(&atoms::text_of(term)),
        })?)
    }

    /// The object of a key of a map or of a keyword argument. There an atom such as `nan` is a name, not a number.
    fn key(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        let key = self.to_python(term, depth)?;
        if key.type_ptr() == &raw mut ffi::PyFloat_Type && term.is_atom() {
            return Ok(Obj::str(&atoms::text_of(term))?);
        }
        Ok(key)
    }

    fn list(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        self.step(depth)?;
        let Ok(length) = term.list_length() else {
            return Err(ConvertError::value("improper list"));
        };
        // SAFETY: attached; a new list whose slots are filled below, each once and in range. After an error the list is
        // dropped with some slots null, which CPython allows.
        unsafe {
            let list = Obj::checked(ffi::PyList_New(length as isize))?;
            let (mut rest, mut index) = (term, 0);
            while let Some((item, tail)) = immediate::cell(rest) {
                let item = self.to_python(item, depth + 1).map_err(|error| error.at(|| format!("[{index}]")))?;
                ffi::PyList_SetItem(list.as_ptr(), index, item.into_ptr());
                (rest, index) = (tail, index + 1);
            }
            Ok(list)
        }
    }

    fn tuple(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        self.step(depth)?;
        let items = get_tuple(term).map_err(|_| ConvertError::value("tuple"))?;
        if self.dialect.is_erlang()
            && let [tag, data] = items[..]
            && atoms::bytes() == tag
            && let Ok(data) = Binary::from_term(data)
        {
            return Ok(Obj::bytes(&data)?);
        }
        // SAFETY: attached; as in `list`.
        unsafe {
            let tuple = Obj::checked(ffi::PyTuple_New(items.len() as isize))?;
            for (index, item) in items.into_iter().enumerate() {
                let item = self.to_python(item, depth + 1).map_err(|error| error.at(|| format!("[{index}]")))?;
                ffi::PyTuple_SetItem(tuple.as_ptr(), index as isize, item.into_ptr());
            }
            Ok(tuple)
        }
    }

    fn map(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        self.step(depth)?;
        if let Ok(module) = term.map_get(atoms::__struct__())
            && module.is_atom()
        {
            if atoms::object_struct() == module {
                return self.object(field(term, atoms::r#ref())?);
            }
            if !self.dialect.is_erlang() {
                return self.structure(term, module, depth);
            }
        }
        self.plain_map(term, depth)
    }

    /// The dict of a map.
    pub(super) fn plain_map(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        let dict = Obj::dict()?;
        let mut count = 0;
        for (key, value) in MapIterator::new(term).ok_or_else(|| ConvertError::value("map"))? {
            let dialect = self.dialect;
            let at = || key_step(key, dialect);
            let name = self.key(key, depth + 1).map_err(|error| error.at(at))?;
            let value = self.to_python(value, depth + 1).map_err(|error| error.at(at))?;
            dict.dict_set(&name, &value).map_err(|raised| self.refused(raised).at(at))?;
            count += 1;
            // SAFETY: attached; a dict.
            if unsafe { ffi::PyDict_Size(dict.as_ptr()) } != count {
                return Err(ConvertError::value("another key of this map becomes the same Python key").at(at));
            }
        }
        Ok(dict)
    }

    /// The set of the keys of a map.
    pub(super) fn set(&mut self, term: Term<'_>, depth: usize) -> ConvertResult<Obj> {
        // SAFETY: attached; null makes an empty set.
        let set = unsafe { Obj::checked(ffi::PySet_New(std::ptr::null_mut()))? };
        let mut count = 0;
        for (key, _) in MapIterator::new(term).ok_or_else(|| ConvertError::value("set"))? {
            let at = || "{…}".to_owned();
            let item = self.to_python(key, depth + 1).map_err(|error| error.at(at))?;
            // SAFETY: attached; a set and a live object.
            let status = unsafe { ffi::PySet_Add(set.as_ptr(), item.as_ptr()) };
            if status < 0 {
                let raised = crate::python::object::raised();
                return Err(self.refused(raised).at(at));
            }
            count += 1;
            // SAFETY: attached; a set.
            if unsafe { ffi::PySet_Size(set.as_ptr()) } != count {
                return Err(ConvertError::value("another element of this set becomes the same Python value").at(at));
            }
        }
        Ok(set)
    }

    fn reference(&mut self, term: Term<'_>) -> ConvertResult<Obj> {
        match term.decode::<ResourceArc<ObjectHandle>>() {
            Ok(_) => self.object(term),
            Err(_) => self.opaque(term, |helpers| &helpers.reference),
        }
    }

    /// The object of a handle.
    pub fn object(&mut self, handle: Term<'_>) -> ConvertResult<Obj> {
        let Ok(handle) = handle.decode::<ResourceArc<ObjectHandle>>() else {
            return Err(ConvertError::value("not a handle of a Python object"));
        };
        // SAFETY: the converting thread is attached to the interpreter of its context.
        unsafe { handle.object(&self.owner.home().interp) }.ok_or(ConvertError::WrongInterpreter)
    }

    fn opaque(&mut self, term: Term<'_>, class: fn(&super::types::Types) -> &Obj) -> ConvertResult<Obj> {
        let external = Obj::bytes(term.to_binary().as_slice())?;
        Ok(class(self.types).call(&[&external])?)
    }
}

fn float(term: Term<'_>) -> ConvertResult<Obj> {
    let mut value = 0.0;
    // SAFETY: a live term. It is a float, so the call cannot fail.
    unsafe { enif_get_double(term.get_env().as_c_arg(), term.as_c_arg(), &mut value) };
    Ok(Obj::float(value)?)
}

fn binary(term: Term<'_>) -> ConvertResult<Obj> {
    let mut binary = std::mem::MaybeUninit::uninit();
    // SAFETY: a live term. `binary` is read only on success, and its memory lives as long as the term.
    unsafe {
        if enif_inspect_binary(term.get_env().as_c_arg(), term.as_c_arg(), binary.as_mut_ptr()) == 0 {
            return Err(ConvertError::value("bitstring whose size is not a whole number of bytes"));
        }
        let binary = binary.assume_init();
        let bytes: &[u8] = match binary.size {
            0 => &[],
            size => std::slice::from_raw_parts(binary.data, size),
        };
        if let Some(text) = Obj::ascii(bytes)? {
            return Ok(text);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Obj::str(text)?),
            Err(_) => Ok(Obj::bytes(bytes)?),
        }
    }
}

/// A field of a struct.
pub(super) fn field<'a>(term: Term<'a>, key: rustler::Atom) -> ConvertResult<Term<'a>> {
    term.map_get(key).map_err(|_| ConvertError::value("struct with a missing field"))
}

/// The step of a path to a key: `.name` for a plain name, `[key]` otherwise.
fn key_step(key: Term<'_>, dialect: Dialect) -> String {
    let text = if key.is_atom() { Some(atoms::text_of(key)) } else { key.decode::<String>().ok() };
    match text {
        Some(text) if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_') => format!(".{text}"),
        _ => key_text(&shown(key, dialect)),
    }
}

/// Appends the objects of a list of positional arguments.
pub fn arguments(converter: &mut Converter<'_>, list: Term<'_>, into: &mut Vec<Obj>) -> ConvertResult<()> {
    let mut rest = list;
    while let Some((item, tail)) = immediate::cell(rest) {
        let index = into.len();
        into.push(converter.to_python(item, 1).map_err(|error| error.at(|| format!("args[{index}]")))?);
        rest = tail;
    }
    if rest.is_empty_list() { Ok(()) } else { Err(ConvertError::value("arguments must be a list")) }
}

/// Appends the values of keyword arguments and returns their names, a tuple. `None` if there are none. `term` is a map
/// or a list of pairs, whose keys are atoms or text.
pub fn keywords(converter: &mut Converter<'_>, term: Term<'_>, values: &mut Vec<Obj>) -> ConvertResult<Option<Obj>> {
    let pairs: Vec<(Term, Term)> = match MapIterator::new(term) {
        Some(pairs) => pairs.collect(),
        None => term.decode().map_err(|_| ConvertError::value("kwargs must be a map or a keyword list"))?,
    };
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut names = Vec::with_capacity(pairs.len());
    // SAFETY: attached; null makes an empty set.
    let seen = unsafe { Obj::checked(ffi::PySet_New(std::ptr::null_mut()))? };
    let dialect = converter.dialect;
    for (key, value) in pairs {
        let at = || format!("kwargs{}", key_step(key, dialect));
        let name = converter.key(key, 1).map_err(|error| error.at(at))?;
        // SAFETY: attached; a live object.
        if unsafe { ffi::PyUnicode_Check(name.as_ptr()) } == 0 {
            return Err(ConvertError::value("names of keyword arguments must be atoms or text").at(at));
        }
        // SAFETY: attached; a set and a str.
        let distinct = unsafe {
            if ffi::PySet_Add(seen.as_ptr(), name.as_ptr()) < 0 {
                return Err(failed());
            }
            ffi::PySet_Size(seen.as_ptr()) as usize
        };
        if distinct == names.len() {
            return Err(ConvertError::value("another keyword argument has the same name").at(at));
        }
        names.push(name);
        values.push(converter.to_python(value, 1).map_err(|error| error.at(at))?);
    }
    Obj::tuple(names).map(Some).map_err(|_| failed())
}
