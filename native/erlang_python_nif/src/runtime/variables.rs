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
//! requests enter theirs on top, and leave it. Python enters no set twice: a nested request whose set is entered further down
//! gets a copy, which has the set's values meanwhile: requests further in see them, and when it ends the original gets them back.

use std::cell::{Cell, RefCell};

use rustler::sys::ErlNifTerm;
use rustler::{LocalPid, Term};

use super::context::ContextRef;
use super::namespaces::Namespaces;
use crate::beam::atoms;
use crate::beam::env::pid_word;
use crate::python::fork;
use crate::python::object::{Obj, PyResult, import, status};
use crate::python::symbols::{ContextFunctions, symbols};
use crate::request::Request;

pub struct Variables {
    functions: &'static ContextFunctions,
    base: Obj,
    /// A copy of `base` that nobody has changed.
    fresh: RefCell<Obj>,
    /// The set that was entered last.
    entered: RefCell<Obj>,
    /// The process, or the context, that this set belongs to.
    whose: Cell<Whose>,
    /// Sets that are entered further down, each with the copy that has their values meanwhile, in the order of entering.
    copied: RefCell<Vec<(Obj, Obj)>>,
}

/// A request that is about to run, or has run.
pub struct Guest<'a> {
    pub namespaces: &'a Namespaces,
    pub context: &'a ContextRef,
    pub request: &'a Request,
    pub namespace: Term<'a>,
    /// Runs while another one waits.
    pub nested: bool,
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

/// A set that a nested request has entered, for `leave` to undo.
pub struct Outer(Option<Below>);

/// The set that was entered before.
struct Below {
    set: Obj,
    whose: Whose,
    /// The set that the nested request has a copy of, the last one in `copied`.
    original: Option<Obj>,
}

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
        Ok(Some(Variables {
            functions,
            base,
            fresh,
            entered,
            whose: Cell::new(Whose::Context),
            copied: RefCell::default(),
        }))
    }

    /// Before a request runs. `leave` has to follow.
    #[inline]
    pub fn enter(&self, guest: &Guest<'_>) -> Outer {
        if self.whose.get().namespace() == Some(guest.namespace.as_c_arg()) {
            return Outer(None);
        }
        self.enter_other(guest)
    }

    #[inline(never)]
    fn enter_other(&self, guest: &Guest<'_>) -> Outer {
        let process = match atoms::context() == guest.namespace {
            true => None,
            // In an environment of its own, code runs with the values of its caller.
            false => Some(guest.namespace.decode().unwrap_or(guest.request.caller)),
        };
        if process.is_some() && self.whose.get().namespace() == process.as_ref().map(pid_word) {
            return Outer(None);
        }
        // The outer process may make nested requests of its own, which see what it has set so far.
        if guest.nested
            && let Whose::Stranger(outer) = self.whose.get()
        {
            self.hand_over(guest, outer);
        }
        // Out of memory, say: then it runs with the values of another.
        self.change(guest, process).unwrap_or(Outer(None))
    }

    fn change(&self, guest: &Guest<'_>, process: Option<LocalPid>) -> PyResult<Outer> {
        let (set, whose) = match process {
            None => (self.base.clone(), Whose::Context),
            Some(process) => match guest.namespaces.variables(&process) {
                Some(own) => (own, Whose::Owner(process)),
                None if guest.nested => (copy(self.functions, &self.newest(&self.base))?, Whose::Stranger(process)),
                None => (self.fresh()?, Whose::Stranger(process)),
            },
        };
        if guest.nested {
            return self.enter_on_top(set, whose);
        }
        if set.as_ptr() == self.entered.borrow().as_ptr() {
            self.whose.set(whose);
            return Ok(Outer(None));
        }
        // After the change: destructors may run, and requests in them.
        drop(self.switch(set, whose)?);
        if fork::is_child() {
            // One of them has forked.
            fork::end_child();
        }
        Ok(Outer(None))
    }

    /// Enters `set` in the place of what is entered, which it returns.
    fn switch(&self, set: Obj, whose: Whose) -> PyResult<Obj> {
        // Fails where code has left a set of its own entered: then that stays below.
        let _ = exit(self.functions, &self.entered.borrow());
        if let Err(raised) = enter(self.functions, &set) {
            let _ = enter(self.functions, &self.entered.borrow());
            self.whose.set(Whose::Nobody);
            return Err(raised);
        }
        self.whose.set(whose);
        Ok(self.entered.replace(set))
    }

    fn enter_on_top(&self, set: Obj, whose: Whose) -> PyResult<Outer> {
        let newest = self.newest(&set);
        let (set, original) = match enter(self.functions, &newest) {
            Ok(()) => (newest, None),
            Err(_) => {
                let copy = copy(self.functions, &newest)?;
                enter(self.functions, &copy)?;
                self.copied.borrow_mut().push((set, copy.clone()));
                (copy, Some(newest))
            }
        };
        Ok(Outer(Some(Below { set: self.entered.replace(set), whose: self.whose.replace(whose), original })))
    }

    /// The set that has the values of `set` now: the copy that was made last, if `set` is entered further down.
    fn newest(&self, set: &Obj) -> Obj {
        let copied = self.copied.borrow();
        let copy = copied.iter().rev().find(|(original, _copy)| original.as_ptr() == set.as_ptr());
        copy.map_or(set, |(_original, copy)| copy).clone()
    }

    fn fresh(&self) -> PyResult<Obj> {
        if values(&self.fresh.borrow()) != values(&self.base) {
            drop(self.fresh.replace(copy(self.functions, &self.base)?));
        }
        Ok(self.fresh.borrow().clone())
    }

    /// After a request has run.
    #[inline]
    pub fn leave(&self, guest: &Guest<'_>, outer: Outer) {
        if let Whose::Stranger(process) = self.whose.get()
            && values(&self.entered.borrow()) != values(&self.base)
            && values(&self.entered.borrow()) != values(&self.newest(&self.base))
        {
            self.hand_over(guest, process);
        }
        if let Outer(Some(below)) = outer {
            self.go_back(below);
        }
    }

    /// From now on the values that the process has set are its own.
    #[inline(never)]
    fn hand_over(&self, guest: &Guest<'_>, process: LocalPid) {
        let set = self.entered.borrow().clone();
        let kept = guest.namespaces.keep_variables(&process, set, guest.context);
        self.whose.set(if kept { Whose::Owner(process) } else { Whose::Nobody });
        // Another process gets a copy of its own, whether or not this one was changed.
        let is_fresh = self.fresh.borrow().as_ptr() == self.entered.borrow().as_ptr();
        if is_fresh && let Ok(copy) = copy(self.functions, &self.base) {
            drop(self.fresh.replace(copy));
        }
    }

    #[inline(never)]
    fn go_back(&self, below: Below) {
        let _ = exit(self.functions, &self.entered.borrow());
        let inner = self.entered.replace(below.set);
        self.whose.set(below.whose);
        let mut copied = None;
        if let Some(original) = &below.original {
            swap_values(&inner, original);
            copied = self.copied.borrow_mut().pop();
        }
        // After the change: destructors may run, and requests in them.
        drop((inner, below.original, copied));
    }

    /// The process has died: another one may get its pid. Returns what has to be dropped then, which may run Python code. Only
    /// between requests.
    pub fn forget(&self, process: &LocalPid) -> Option<Obj> {
        if self.whose.get().namespace() != Some(pid_word(process)) {
            return None;
        }
        self.whose.set(Whose::Nobody);
        self.switch(self.base.clone(), Whose::Context).ok()
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

/// The place of the address of its values in a `Context`, in words: after the head of an object and one field. A change gives it
/// other values; a copy shares those of its original.
const VALUES: usize = 3;

/// The address of the values of a set, which is another one after a change. Compare only while both are alive.
fn values(set: &Obj) -> usize {
    // SAFETY: a `Context`, which is that large: `shows_changes`.
    unsafe { *set.as_ptr().cast::<usize>().add(VALUES) }
}

/// Gives each of two sets the values of the other. The one that is current on no thread may have either: Python looks at the
/// number of changes of the current set before it trusts what a variable remembers.
fn swap_values(one: &Obj, other: &Obj) {
    // SAFETY: as above; two live objects, each of which owns the reference in its word, and attached.
    unsafe { std::ptr::swap(one.as_ptr().cast::<usize>().add(VALUES), other.as_ptr().cast::<usize>().add(VALUES)) }
}

/// Returns `true` if `values` works on this Python.
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
