//! The reasons that a request fails for, and their terms.

use pyo3::ffi;
use rustler::{Encoder, Env, Term};

use super::caches::Helpers;
use crate::beam::atoms;
use crate::beam::dialect::Dialect;
use crate::convert::{ConvertError, Converter, max_words, path_text};
use crate::python::object::{Obj, Raised};

pub enum Failure {
    Raised(Raised),
    Conversion {
        message: String,
        path: String,
    },
    NeedsEncoder,
    WrongInterpreter,
    /// The request was cancelled while it ran; nobody will read this.
    Cancelled,
    /// The BEAM side built a request this library does not know: a bug.
    BadRequest,
}

impl From<Raised> for Failure {
    fn from(raised: Raised) -> Self {
        Failure::Raised(raised)
    }
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Value { message, path } => Failure::Conversion { message, path: path_text(&path) },
            ConvertError::NeedsEncoder => Failure::NeedsEncoder,
            ConvertError::WrongInterpreter => Failure::WrongInterpreter,
            ConvertError::Raised(raised) => Failure::Raised(raised),
            ConvertError::Cancelled => Failure::Cancelled,
        }
    }
}

impl Failure {
    /// The reason of `{error, reason}`. `interrupted` says that a KeyboardInterrupt is ours, `traceback` that the Erlang dialect
    /// gets one too.
    pub fn into_term<'a>(
        self,
        helpers: &Helpers,
        converter: &mut Converter<'_>,
        env: Env<'a>,
        interrupted: bool,
        traceback: bool,
    ) -> Term<'a> {
        match self {
            // SAFETY: attached; a static class.
            Failure::Raised(raised) if interrupted && unsafe { raised.is(ffi::PyExc_KeyboardInterrupt) } => {
                atoms::interrupted().to_term(env)
            }
            Failure::Raised(raised) => match exception(&raised, helpers, converter, env, traceback) {
                Some(term) => (atoms::exception(), term).encode(env),
                None if interrupted => atoms::interrupted().to_term(env),
                None => (atoms::exception(), fallback(&raised, converter.dialect, env)).encode(env),
            },
            Failure::Conversion { message, path } => (atoms::conversion(), message, path).encode(env),
            Failure::NeedsEncoder => atoms::encode().to_term(env),
            Failure::WrongInterpreter => atoms::wrong_interpreter().to_term(env),
            Failure::Cancelled => atoms::cancelled().to_term(env),
            Failure::BadRequest => atoms::bad_request().to_term(env),
        }
    }
}

/// Elixir: `{description, handle}`, Erlang: `{class, text, {file, line} | nil}`, and the traceback. `None` when describing it
/// fails, as it may when memory or the recursion limit has run out.
fn exception<'a>(
    raised: &Raised,
    helpers: &Helpers,
    converter: &mut Converter<'_>,
    env: Env<'a>,
    traceback: bool,
) -> Option<Term<'a>> {
    if converter.dialect.is_erlang() {
        let brief = converter.types.describe_briefly.call(&[&raised.0]).ok()?;
        let traceback = if traceback { helpers.format_traceback.call(&[&raised.0]).ok() } else { None };
        return to_erlang(&brief, traceback, env);
    }
    let described = helpers.describe.call(&[&raised.0]).ok()?;
    helpers.forget_frames.call(&[&raised.0]).ok()?;
    // It is independent of a result that was begun.
    converter.room = max_words();
    let description = converter.to_term(described, env, 0).ok()?;
    let handle = converter.handle_term(raised.0.clone(), env).ok()?;
    Some((description, handle).encode(env))
}

fn to_erlang<'a>(brief: &Obj, traceback: Option<Obj>, env: Env<'a>) -> Option<Term<'a>> {
    let parts = brief.tuple_items();
    let [class, text, location] = &parts[..] else { return None };
    let class = class.as_utf8().ok()?;
    let class = atoms::from_text(env, class).unwrap_or_else(|| class.encode(env));
    let text: Vec<u32> = text.as_utf8().ok()?.chars().map(u32::from).collect();
    let location = to_location(location, env);
    match traceback.as_ref().map(Obj::as_utf8) {
        Some(Ok(traceback)) => Some((class, text, location, traceback).encode(env)),
        _ => Some((class, text, location).encode(env)),
    }
}

/// `{file, line}` of a tuple, `nil` of None.
fn to_location<'a>(location: &Obj, env: Env<'a>) -> Term<'a> {
    let nothing = atoms::nil().to_term(env);
    // SAFETY: attached; a live object.
    if unsafe { ffi::PyTuple_Check(location.as_ptr()) } == 0 {
        return nothing;
    }
    let parts = location.tuple_items();
    let [file, line] = &parts[..] else { return nothing };
    // SAFETY: attached; `line` is an int, see `_location` in _errors.py.
    let line = unsafe { ffi::PyLong_AsLongLong(line.as_ptr()) };
    file.as_utf8().map_or(nothing, |file| (file, line).encode(env))
}

/// Returns the name of the class, which needs no Python code.
fn fallback<'a>(raised: &Raised, dialect: Dialect, env: Env<'a>) -> Term<'a> {
    // SAFETY: attached; the type of a live object.
    let class = unsafe { Obj::borrowed(raised.0.type_ptr().cast()) };
    let name = class.attr("__name__").ok();
    let name = name.as_ref().and_then(|name| name.as_utf8().ok()).unwrap_or("Exception");
    if dialect.is_erlang() {
        let class = atoms::from_text(env, name).unwrap_or_else(|| name.encode(env));
        (class, Vec::<u32>::new(), atoms::nil()).encode(env)
    } else {
        name.encode(env)
    }
}
