//! What one context keeps to work fast, all of it bound to its interpreter and its thread.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, RandomState};
use std::rc::Rc;
use std::time::Duration;

use pyo3::ffi;
use rustler::sys::ErlNifTerm;

use super::context::Settings;
use super::extensions;
use crate::convert::kind::Kind;
use crate::python::host::host;
use crate::python::object::{Obj, PyResult, import};
use crate::python::{interpreter, package};
use erlang_python_core::words::WordHasher;

/// Bound of each cache below; a full one is emptied, which costs the next uses a refill.
const MAX_ENTRIES: usize = 1024;
/// Source text longer than this is compiled anew each time, in bytes.
const MAX_CACHED_SOURCE: usize = 64 * 1024;

/// A dotted name: whole, and its parts.
pub struct Name {
    pub whole: Obj,
    pub parts: Vec<Obj>,
}

/// What source text is compiled for.
#[derive(Clone, Copy)]
pub enum Mode {
    Eval,
    Exec,
    /// Statements, of which the last may be an expression whose value is wanted.
    Last,
}

impl Mode {
    const COUNT: usize = 3;

    /// As `compile_source` knows it.
    fn name(self) -> &'static str {
        match self {
            Mode::Eval => "eval",
            Mode::Exec => "exec",
            Mode::Last => "last",
        }
    }
}

/// What `compile_source` made of a text: statements, and an expression whose value is the result.
#[derive(Clone)]
pub struct Code {
    pub body: Option<Obj>,
    pub value: Option<Obj>,
}

/// Functions of `priv/python/erlang`.
pub struct Helpers {
    pub compile_source: Obj,
    pub describe: Obj,
    pub describe_briefly: Obj,
    pub describe_start: Obj,
    pub format_traceback: Obj,
    pub forget_frames: Obj,
    pub classify: Obj,
    pub simplify: Obj,
    pub make: Obj,
    pub atom: Obj,
    pub pid: Obj,
    pub reference: Obj,
    pub port: Obj,
    pub function: Obj,
    pub external: Obj,
    pub callback_error: Obj,
    pub from_bytes: Obj,
    pub to_bytes: Obj,
    pub bit_length: Obj,
    pub negative: Obj,
    pub little: Obj,
}

pub struct Caches {
    pub helpers: Helpers,
    pub modules: Obj,
    /// The context's own namespace.
    pub namespace: Obj,
    pub decimal: bool,
    atoms: Cache<ErlNifTerm, Obj, Words>,
    names: Cache<Box<str>, Rc<Name>>,
    atom_names: Cache<ErlNifTerm, Rc<Name>, Words>,
    codes: [Cache<Box<str>, Code>; Mode::COUNT],
    kinds: Cache<*mut ffi::PyTypeObject, (Obj, Kind), Words>,
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
            // SAFETY: attached; borrowed and made strong.
            modules: unsafe { Obj::borrowed(ffi::PyImport_GetModuleDict()) },
            namespace: boot.attr("namespace")?.call(&[])?,
            decimal: settings.decimal,
            atoms: Cache::default(),
            names: Cache::default(),
            atom_names: Cache::default(),
            codes: Default::default(),
            kinds: Cache::default(),
            thread_ident: ident,
        })
    }

    /// Runs the context's preload code.
    pub fn preload(&self, settings: &Settings) -> PyResult<()> {
        match &settings.preload {
            Some(preload) => run_code(&self.code(Mode::Exec, preload)?, &self.namespace).map(drop),
            None => Ok(()),
        }
    }

    /// Has the threads that Python code started end, and waits for them, for `limit` at the most.
    pub fn end_threads(&self, limit: Duration) -> PyResult<()> {
        let end_threads = import(&Obj::str("erlang._boot")?)?.attr("end_threads")?;
        end_threads.call(&[&Obj::float(limit.as_secs_f64())?]).map(drop)
    }

    pub fn thread_ident(&self) -> i64 {
        self.thread_ident
    }

    /// The object that an atom becomes, which `make` makes the first time.
    pub fn atom(&self, atom: ErlNifTerm, make: impl FnOnce() -> PyResult<Obj>) -> PyResult<Obj> {
        self.atoms.get_or(&atom, || Ok((atom, make()?)))
    }

    pub fn atom_name(&self, atom: ErlNifTerm, text: impl FnOnce() -> String) -> PyResult<Rc<Name>> {
        self.atom_names.get_or(&atom, || Ok((atom, Rc::new(Name::new(&text())?))))
    }

    pub fn name(&self, text: &str) -> PyResult<Rc<Name>> {
        self.names.get_or(text, || Ok((text.into(), Rc::new(Name::new(text)?))))
    }

    /// The code object of `source`.
    pub fn code(&self, mode: Mode, source: &str) -> PyResult<Code> {
        if source.len() > MAX_CACHED_SOURCE {
            return self.compile(mode, source);
        }
        self.codes[mode as usize].get_or(source, || Ok((source.into(), self.compile(mode, source)?)))
    }

    fn compile(&self, mode: Mode, source: &str) -> PyResult<Code> {
        let pair = self.helpers.compile_source.call(&[&Obj::str(source)?, &Obj::str(mode.name())?])?.tuple_items();
        let mut parts = pair.into_iter().map(|part| (!part.is_none()).then_some(part));
        Ok(Code { body: parts.next().flatten(), value: parts.next().flatten() })
    }

    /// How values of this type cross; the type is kept alive so that its address stays its own.
    pub fn kind(&self, object: &Obj) -> PyResult<Kind> {
        let class = object.type_ptr();
        let classify = || {
            // SAFETY: the type of a live object is live.
            let class_object = unsafe { Obj::borrowed(class.cast()) };
            let kind = Kind::from_number(self.helpers.classify.call(&[&class_object])?.as_i64()?);
            Ok((class, (class_object, kind)))
        };
        Ok(self.kinds.get_or(&class, classify)?.1)
    }
}

/// A bounded map that Python code cannot find borrowed: a callback may run requests, which use the caches, in the midst
/// of anything that runs Python.
struct Cache<K, V, S = RandomState>(RefCell<HashMap<K, V, S>>);

type Words = BuildHasherDefault<WordHasher>;

impl<K, V, S: Default> Default for Cache<K, V, S> {
    fn default() -> Self {
        Cache(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher + Default> Cache<K, V, S> {
    /// The value of `key`, or the entry that `make` makes.
    fn get_or<Q>(&self, key: &Q, make: impl FnOnce() -> PyResult<(K, V)>) -> PyResult<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(known) = self.0.borrow().get(key) {
            return Ok(known.clone());
        }
        let (key, value) = make()?;
        // Dropped after the borrow has ended: dropping Python objects may run Python code.
        let full = self.0.borrow().len() >= MAX_ENTRIES;
        let _old = full.then(|| self.0.take());
        let _replaced = self.0.borrow_mut().insert(key, value.clone());
        Ok(value)
    }
}

impl Name {
    fn new(text: &str) -> PyResult<Name> {
        let parts = text.split('.').map(Obj::str).collect::<PyResult<_>>()?;
        Ok(Name { whole: Obj::str(text)?, parts })
    }
}

impl Helpers {
    fn new() -> PyResult<Helpers> {
        let [code, errors, values, terms, builtins] =
            ["erlang._code", "erlang._errors", "erlang._values", "erlang._terms", "builtins"]
                .map(|name| Obj::str(name).and_then(|name| import(&name)));
        let (code, errors, values, terms) = (code?, errors?, values?, terms?);
        let int = builtins?.attr("int")?;
        Ok(Helpers {
            compile_source: code.attr("compile_source")?,
            describe: errors.attr("describe")?,
            describe_briefly: errors.attr("describe_briefly")?,
            describe_start: errors.attr("describe_start")?,
            format_traceback: errors.attr("format_traceback")?,
            forget_frames: errors.attr("forget_frames")?,
            classify: values.attr("classify")?,
            simplify: values.attr("simplify")?,
            make: values.attr("make")?,
            atom: terms.attr("Atom")?,
            pid: terms.attr("Pid")?,
            reference: terms.attr("Ref")?,
            port: terms.attr("Port")?,
            function: terms.attr("Function")?,
            external: Obj::str("_external")?,
            callback_error: terms.attr("CallbackError")?,
            from_bytes: int.attr("from_bytes")?,
            to_bytes: int.attr("to_bytes")?,
            bit_length: int.attr("bit_length")?,
            negative: int.attr("__neg__")?,
            little: Obj::str("little")?,
        })
    }
}

/// Runs statements, then the expression, in `namespace`. `None` where there is no expression.
pub fn run_code(code: &Code, namespace: &Obj) -> PyResult<Option<Obj>> {
    let run = |code: &Obj| {
        // SAFETY: attached; `code` is a code object without free variables, `namespace` a dict.
        unsafe { Obj::checked(ffi::PyEval_EvalCode(code.as_ptr(), namespace.as_ptr(), namespace.as_ptr())) }
    };
    if let Some(body) = &code.body {
        run(body)?;
    }
    code.value.as_ref().map(run).transpose()
}
