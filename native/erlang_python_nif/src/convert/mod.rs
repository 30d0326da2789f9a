//! Converts terms to Python objects and back. Knows nothing of requests.

// `to_python` and `to_term` take `&mut self`, because the converter counts its steps.
#![allow(clippy::wrong_self_convention)]

mod bigint;
pub mod handle;
pub mod kind;
mod shown;
mod structs;
pub mod to_python;
pub mod to_term;
pub mod types;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pyo3::ffi;
use rustler::{Encoder, Env, Term};

use self::types::Types;
use crate::beam::dialect::Dialect;
use crate::python::object::{Raised, raised};
use crate::python::objects::Home;

/// The maximum depth of nested data.
pub const MAX_DEPTH: usize = 512;

/// The context that values are converted for.
pub trait Owner {
    /// The place where the objects of its handles are released.
    fn home(&self) -> &Arc<Home>;
    /// The context, as handles name it.
    fn term<'a>(&self, env: Env<'a>) -> Term<'a>;
}

/// Converts the values of one request.
pub struct Converter<'c> {
    /// The classes and functions of the interpreter.
    pub types: &'c Types,
    /// The context.
    pub owner: &'c dyn Owner,
    /// Which terms values become, and which objects terms become.
    pub dialect: Dialect,
    /// Returns `true` if the result is no longer wanted. Called now and then.
    pub cancelled: &'c dyn Fn() -> bool,
    /// The number of elements converted so far. Paces `cancelled`.
    pub steps: u32,
    /// The size of the terms made: one for each, more for long ones, `NEVER_COPY` for those that keep something alive.
    pub size: usize,
    /// There are long binaries among the terms, which copies of the terms share.
    pub has_refc_binaries: bool,
    /// The memory that further terms may take, in words: see `set_max_bytes`.
    pub room: usize,
}

/// The approximate memory that the terms of one conversion may take, in bytes.
static MAX_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Bounds the size of the term of one Python value. Terms share nothing: a list with the same object a million times
/// becomes a million terms, and a few nested lists, each with the next one twice, would take all memory.
pub fn set_max_bytes(max: usize) {
    MAX_BYTES.store(max, Relaxed);
}

/// That bound, in words.
pub fn max_words() -> usize {
    MAX_BYTES.load(Relaxed) / size_of::<usize>()
}

/// The size above which a binary counts as long, in bytes. A copy of it costs nothing but keeps its memory alive. (The
/// BEAM shares all binaries of more than 64 bytes.)
const LONG_BINARY: usize = 2 << 10;
/// The number of bytes of a long binary that count as one small term.
const VERY_LONG: usize = 64 << 10;

/// The size counted for a term that keeps something else alive: such a term is never copied.
pub const NEVER_COPY: usize = 1 << 20;

/// Why a conversion failed.
pub enum ConvertError {
    /// A value has no counterpart. `path` leads to it, innermost step first.
    Value { message: String, path: Vec<String> },
    /// A struct needs `Py.Encoder`: the caller encodes the arguments and submits again.
    NeedsEncoder,
    /// A handle of another interpreter, or of one that has ended.
    WrongInterpreter,
    /// Python raised.
    Raised(Raised),
    /// The result is no longer wanted.
    Cancelled,
}

/// The result of a conversion.
pub type ConvertResult<T> = Result<T, ConvertError>;

impl From<Raised> for ConvertError {
    fn from(raised: Raised) -> Self {
        ConvertError::Raised(raised)
    }
}

impl ConvertError {
    /// A value without a counterpart.
    pub fn value(message: impl Into<String>) -> Self {
        ConvertError::Value { message: message.into(), path: Vec::new() }
    }

    /// Adds the step that leads to the value from the next level outwards.
    pub fn at(mut self, step: impl FnOnce() -> String) -> Self {
        if let ConvertError::Value { path, .. } = &mut self {
            path.push(step());
        }
        self
    }
}

/// The maximum number of steps shown of a path. A longer path, as of cyclic data, is cut in its middle.
const MAX_STEPS: usize = 32;

/// A path as users read it: `args[0].users[3]`.
pub fn path_text(path: &[String]) -> String {
    let join = |steps: &[String]| steps.iter().rev().map(String::as_str).collect::<String>();
    let text = match path.len() {
        0..=MAX_STEPS => join(path),
        len => format!("{}…{}", join(&path[len - MAX_STEPS / 2..]), join(&path[..MAX_STEPS / 2])),
    };
    text.strip_prefix('.').map(str::to_owned).unwrap_or(text)
}

/// The maximum length of a key in a path, in characters. A longer one is cut.
const MAX_KEY: usize = 64;

/// The step of a path to a key that is not a plain name: `[key]`.
fn key_text(text: &str) -> String {
    match text.char_indices().nth(MAX_KEY) {
        Some((end, _)) => format!("[{}…]", &text[..end]),
        None => format!("[{text}]"),
    }
}

impl Converter<'_> {
    /// The error for an exception raised while a value was converted. Some classes mean that the value was refused
    /// (unhashable, out of range, …). Any other exception is passed on.
    fn refused(&self, raised: Raised) -> ConvertError {
        // SAFETY: attached; static classes.
        let about_value = unsafe {
            [ffi::PyExc_TypeError, ffi::PyExc_ValueError, ffi::PyExc_OverflowError, ffi::PyExc_AttributeError]
                .into_iter()
                .any(|class| raised.is(class))
        };
        if !about_value {
            return raised.into();
        }
        let text = self.types.describe_briefly.call(&[&raised.0]).ok();
        let message = text.as_ref().and_then(|pair| pair.tuple_items().into_iter().nth(1));
        match message.as_ref().map(|message| message.as_utf8()) {
            Some(Ok(message)) => ConvertError::value(message),
            _ => ConvertError::value("Python refused the value"),
        }
    }

    /// Counts memory that the terms take.
    #[inline(always)]
    fn take(&mut self, words: usize) -> ConvertResult<()> {
        let (room, over) = self.room.overflowing_sub(words);
        self.room = room;
        if over { Err(too_large()) } else { Ok(()) }
    }

    /// Checks the depth, and now and then whether the result is still wanted. Called at every level of nested data.
    #[inline]
    fn step(&mut self, depth: usize) -> ConvertResult<()> {
        if depth > MAX_DEPTH {
            return Err(ConvertError::value(format!("nested deeper than {MAX_DEPTH} levels, or cyclic")));
        }
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(1 << 16) && (self.cancelled)() {
            return Err(ConvertError::Cancelled);
        }
        Ok(())
    }
}

#[cold]
fn too_large() -> ConvertError {
    ConvertError::value(format!(
        "the value would take more than {} bytes as a term (an object that stands in many places is copied to each): keep it \
         in Python and return a handle, return a part of it, or raise max_value_size in the configuration",
        MAX_BYTES.load(Relaxed)
    ))
}

/// The pending Python exception as a conversion error.
#[cold]
fn failed() -> ConvertError {
    raised().into()
}

/// An Elixir struct with these fields.
fn struct_term<'a>(env: Env<'a>, module: rustler::Atom, fields: &[(rustler::Atom, Term<'a>)]) -> Term<'a> {
    let mut keys = vec![crate::beam::atoms::__struct__().to_term(env)];
    let mut values = vec![module.to_term(env)];
    for (key, value) in fields {
        keys.push(key.to_term(env));
        values.push(value.encode(env));
    }
    Term::map_from_term_arrays(env, &keys, &values).expect("field names differ")
}
