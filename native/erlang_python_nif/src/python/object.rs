//! Owned references to Python objects, usable only on the thread of the context they belong to.
//!
//! pyo3's own `Py<T>`/`Bound<T>` are not used: their caches and their deferred-decref pool are process-global,
//! which is wrong for interpreters that each have their own GIL. Only pyo3's declarations (`pyo3::ffi`) are.
//!
//! # The invariant of this file
//!
//! An `Obj` exists only on a context thread, was created there, and is touched only while that thread is attached
//! to its interpreter. The types see to it: `Obj` is neither `Send` nor `Sync`, and the only way to detach,
//! `Attached::detach`, takes a closure that must be `Send` and so cannot capture an `Obj`. Every `unsafe` block
//! below calls a stable-ABI function with live pointers under this invariant; what else one needs is said there.

use std::marker::PhantomData;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};

use pyo3::ffi;

use super::symbols::symbols;

/// Shorter text, in bytes, is not worth more than one call.
const LONG_TEXT: usize = 128;

/// Fits into the first-level cache, with its copy.
const BLOCK: usize = 8192;

/// A strong reference.
pub struct Obj(NonNull<ffi::PyObject>, PhantomData<*mut ()>);

static_assertions::assert_not_impl_any!(Obj: Send, Sync);

/// A Python exception is set as a value: fetched, normalized, no longer pending in the interpreter.
pub struct Raised(pub Obj);

pub type PyResult<T> = Result<T, Raised>;

impl Drop for Obj {
    fn drop(&mut self) {
        // SAFETY: we own one reference. The exported function, unlike the macro of an old stable ABI, knows about
        // immortal objects, which interpreters with separate GILs share.
        unsafe { ffi::Py_DecRef(self.0.as_ptr()) }
    }
}

impl Clone for Obj {
    fn clone(&self) -> Self {
        // SAFETY: the file's invariant.
        unsafe { Obj::borrowed(self.as_ptr()) }
    }
}

/// Fetches the pending exception.
#[cold]
pub fn raised() -> Raised {
    // SAFETY: the file's invariant; the three pointers are ours after the fetch, and normalizing makes `value`
    // an instance that carries its traceback.
    unsafe {
        let (mut kind, mut value, mut trace) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        ffi::PyErr_Fetch(&mut kind, &mut value, &mut trace);
        ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut trace);
        drop(Obj::from_owned(kind));
        let trace = Obj::from_owned(trace);
        match Obj::from_owned(value) {
            Some(value) => {
                if let Some(trace) = trace {
                    ffi::PyException_SetTraceback(value.as_ptr(), trace.as_ptr());
                }
                Raised(value)
            }
            None => Raised(missing_exception()),
        }
    }
}

/// C code reported failure without setting an exception: CPython calls that a SystemError.
#[cold]
fn missing_exception() -> Obj {
    // SAFETY: the file's invariant. Creating a SystemError from a constant can only fail when memory is out, and
    // then a MemoryError is pending and fetched by the next round.
    unsafe {
        ffi::PyErr_SetString(ffi::PyExc_SystemError, c"error return without exception set".as_ptr());
        raised().0
    }
}

impl Obj {
    /// # Safety
    /// `ptr` is null or a reference owned by the caller, who gives it up.
    pub unsafe fn from_owned(ptr: *mut ffi::PyObject) -> Option<Obj> {
        NonNull::new(ptr).map(|ptr| Obj(ptr, PhantomData))
    }

    /// Like `from_owned`; null means that an exception is pending.
    ///
    /// # Safety
    /// As for `from_owned`.
    #[inline]
    pub unsafe fn checked(ptr: *mut ffi::PyObject) -> PyResult<Obj> {
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Obj(ptr, PhantomData)),
            None => Err(raised()),
        }
    }

    /// # Safety
    /// `ptr` is a live, borrowed reference.
    #[inline]
    pub unsafe fn borrowed(ptr: *mut ffi::PyObject) -> Obj {
        // SAFETY: promised by the caller.
        unsafe {
            ffi::Py_IncRef(ptr);
            Obj(NonNull::new_unchecked(ptr), PhantomData)
        }
    }

    #[inline]
    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference up without decrementing.
    #[inline]
    pub fn into_ptr(self) -> *mut ffi::PyObject {
        let ptr = self.as_ptr();
        std::mem::forget(self);
        ptr
    }

    pub fn type_ptr(&self) -> *mut ffi::PyTypeObject {
        // SAFETY: the file's invariant.
        unsafe { ffi::Py_TYPE(self.as_ptr()) }
    }

    pub fn none() -> Obj {
        // SAFETY: None is immortal, or at least lives as long as its interpreter.
        unsafe { Obj::borrowed(ffi::Py_None()) }
    }

    pub fn bool(value: bool) -> Obj {
        // SAFETY: as for `none`.
        unsafe { Obj::borrowed(if value { ffi::Py_True() } else { ffi::Py_False() }) }
    }

    pub fn int(value: i64) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyLong_FromLongLong(value)) }
    }

    pub fn uint(value: u64) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyLong_FromUnsignedLongLong(value)) }
    }

    pub fn float(value: f64) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyFloat_FromDouble(value)) }
    }

    pub fn str(text: &str) -> PyResult<Obj> {
        // SAFETY: pointer and length describe `text`.
        unsafe { Obj::checked(ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize)) }
    }

    /// A str, if the text is ASCII. Long text is looked through while it is copied: in one pass over its memory, where
    /// `str` makes a second one.
    #[inline]
    pub fn ascii(text: &[u8]) -> PyResult<Option<Obj>> {
        let new = match symbols().unicode_new {
            Some(new) if text.len() >= LONG_TEXT => new,
            // SAFETY: ASCII is UTF-8.
            _ if text.is_ascii() => return Obj::str(unsafe { std::str::from_utf8_unchecked(text) }).map(Some),
            _ => return Ok(None),
        };
        if !text[..LONG_TEXT].is_ascii() {
            return Ok(None);
        }
        // SAFETY: a fresh str with room for the text, which nobody else has seen. The UTF-8 form of an ASCII str is its own
        // data, to be found without looking at it.
        unsafe {
            let object = Obj::checked(new(text.len() as isize, 127))?;
            let data = ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), ptr::null_mut());
            if data.is_null() {
                return Err(raised());
            }
            // What is not ASCII after all is dropped again.
            Ok(copy_ascii(text, data.cast_mut().cast()).then_some(object))
        }
    }

    pub fn bytes(bytes: &[u8]) -> PyResult<Obj> {
        // SAFETY: pointer and length describe `bytes`.
        unsafe { Obj::checked(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize)) }
    }

    pub fn dict() -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyDict_New()) }
    }

    pub fn tuple(items: Vec<Obj>) -> PyResult<Obj> {
        // SAFETY: a fresh tuple of that size; SetItem takes over each reference and the indices are in range.
        unsafe {
            let tuple = Obj::checked(ffi::PyTuple_New(items.len() as isize))?;
            for (index, item) in items.into_iter().enumerate() {
                ffi::PyTuple_SetItem(tuple.as_ptr(), index as isize, item.into_ptr());
            }
            Ok(tuple)
        }
    }

    pub fn getattr(&self, name: &Obj) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    pub fn attr(&self, name: &str) -> PyResult<Obj> {
        self.getattr(&Obj::str(name)?)
    }

    /// `self[key]` of an exact dict; `None` when the key is missing.
    pub fn dict_get(&self, key: &Obj) -> PyResult<Option<Obj>> {
        // SAFETY: `self` is a dict; the result is borrowed and made strong at once.
        unsafe {
            let value = ffi::PyDict_GetItemWithError(self.as_ptr(), key.as_ptr());
            if !value.is_null() {
                Ok(Some(Obj::borrowed(value)))
            } else if ffi::PyErr_Occurred().is_null() {
                Ok(None)
            } else {
                Err(raised())
            }
        }
    }

    pub fn dict_set(&self, key: &Obj, value: &Obj) -> PyResult<()> {
        // SAFETY: `self` is a dict.
        status(unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    pub fn dict_del(&self, key: &Obj) -> PyResult<()> {
        // SAFETY: `self` is a dict.
        status(unsafe { ffi::PyDict_DelItem(self.as_ptr(), key.as_ptr()) })
    }

    pub fn dict_copy(&self) -> PyResult<Obj> {
        // SAFETY: `self` is a dict.
        unsafe { Obj::checked(ffi::PyDict_Copy(self.as_ptr())) }
    }

    pub fn dict_update(&self, other: &Obj) -> PyResult<()> {
        // SAFETY: `self` is a dict.
        status(unsafe { ffi::PyDict_Update(self.as_ptr(), other.as_ptr()) })
    }

    pub fn call(&self, args: &[&Obj]) -> PyResult<Obj> {
        let pointers: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
        self.vectorcall(&pointers, pointers.len(), None)
    }

    /// Calls with `positional` leading positional arguments; the rest are the values of the names in `kwnames`.
    #[inline]
    pub fn vectorcall(&self, args: &[*mut ffi::PyObject], positional: usize, kwnames: Option<&Obj>) -> PyResult<Obj> {
        debug_assert!(positional <= args.len());
        // SAFETY: `args` holds live references for the whole call, `kwnames` is null or a tuple of str.
        unsafe {
            Obj::checked((symbols().vectorcall)(
                self.as_ptr(),
                args.as_ptr(),
                positional,
                kwnames.map_or(ptr::null_mut(), Obj::as_ptr),
            ))
        }
    }

    /// The UTF-8 text of a str; an error when it has lone surrogates.
    pub fn as_utf8(&self) -> PyResult<&str> {
        let mut len = 0;
        // SAFETY: the text is cached in the object and lives as long as it; CPython guarantees valid UTF-8.
        unsafe {
            let text = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &mut len);
            if text.is_null() {
                return Err(raised());
            }
            let bytes = std::slice::from_raw_parts(text.cast::<u8>(), len as usize);
            Ok(std::str::from_utf8_unchecked(bytes))
        }
    }

    /// The content of an exact or derived `bytes`.
    pub fn as_bytes(&self) -> &[u8] {
        debug_assert!(unsafe { ffi::PyBytes_Check(self.as_ptr()) } != 0);
        // SAFETY: `self` is bytes, which are immutable and live as long as the object.
        unsafe {
            let data = ffi::PyBytes_AsString(self.as_ptr());
            std::slice::from_raw_parts(data.cast(), ffi::PyBytes_Size(self.as_ptr()) as usize)
        }
    }

    pub fn as_i64(&self) -> PyResult<i64> {
        // SAFETY: the file's invariant; -1 is an error only with an exception pending.
        unsafe {
            let value = ffi::PyLong_AsLongLong(self.as_ptr());
            if value == -1 && !ffi::PyErr_Occurred().is_null() { Err(raised()) } else { Ok(value) }
        }
    }

    pub fn is_none(&self) -> bool {
        // SAFETY: the file's invariant.
        self.as_ptr() == unsafe { ffi::Py_None() }
    }

    /// Items of an exact or derived tuple, made strong.
    pub fn tuple_items(&self) -> Vec<Obj> {
        // SAFETY: `self` is a tuple, and the indices are in range; items are borrowed and made strong.
        unsafe {
            let size = ffi::PyTuple_Size(self.as_ptr());
            (0..size).map(|index| Obj::borrowed(ffi::PyTuple_GetItem(self.as_ptr(), index))).collect()
        }
    }
}

impl Raised {
    /// `class: text`, by functions of C alone.
    pub fn summary(&self) -> String {
        // SAFETY: attached.
        let text = unsafe { Obj::checked(ffi::PyObject_Str(self.0.as_ptr())) };
        // SAFETY: attached; the type of a live object.
        let class = unsafe { Obj::borrowed(self.0.type_ptr().cast()) }.attr("__name__");
        let part = |object: PyResult<Obj>| match object.as_ref().map(Obj::as_utf8) {
            Ok(Ok(text)) => text.to_owned(),
            _ => "?".to_owned(),
        };
        format!("{}: {}", part(class), part(text))
    }

    /// A fresh exception of a built-in class.
    ///
    /// # Safety
    /// `class` is one of the `PyExc_*` statics.
    pub unsafe fn new(class: *mut ffi::PyObject, message: &str) -> Raised {
        match Obj::str(message) {
            // SAFETY: the class comes from the caller, the message is live.
            Ok(message) => unsafe {
                ffi::PyErr_SetObject(class, message.as_ptr());
                raised()
            },
            Err(raised) => raised,
        }
    }

    /// # Safety
    /// `class` is a live exception class.
    pub unsafe fn is(&self, class: *mut ffi::PyObject) -> bool {
        // SAFETY: promised by the caller.
        unsafe { ffi::PyErr_GivenExceptionMatches(self.0.as_ptr(), class) != 0 }
    }
}

pub fn status(code: c_int) -> PyResult<()> {
    if code < 0 { Err(raised()) } else { Ok(()) }
}

/// Imports a module by its dotted name, returning that very module.
pub fn import(name: &Obj) -> PyResult<Obj> {
    // SAFETY: the file's invariant; `PyImport_GetModuleDict` is borrowed and lives with the interpreter.
    unsafe {
        let modules = Obj::borrowed(ffi::PyImport_GetModuleDict());
        if let Some(module) = modules.dict_get(name)?
            && !module.is_none()
        {
            return Ok(module);
        }
        drop(Obj::checked(ffi::PyImport_Import(name.as_ptr()))?);
        match modules.dict_get(name)? {
            Some(module) => Ok(module),
            None => {
                Err(Raised::new(ffi::PyExc_ImportError, "the module vanished from sys.modules while it was imported"))
            }
        }
    }
}

/// Copies `text` to `data` as far as it is ASCII: whether all of it is.
///
/// # Safety
/// There is room for it.
unsafe fn copy_ascii(text: &[u8], mut data: *mut u8) -> bool {
    text.chunks(BLOCK).all(|block| {
        // SAFETY: promised by the caller.
        unsafe {
            ptr::copy_nonoverlapping(block.as_ptr(), data, block.len());
            data = data.add(block.len());
        }
        block.is_ascii()
    })
}
