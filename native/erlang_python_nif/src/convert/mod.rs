//! Terms to Python objects and back. Knows nothing of requests.

// `to_python` and `to_term` are what everybody calls them; the converter counts its steps, hence `&mut`.
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
use crate::python::object::{Raised, raised};
use crate::python::objects::Home;

/// How deep nested data may be.
pub const MAX_DEPTH: usize = 512;

/// The context that values are converted for.
pub trait Owner {
    /// Where it keeps the objects that Elixir has handles of.
    fn home(&self) -> &Arc<Home>;
    /// What a handle says of its context.
    fn term<'a>(&self, env: Env<'a>) -> Term<'a>;
}

/// Where and how a conversion takes place.
pub struct Converter<'c> {
    pub types: &'c Types,
    pub owner: &'c dyn Owner,
    /// The Erlang dialect (`COMPAT.md`) instead of the Elixir one (`API.md`).
    pub erlang: bool,
    /// Asked now and then: is the result still wanted?
    pub abandoned: &'c dyn Fn() -> bool,
    /// Elements converted so far; paces `abandoned`.
    pub steps: u32,
    /// How much was converted to terms: one for each, more for long or precious ones.
    pub size: usize,
    /// There are long binaries among the terms: copies of them share their memory.
    pub shared: bool,
    /// How much memory the terms may take yet, in words: see `set_max_bytes`.
    pub room: usize,
}

/// How much memory the terms of one conversion may take, roughly, in bytes.
static MAX_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Bounds what one value of Python becomes. Terms share nothing: a list in which one object stands a million times has a
/// million terms, and a few lists that contain each other twice would take all memory.
pub fn set_max_bytes(max: usize) {
    MAX_BYTES.store(max, Relaxed);
}

/// The same, in words.
pub fn max_words() -> usize {
    MAX_BYTES.load(Relaxed) / size_of::<usize>()
}

/// Longer binaries cost nothing to copy, but keep much alive, in bytes. (All of more than 64 are shared.)
const LONG_BINARY: usize = 2 << 10;
/// Counts as much as one small term, in bytes.
const VERY_LONG: usize = 64 << 10;

/// Counted for a term that keeps something else alive.
pub const PRECIOUS: usize = 1 << 20;

pub enum ConvertError {
    /// This value has no counterpart. `path` leads to it, innermost step first.
    Value { message: String, path: Vec<String> },
    /// A struct that only `Py.Encoder` knows: encode the arguments and submit again.
    NeedsEncoder,
    /// A handle of another interpreter, or of one that has ended.
    WrongInterpreter,
    /// Python raised.
    Raised(Raised),
    /// Nobody wants the result any more.
    Abandoned,
}

pub type ConvertResult<T> = Result<T, ConvertError>;

impl From<Raised> for ConvertError {
    fn from(raised: Raised) -> Self {
        ConvertError::Raised(raised)
    }
}

impl ConvertError {
    pub fn value(message: impl Into<String>) -> Self {
        ConvertError::Value { message: message.into(), path: Vec::new() }
    }

    /// Adds the step that leads to the value from one level further out.
    pub fn at(mut self, step: impl FnOnce() -> String) -> Self {
        if let ConvertError::Value { path, .. } = &mut self {
            path.push(step());
        }
        self
    }
}

/// Steps of a longer path are left out in its middle: cyclic data would fill pages.
const MAX_STEPS: usize = 32;

/// The path as users read it: `args[0].users[3]`.
pub fn path_text(path: &[String]) -> String {
    let join = |steps: &[String]| steps.iter().rev().map(String::as_str).collect::<String>();
    let text = match path.len() {
        0..=MAX_STEPS => join(path),
        len => format!("{}…{}", join(&path[len - MAX_STEPS / 2..]), join(&path[..MAX_STEPS / 2])),
    };
    text.strip_prefix('.').map(str::to_owned).unwrap_or(text)
}

/// Longer keys are cut in a path, in characters.
const MAX_KEY: usize = 64;

/// One step of a path that is no plain name: `[key]`.
fn key_text(text: &str) -> String {
    match text.char_indices().nth(MAX_KEY) {
        Some((end, _)) => format!("[{}…]", &text[..end]),
        None => format!("[{text}]"),
    }
}

impl Converter<'_> {
    /// Python refused a value (unhashable, out of range, …): that is the value's fault, anything else is passed on.
    fn refused(&self, raised: Raised) -> ConvertError {
        // SAFETY: attached; the classes are static.
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

    /// The terms take so many words more.
    #[inline(always)]
    fn take(&mut self, words: usize) -> ConvertResult<()> {
        let (room, over) = self.room.overflowing_sub(words);
        self.room = room;
        if over { Err(too_large()) } else { Ok(()) }
    }

    /// Called at every level and element of nested data.
    #[inline]
    fn step(&mut self, depth: usize) -> ConvertResult<()> {
        if depth > MAX_DEPTH {
            return Err(ConvertError::value(format!("nested deeper than {MAX_DEPTH} levels, or cyclic")));
        }
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(1 << 16) && (self.abandoned)() {
            return Err(ConvertError::Abandoned);
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

/// A pending Python exception as a conversion error.
#[cold]
fn failed() -> ConvertError {
    raised().into()
}

/// A struct as Elixir builds it: a map with these fields.
fn struct_term<'a>(env: Env<'a>, module: rustler::Atom, fields: &[(rustler::Atom, Term<'a>)]) -> Term<'a> {
    let mut keys = vec![crate::beam::atoms::__struct__().to_term(env)];
    let mut values = vec![module.to_term(env)];
    for (key, value) in fields {
        keys.push(key.to_term(env));
        values.push(value.encode(env));
    }
    Term::map_from_term_arrays(env, &keys, &values).expect("field names differ")
}
