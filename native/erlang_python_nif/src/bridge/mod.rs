//! The native half of the Python package `erlang`: functions that Python code calls.
//!
//! They run on whatever thread Python calls them: a context's own, or one that Python code started.

pub mod callback;
mod messages;
pub mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use pyo3::ffi;
use rustler::Env;

use crate::beam::dialect::Dialect;
use crate::convert::{ConvertError, Converter, NEVER_COPY, max_words};
use crate::python::fork;
use crate::python::method::{self, Method};
use crate::python::object::{Obj, PyResult, Raised, raised};
use crate::request::running::Running;
use crate::runtime::caches::Caches;
use crate::runtime::context::ContextRef;
use crate::runtime::registry;
use crate::runtime::thread::{Runtime, with_runtime};

/// A native function: its positional arguments, borrowed for the call.
type Function = fn(&Call<'_>, &[Obj]) -> PyResult<Obj>;

/// The origin of a call.
pub struct Call<'c> {
    /// The context whose thread this is; `None` on threads that Python code started.
    pub runtime: Option<&'c Runtime>,
    context: &'c ContextRef,
    caches: &'c Caches,
    /// The request that runs on this thread.
    pub running: Option<&'c Running<'c>>,
    /// Values cross in the Erlang dialect.
    dialect: Dialect,
}

impl<'c> Call<'c> {
    /// The same call, with values in another dialect; `None` keeps it.
    pub fn in_dialect(&self, dialect: Option<Dialect>) -> Call<'c> {
        Call {
            runtime: self.runtime,
            context: self.context,
            caches: self.caches,
            running: self.running,
            dialect: dialect.unwrap_or(self.dialect),
        }
    }

    pub fn converter(&self) -> Converter<'_> {
        Converter {
            types: &self.caches.types,
            owner: self.context,
            dialect: self.dialect,
            cancelled: &|| false,
            steps: 0,
            size: 0,
            has_refc_binaries: false,
            room: max_words(),
        }
    }

    /// Converts an argument that goes to the BEAM.
    pub fn term<'a>(&self, object: &Obj, env: Env<'a>) -> PyResult<rustler::Term<'a>> {
        self.sized_term(object, env).map(|(term, _size)| term)
    }

    /// Like `term`; with `Converter::size`, which is large where binaries are shared.
    pub fn sized_term<'a>(&self, object: &Obj, env: Env<'a>) -> PyResult<(rustler::Term<'a>, usize)> {
        let mut converter = self.converter();
        let term = converter.to_term(object.clone(), env, 1).map_err(|error| self.raise(error))?;
        Ok((term, if converter.has_refc_binaries { NEVER_COPY } else { converter.size }))
    }

    /// Converts a value that comes from the BEAM.
    pub fn object(&self, term: rustler::Term<'_>) -> PyResult<Obj> {
        self.converter().to_python(term, 1).map_err(|error| self.raise(error))
    }

    /// A conversion error as Python's TypeError.
    fn raise(&self, error: ConvertError) -> Raised {
        let text = match error {
            ConvertError::Raised(raised) => return raised,
            ConvertError::Value { message, path } => match crate::convert::path_text(&path) {
                path if path.is_empty() => message,
                path => format!("{path}: {message}"),
            },
            ConvertError::NeedsEncoder => "a struct without a Python counterpart".to_owned(),
            ConvertError::WrongInterpreter => "an object of another interpreter".to_owned(),
            ConvertError::Cancelled => "cancelled".to_owned(),
        };
        // SAFETY: attached; a static class.
        unsafe { Raised::new(ffi::PyExc_TypeError, &text) }
    }

    /// A class of the package, instantiated to be raised.
    pub fn exception(&self, class: &Obj, args: &[&Obj]) -> Raised {
        match class.call(args) {
            Ok(exception) => Raised(exception),
            Err(raised) => raised,
        }
    }
}

macro_rules! functions {
    ($($name:literal => $function:path),+ $(,)?) => {
        [$(({
            unsafe extern "C" fn entry(
                _module: *mut ffi::PyObject,
                args: *mut *mut ffi::PyObject,
                count: ffi::Py_ssize_t,
            ) -> *mut ffi::PyObject {
                // SAFETY: called by Python with `count` live arguments, attached.
                unsafe { enter($function, args, count) }
            }
            Method::new($name, entry)
        })),+]
    };
}

static FUNCTIONS: [Method; 16] = functions![
    c"call" => callback::call,
    c"is_registered" => callback::is_registered,
    c"send" => messages::send,
    c"whereis" => messages::whereis,
    c"self" => messages::own_pid,
    c"state_get" => state::get,
    c"state_set" => state::set,
    c"state_delete" => state::delete,
    c"state_keys" => state::keys,
    c"state_clear" => state::clear,
    c"state_incr" => state::incr,
    c"state_decr" => state::decr,
    c"state_len" => state::len,
    c"namespace" => namespace,
    c"fork_begin" => fork_begin,
    c"fork_end" => fork_end,
];

/// Puts the functions into the module `erlang._native` of the interpreter this thread is attached to.
pub fn install() -> PyResult<()> {
    // SAFETY: attached; borrowed from sys.modules and made strong.
    let module = unsafe {
        let module = ffi::PyImport_AddModule(c"erlang._native".as_ptr());
        if module.is_null() {
            return Err(raised());
        }
        Obj::borrowed(module)
    };
    FUNCTIONS.iter().try_for_each(|method| method.install(&module))
}

/// # Safety
/// Called by Python: attached, with `count` live arguments.
unsafe fn enter(function: Function, args: *mut *mut ffi::PyObject, count: ffi::Py_ssize_t) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller.
    let args = unsafe { method::arguments(args, count) };
    // A panic must not unwind through Python's frames.
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(function, &args)));
    let raised = match result {
        Ok(Ok(object)) => return object.into_ptr(),
        Ok(Err(raised)) => raised,
        // SAFETY: attached; a static class.
        Err(_) => unsafe { Raised::new(ffi::PyExc_SystemError, "erlang_python panicked; please report this") },
    };
    // SAFETY: attached; an exception instance and its class; SetObject takes its own references.
    unsafe { ffi::PyErr_SetObject(raised.0.type_ptr().cast(), raised.0.as_ptr()) };
    std::ptr::null_mut()
}

fn dispatch(function: Function, args: &[Obj]) -> PyResult<Obj> {
    if fork::is_child() {
        // SAFETY: attached; a static class.
        return Err(unsafe { Raised::new(ffi::PyExc_RuntimeError, IN_CHILD) });
    }
    let on_context = with_runtime(|runtime| {
        let running = runtime.running();
        let dialect = running.map_or(Dialect::Elixir, |running| running.request().flags.dialect());
        let call =
            Call { runtime: Some(runtime), context: &runtime.context, caches: runtime.caches(), running, dialect };
        function(&call, args)
    });
    match on_context {
        Some(result) => result,
        None => on_other_thread(function, args),
    }
}

const IN_CHILD: &str = "this process was forked from the BEAM, which cannot be reached from here: no function of the module \
                        erlang works. Return the result by a pipe or a queue, or call erlang in the parent";

/// The namespace of the request that runs on this thread, or None.
fn namespace(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("namespace", args, 0..=0)?;
    match (call.runtime, call.running) {
        (Some(runtime), Some(running)) => runtime.namespace(running),
        _ => Ok(Obj::none()),
    }
}

/// Before a fork: see `python::fork`.
fn fork_begin(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("fork_begin", args, 0..=0)?;
    fork::begin()?;
    Ok(Obj::none())
}

/// After a fork, in the parent.
fn fork_end(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("fork_end", args, 0..=0)?;
    fork::end();
    Ok(Obj::none())
}

/// Such threads have no caches of their own: what they need is made for the call.
fn on_other_thread(function: Function, args: &[Obj]) -> PyResult<Obj> {
    // SAFETY: attached; called by Python.
    let context = registry::of_interpreter(unsafe { ffi::PyInterpreterState_Get() });
    let Some(context) = context.filter(|context| !context.0.interp.ended.load(SeqCst)) else {
        // SAFETY: attached; a static class.
        return Err(unsafe {
            Raised::new(ffi::PyExc_RuntimeError, "no context of this interpreter is running any more")
        });
    };
    let caches = Caches::bare(&context.0.settings)?;
    function(&Call { runtime: None, context: &context, caches: &caches, running: None, dialect: Dialect::Elixir }, args)
}

/// Raises TypeError unless there are `allowed` arguments.
pub fn expect_args(name: &str, args: &[Obj], allowed: std::ops::RangeInclusive<usize>) -> PyResult<()> {
    if allowed.contains(&args.len()) {
        return Ok(());
    }
    let text = format!("erlang.{name} takes {} to {} arguments, got {}", allowed.start(), allowed.end(), args.len());
    // SAFETY: attached; a static class.
    Err(unsafe { Raised::new(ffi::PyExc_TypeError, &text) })
}
