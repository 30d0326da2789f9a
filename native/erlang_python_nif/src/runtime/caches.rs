//! The caches of one context. All of them belong to its interpreter and its thread.

use std::time::Duration;

use pyo3::ffi;

use super::context::Settings;
use super::extensions;
use super::names::Names;
use crate::convert::types::Types;
use crate::python::code::{Codes, CompileMode, run_code};
use crate::python::host::host;
use crate::python::object::{Obj, PyResult, import};
use crate::python::{interpreter, package};

/// Functions of `priv/python/erlang`.
pub struct Helpers {
    pub describe: Obj,
    pub describe_start: Obj,
    pub format_traceback: Obj,
    pub forget_frames: Obj,
    pub callback_error: Obj,
}

pub struct Caches {
    pub helpers: Helpers,
    pub types: Types,
    pub modules: Obj,
    /// The context's own namespace.
    pub namespace: Obj,
    pub names: Names,
    pub codes: Codes,
    thread_ident: i64,
}

impl Caches {
    /// For the thread of a context: prepares its interpreter.
    pub fn new(settings: &Settings) -> PyResult<Caches> {
        package::load(&host().config)?;
        let boot = import(&Obj::str("erlang._boot")?)?;
        let paths = settings.paths.iter().map(|path| Obj::str(path)).collect::<PyResult<Vec<_>>>()?;
        boot.attr("add_paths")?.call(&[&Obj::tuple(paths)?])?;
        boot.attr("prepare_imports")?.call(&[])?;
        boot.attr("prepare_output")?.call(&[])?;
        if settings.mode == interpreter::Mode::OwnGil {
            extensions::guard()?;
        }
        Caches::bare(settings)
    }

    /// For any thread of an interpreter that is prepared.
    pub fn bare(settings: &Settings) -> PyResult<Caches> {
        let boot = import(&Obj::str("erlang._boot")?)?;
        let ident = import(&Obj::str("_thread")?)?.attr("get_ident")?.call(&[])?.as_i64()?;
        Ok(Caches {
            helpers: Helpers::new()?,
            types: Types::new(settings.decimal)?,
            // SAFETY: attached; borrowed and made strong.
            modules: unsafe { Obj::borrowed(ffi::PyImport_GetModuleDict()) },
            namespace: boot.attr("namespace")?.call(&[])?,
            names: Names::default(),
            codes: Codes::new(import(&Obj::str("erlang._code")?)?.attr("compile_source")?),
            thread_ident: ident,
        })
    }

    /// Runs the context's preload code.
    pub fn preload(&self, settings: &Settings) -> PyResult<()> {
        match &settings.preload {
            Some(preload) => run_code(&self.codes.get(CompileMode::Exec, preload)?, &self.namespace).map(drop),
            None => Ok(()),
        }
    }

    /// Has the threads that Python code started end, and waits for them, for at most `limit`.
    pub fn end_threads(&self, limit: Duration) -> PyResult<()> {
        let end_threads = import(&Obj::str("erlang._boot")?)?.attr("end_threads")?;
        end_threads.call(&[&Obj::float(limit.as_secs_f64())?]).map(drop)
    }

    pub fn thread_ident(&self) -> i64 {
        self.thread_ident
    }
}

impl Helpers {
    fn new() -> PyResult<Helpers> {
        let errors = import(&Obj::str("erlang._errors")?)?;
        Ok(Helpers {
            describe: errors.attr("describe")?,
            describe_start: errors.attr("describe_start")?,
            format_traceback: errors.attr("format_traceback")?,
            forget_frames: errors.attr("forget_frames")?,
            callback_error: import(&Obj::str("erlang._terms")?)?.attr("CallbackError")?,
        })
    }
}
