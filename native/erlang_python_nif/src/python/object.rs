//! Owned references to Python objects, usable only on the thread of the context they belong to.
//!
//! pyo3's `Py<T>` and `Bound<T>` are not used: their caches and their list of deferred drops are global to the process,
//! which is wrong for interpreters with a GIL of their own. Only pyo3's declarations, `pyo3::ffi`, are used.
//!
//! # The invariant of this file
//!
//! An `Obj` is used only by the thread that made it, and only while that thread is attached to the object's
//! interpreter. The types enforce this: `Obj` is neither `Send` nor `Sync`, and `detach`, which releases the
//! interpreter, takes a closure that must be `Send` and so cannot capture an `Obj`. Every `unsafe` block below calls
//! functions of the stable ABI with live pointers under this invariant. Further conditions are stated at the block.

use std::marker::PhantomData;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};

use pyo3::ffi;

use super::symbols::symbols;

/// The minimum length of text that is checked and copied in one pass, in bytes. Shorter text takes fewer calls with
/// `str`.
const LONG_TEXT: usize = 128;

/// The size of the blocks of such text, in bytes. A block and its copy fit into the first-level cache.
const BLOCK: usize = 8192;

/// A strong reference to a Python object.
pub struct Obj(NonNull<ffi::PyObject>, PhantomData<*mut ()>);

static_assertions::assert_not_impl_any!(Obj: Send, Sync);

/// A Python exception as a value: fetched from the interpreter and normalized.
pub struct Raised(pub Obj);

/// The result of an operation that may raise.
pub type PyResult<T> = Result<T, Raised>;

impl Drop for Obj {
    fn drop(&mut self) {
        // SAFETY: this value owns one reference. The exported function, unlike the macro of an old stable ABI, respects
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
    // SAFETY: the file's invariant. The fetch makes this call the owner of the three references, and normalizing makes
    // `value` an instance of its class.
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

/// The exception for C code that reported a failure without setting one: a SystemError, as in CPython.
#[cold]
fn missing_exception() -> Obj {
    // SAFETY: the file's invariant. Creating a SystemError from a constant fails only when memory is out. Then a
    // MemoryError is pending, which `raised` fetches.
    unsafe {
        ffi::PyErr_SetString(ffi::PyExc_SystemError, c"error return without exception set".as_ptr());
        raised().0
    }
}

impl Obj {
    /// Takes over a reference. `None` for null.
    ///
    /// # Safety
    /// `ptr` is null or a reference owned by the caller, who gives it up.
    pub unsafe fn from_owned(ptr: *mut ffi::PyObject) -> Option<Obj> {
        NonNull::new(ptr).map(|ptr| Obj(ptr, PhantomData))
    }

    /// Takes over a reference. Null means that an exception is pending, which is fetched.
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

    /// Makes a strong reference from a borrowed one.
    ///
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

    /// The object, borrowed.
    #[inline]
    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Hands the reference to the caller.
    #[inline]
    pub fn into_ptr(self) -> *mut ffi::PyObject {
        let ptr = self.as_ptr();
        std::mem::forget(self);
        ptr
    }

    /// The type of the object, borrowed.
    pub fn type_ptr(&self) -> *mut ffi::PyTypeObject {
        // SAFETY: the file's invariant.
        unsafe { ffi::Py_TYPE(self.as_ptr()) }
    }

    /// `None`.
    pub fn none() -> Obj {
        // SAFETY: `None` lives at least as long as its interpreter.
        unsafe { Obj::borrowed(ffi::Py_None()) }
    }

    /// `True` or `False`.
    pub fn bool(value: bool) -> Obj {
        // SAFETY: as for `none`.
        unsafe { Obj::borrowed(if value { ffi::Py_True() } else { ffi::Py_False() }) }
    }

    /// An int.
    pub fn int(value: i64) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyLong_FromLongLong(value)) }
    }

    /// An int from an unsigned number.
    pub fn uint(value: u64) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyLong_FromUnsignedLongLong(value)) }
    }

    /// A float.
    pub fn float(value: f64) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyFloat_FromDouble(value)) }
    }

    /// A str.
    pub fn str(text: &str) -> PyResult<Obj> {
        // SAFETY: pointer and length describe `text`.
        unsafe { Obj::checked(ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize)) }
    }

    /// A str, if the text is ASCII. Long text is checked while it is copied, in one pass over its memory. `str` takes
    /// two.
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
        // SAFETY: a new str with room for the text, which no other code has seen, so it may be written. The UTF-8 form
        // of an ASCII str is its own data, and finding it does not read the data.
        unsafe {
            let object = Obj::checked(new(text.len() as isize, 127))?;
            let data = ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), ptr::null_mut());
            if data.is_null() {
                return Err(raised());
            }
            // The str is dropped if the text turns out not to be ASCII.
            Ok(copy_ascii(text, data.cast_mut().cast()).then_some(object))
        }
    }

    /// A bytes object.
    pub fn bytes(bytes: &[u8]) -> PyResult<Obj> {
        // SAFETY: pointer and length describe `bytes`.
        unsafe { Obj::checked(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize)) }
    }

    /// An empty dict.
    pub fn dict() -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyDict_New()) }
    }

    /// A tuple.
    pub fn tuple(items: Vec<Obj>) -> PyResult<Obj> {
        // SAFETY: a new tuple of this size. `PyTuple_SetItem` takes over each reference, and the indices are in range.
        unsafe {
            let tuple = Obj::checked(ffi::PyTuple_New(items.len() as isize))?;
            for (index, item) in items.into_iter().enumerate() {
                ffi::PyTuple_SetItem(tuple.as_ptr(), index as isize, item.into_ptr());
            }
            Ok(tuple)
        }
    }

    /// The attribute `name`, which is a str.
    pub fn getattr(&self, name: &Obj) -> PyResult<Obj> {
        // SAFETY: the file's invariant.
        unsafe { Obj::checked(ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    /// The attribute `name`.
    pub fn attr(&self, name: &str) -> PyResult<Obj> {
        self.getattr(&Obj::str(name)?)
    }

    /// `self[key]` of a dict. `None` if the key is missing.
    pub fn dict_get(&self, key: &Obj) -> PyResult<Option<Obj>> {
        // SAFETY: `self` is a dict. The result is borrowed, and made strong at once.
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

    /// `self[key] = value` of a dict.
    pub fn dict_set(&self, key: &Obj, value: &Obj) -> PyResult<()> {
        // SAFETY: `self` is a dict.
        status(unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// `del self[key]` of a dict.
    pub fn dict_del(&self, key: &Obj) -> PyResult<()> {
        // SAFETY: `self` is a dict.
        status(unsafe { ffi::PyDict_DelItem(self.as_ptr(), key.as_ptr()) })
    }

    /// A copy of a dict.
    pub fn dict_copy(&self) -> PyResult<Obj> {
        // SAFETY: `self` is a dict.
        unsafe { Obj::checked(ffi::PyDict_Copy(self.as_ptr())) }
    }

    /// `self.update(other)` of a dict.
    pub fn dict_update(&self, other: &Obj) -> PyResult<()> {
        // SAFETY: `self` is a dict.
        status(unsafe { ffi::PyDict_Update(self.as_ptr(), other.as_ptr()) })
    }

    /// Calls with positional arguments.
    pub fn call(&self, args: &[&Obj]) -> PyResult<Obj> {
        let pointers: Vec<_> = args.iter().map(|arg| arg.as_ptr()).collect();
        self.vectorcall(&pointers, pointers.len(), None)
    }

    /// Calls with `positional` positional arguments. The arguments after them are the values of the names in `kwnames`,
    /// a tuple.
    #[inline]
    pub fn vectorcall(&self, args: &[*mut ffi::PyObject], positional: usize, kwnames: Option<&Obj>) -> PyResult<Obj> {
        debug_assert!(positional <= args.len());
        // SAFETY: `args` holds references that stay live during the call. `kwnames` is null or a tuple of str, with one
        // value for each name.
        unsafe {
            Obj::checked((symbols().vectorcall)(
                self.as_ptr(),
                args.as_ptr(),
                positional,
                kwnames.map_or(ptr::null_mut(), Obj::as_ptr),
            ))
        }
    }

    /// The text of a str. An error if it has lone surrogates.
    pub fn as_utf8(&self) -> PyResult<&str> {
        let mut len = 0;
        // SAFETY: the object caches the text, which lives as long as the object. CPython guarantees valid UTF-8.
        unsafe {
            let text = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &mut len);
            if text.is_null() {
                return Err(raised());
            }
            let bytes = std::slice::from_raw_parts(text.cast::<u8>(), len as usize);
            Ok(std::str::from_utf8_unchecked(bytes))
        }
    }

    /// The content of `bytes`, or of an instance of a subclass.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the file's invariant.
        debug_assert!(unsafe { ffi::PyBytes_Check(self.as_ptr()) } != 0);
        // SAFETY: `self` is bytes. Their content is immutable and lives as long as the object.
        unsafe {
            let data = ffi::PyBytes_AsString(self.as_ptr());
            std::slice::from_raw_parts(data.cast(), ffi::PyBytes_Size(self.as_ptr()) as usize)
        }
    }

    /// The value of an int. An error if it has more than 64 bits.
    pub fn as_i64(&self) -> PyResult<i64> {
        // SAFETY: the file's invariant. -1 means an error only if an exception is pending.
        unsafe {
            let value = ffi::PyLong_AsLongLong(self.as_ptr());
            if value == -1 && !ffi::PyErr_Occurred().is_null() { Err(raised()) } else { Ok(value) }
        }
    }

    /// Returns `true` for `None`.
    pub fn is_none(&self) -> bool {
        // SAFETY: the file's invariant.
        self.as_ptr() == unsafe { ffi::Py_None() }
    }

    /// The items of a tuple, or of an instance of a subclass.
    pub fn tuple_items(&self) -> Vec<Obj> {
        // SAFETY: `self` is a tuple, and the indices are in range. The items are borrowed, and made strong at once.
        unsafe {
            let size = ffi::PyTuple_Size(self.as_ptr());
            (0..size).map(|index| Obj::borrowed(ffi::PyTuple_GetItem(self.as_ptr(), index))).collect()
        }
    }
}

impl Raised {
    /// `class: text`, without the Python package.
    pub fn summary(&self) -> String {
        // SAFETY: attached.
        let text = unsafe { Obj::checked(ffi::PyObject_Str(self.0.as_ptr())) };
        // SAFETY: attached; the type of a live object is live.
        let class = unsafe { Obj::borrowed(self.0.type_ptr().cast()) }.attr("__name__");
        let part = |object: PyResult<Obj>| match object.as_ref().map(Obj::as_utf8) {
            Ok(Ok(text)) => text.to_owned(),
            _ => "?".to_owned(),
        };
        format!("{}: {}", part(class), part(text))
    }

    /// A new exception of a built-in class.
    ///
    /// # Safety
    /// `class` is one of the `PyExc_*` statics.
    pub unsafe fn new(class: *mut ffi::PyObject, message: &str) -> Raised {
        match Obj::str(message) {
            // SAFETY: the caller promises the class; the message is live.
            Ok(message) => unsafe {
                ffi::PyErr_SetObject(class, message.as_ptr());
                raised()
            },
            Err(raised) => raised,
        }
    }

    /// Returns `true` if this is an instance of `class`.
    ///
    /// # Safety
    /// `class` is a live exception class.
    pub unsafe fn is(&self, class: *mut ffi::PyObject) -> bool {
        // SAFETY: promised by the caller.
        unsafe { ffi::PyErr_GivenExceptionMatches(self.0.as_ptr(), class) != 0 }
    }
}

/// The result of a function that returns a negative number on error.
pub fn status(code: c_int) -> PyResult<()> {
    if code < 0 { Err(raised()) } else { Ok(()) }
}

/// Imports a module by its dotted name and returns that module, not its topmost package. Waits for a thread that is
/// importing it, as `import` does.
pub fn import(name: &Obj) -> PyResult<Obj> {
    if let Some(module) = imported(name)? {
        return Ok(module);
    }
    // SAFETY: the file's invariant; `name` is a str.
    drop(unsafe { Obj::checked(ffi::PyImport_Import(name.as_ptr())) }?);
    imported(name)?.ok_or_else(|| {
        // SAFETY: a static class.
        unsafe { Raised::new(ffi::PyExc_ImportError, "the module vanished from sys.modules while it was imported") }
    })
}

/// A module of `sys.modules`, once its import is complete.
fn imported(name: &Obj) -> PyResult<Option<Obj>> {
    // SAFETY: the file's invariant; `name` is a str. The result is owned. Null is an error only if an exception is pending.
    unsafe {
        match Obj::from_owned(ffi::PyImport_GetModule(name.as_ptr())) {
            None if !ffi::PyErr_Occurred().is_null() => Err(raised()),
            module => Ok(module.filter(|module| !module.is_none())),
        }
    }
}

/// Copies `text` to `data`, until a block is not ASCII. Returns `true` if all of it is ASCII.
///
/// # Safety
/// `data` has room for `text`.
unsafe fn copy_ascii(text: &[u8], mut data: *mut u8) -> bool {
    text.chunks(BLOCK).all(|block| {
        // SAFETY: promised by the caller. The blocks together are as long as `text`.
        unsafe {
            ptr::copy_nonoverlapping(block.as_ptr(), data, block.len());
            data = data.add(block.len());
        }
        block.is_ascii()
    })
}
