//! Context variables (`contextvars`, which the settings of `decimal` are among): each process of the BEAM has values of its
//! own on each context.
//!
//! Code runs with one set of values, which Python calls a `Context`:
//!
//! * `base`, for code that runs in the context's own namespace, preload code among it.
//! * The process's own, kept with its namespace.
//! * A process that has set nothing yet runs with a copy of `base`. Where it has set something when its request ends, the copy
//!   becomes its own, else the next such process uses it.
//!
//! The set of the last request stays entered until another one is needed: calls of one process pay next to nothing. Nested
//! requests enter theirs on top, and leave it.

use std::cell::{Cell, RefCell};

use rustler::sys::ErlNifTerm;
use rustler::{LocalPid, Term};

use super::context::ContextRef;
use super::execute::Namespaces;
use super::python::{Obj, PyResult, import, status};
use super::request::{Request, pid_word};
use super::symbols::{ContextFunctions, symbols};
use crate::atoms;

pub struct Variables {
    functions: &'static ContextFunctions,
    base: Obj,
    /// A copy of `base` that nobody has changed.
    fresh: RefCell<Obj>,
    /// The set that was entered last.
    entered: RefCell<Obj>,
    /// Whose that is.
    whose: Cell<Whose>,
}

#[derive(Clone, Copy)]
enum Whose {
    Context,
    /// A process that has a set of its own.
    Owner(LocalPid),
    /// A process that uses a copy of `base`.
    Stranger(LocalPid),
    /// A process that has died.
    Nobody,
}

impl Whose {
    /// The namespace of requests that see this set.
    fn namespace(self) -> Option<ErlNifTerm> {
        match self {
            Whose::Context => Some(atoms::context().as_c_arg()),
            Whose::Owner(pid) | Whose::Stranger(pid) => Some(pid_word(&pid)),
            Whose::Nobody => None,
        }
    }
}

/// What was entered before a nested request.
pub struct Outer(Option<(Obj, Whose)>);

impl Variables {
    /// Enters `base`. `None` where CPython's structures are not as known: there all processes share one set.
    pub fn new() -> PyResult<Option<Variables>> {
        let Some(functions) = &symbols().contexts else { return Ok(None) };
        // SAFETY: attached.
        let base = unsafe { Obj::checked((functions.new)()) }?;
        if !shows_changes(functions)? {
            return Ok(None);
        }
        let fresh = RefCell::new(copy(functions, &base)?);
        enter(functions, &base)?;
        let entered = RefCell::new(base.clone());
        Ok(Some(Variables { functions, base, fresh, entered, whose: Cell::new(Whose::Context) }))
    }

    /// Before a request runs, `nested` in another one or not. `leave` has to follow.
    #[inline]
    pub fn enter(&self, namespaces: &Namespaces, request: &Request, namespace: Term<'_>, nested: bool) -> Outer {
        if self.whose.get().namespace() == Some(namespace.as_c_arg()) {
            return Outer(None);
        }
        self.enter_other(namespaces, request, namespace, nested)
    }

    #[inline(never)]
    fn enter_other(&self, namespaces: &Namespaces, request: &Request, namespace: Term<'_>, nested: bool) -> Outer {
        let process = match atoms::context() == namespace {
            true => None,
            // In an environment of its own, code runs with the values of its caller.
            false => Some(namespace.decode().unwrap_or(request.caller)),
        };
        if process.is_some() && self.whose.get().namespace() == process.as_ref().map(pid_word) {
            return Outer(None);
        }
        // Out of memory, say: then it runs with the values of another.
        self.change(namespaces, process, nested).unwrap_or(Outer(None))
    }

    fn change(&self, namespaces: &Namespaces, process: Option<LocalPid>, nested: bool) -> PyResult<Outer> {
        let (set, whose) = match process {
            None => (self.base.clone(), Whose::Context),
            Some(process) => match namespaces.variables(&process) {
                Some(own) => (own, Whose::Owner(process)),
                None if nested => (copy(self.functions, &self.base)?, Whose::Stranger(process)),
                None => (self.fresh()?, Whose::Stranger(process)),
            },
        };
        if nested {
            return Ok(Outer(Some((self.entered.replace(self.enter_on_top(set)?), self.whose.replace(whose)))));
        }
        if set.as_ptr() != self.entered.borrow().as_ptr() {
            exit(self.functions, &self.entered.borrow())?;
            enter(self.functions, &set)?;
            // After the change: destructors may run, and requests in them.
            let before = self.entered.replace(set);
            self.whose.set(whose);
            drop(before);
        }
        self.whose.set(whose);
        Ok(Outer(None))
    }

    /// A set that is entered already, further down, cannot be entered again: a copy is.
    fn enter_on_top(&self, set: Obj) -> PyResult<Obj> {
        if enter(self.functions, &set).is_ok() {
            return Ok(set);
        }
        let copy = copy(self.functions, &set)?;
        enter(self.functions, &copy)?;
        Ok(copy)
    }

    fn fresh(&self) -> PyResult<Obj> {
        if values(&self.fresh.borrow()) != values(&self.base) {
            drop(self.fresh.replace(copy(self.functions, &self.base)?));
        }
        Ok(self.fresh.borrow().clone())
    }

    /// After a request has run.
    #[inline]
    pub fn leave(&self, namespaces: &Namespaces, context: &ContextRef, outer: Outer) {
        if let Whose::Stranger(process) = self.whose.get()
            && values(&self.entered.borrow()) != values(&self.base)
        {
            self.hand_over(namespaces, context, process);
        }
        if let Outer(Some((set, whose))) = outer {
            self.go_back(set, whose);
        }
    }

    /// What the process has set is its own from now on.
    #[inline(never)]
    fn hand_over(&self, namespaces: &Namespaces, context: &ContextRef, process: LocalPid) {
        let set = self.entered.borrow().clone();
        let kept = namespaces.keep_variables(&process, set, context);
        self.whose.set(if kept { Whose::Owner(process) } else { Whose::Nobody });
        // Or it would keep that alive.
        let _ = self.fresh();
    }

    #[inline(never)]
    fn go_back(&self, set: Obj, whose: Whose) {
        let _ = exit(self.functions, &self.entered.borrow());
        let inner = self.entered.replace(set);
        self.whose.set(whose);
        // After the change: destructors may run, and requests in them.
        drop(inner);
    }

    /// The process has died: another one may get its pid.
    pub fn forget(&self, process: &LocalPid) {
        if self.whose.get().namespace() == Some(pid_word(process)) {
            self.whose.set(Whose::Nobody);
        }
    }
}

fn copy(functions: &ContextFunctions, set: &Obj) -> PyResult<Obj> {
    // SAFETY: attached; a `Context`.
    unsafe { Obj::checked((functions.copy)(set.as_ptr())) }
}

fn enter(functions: &ContextFunctions, set: &Obj) -> PyResult<()> {
    // SAFETY: as above.
    status(unsafe { (functions.enter)(set.as_ptr()) })
}

fn exit(functions: &ContextFunctions, set: &Obj) -> PyResult<()> {
    // SAFETY: as above.
    status(unsafe { (functions.exit)(set.as_ptr()) })
}

/// Where a `Context` has the address of its values, in words: after the head of an object and one field. A change gives it
/// other values; a copy shares those of its original.
const VALUES: usize = 3;

/// Tells whether a set has changed. Compare only while both are alive.
fn values(set: &Obj) -> usize {
    // SAFETY: a `Context`, which is that large: `shows_changes`.
    unsafe { *set.as_ptr().cast::<usize>().add(VALUES) }
}

/// Whether `values` works on this Python.
fn shows_changes(functions: &ContextFunctions) -> PyResult<bool> {
    // SAFETY: attached.
    let set = unsafe { Obj::checked((functions.new)()) }?;
    // SAFETY: the type of a live object.
    let class = unsafe { Obj::borrowed(set.type_ptr().cast()) };
    if class.attr("__basicsize__")?.as_i64()? < ((VALUES + 1) * size_of::<usize>()) as i64 {
        return Ok(false);
    }
    let original = copy(functions, &set)?;
    let same = values(&original) == values(&set);
    let variable = import(&Obj::str("contextvars")?)?.attr("ContextVar")?.call(&[&Obj::str("probe")?])?;
    set.attr("run")?.call(&[&variable.attr("set")?, &Obj::none()])?;
    Ok(same && values(&original) != values(&set))
}
