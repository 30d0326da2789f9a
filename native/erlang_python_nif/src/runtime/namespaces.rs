//! Names and context variables that processes have of their own on a context.

use std::cell::RefCell;

use erlang_python_core::word_map::WordMap;
use rustler::LocalPid;
use rustler::sys::ErlNifTerm;

use super::context::ContextRef;
use crate::beam::env::pid_word;
use crate::python::object::{Obj, PyResult};

/// Namespaces and context variables of processes, made on first need and dropped after the process has ended.
#[derive(Default)]
pub struct Namespaces(RefCell<WordMap<ErlNifTerm, Belongings>>);

#[derive(Default)]
struct Belongings {
    names: Option<Obj>,
    /// See `variables`.
    variables: Option<Obj>,
}

impl Belongings {
    fn into_objects(self) -> impl Iterator<Item = Obj> {
        self.names.into_iter().chain(self.variables)
    }
}

impl Namespaces {
    /// Takes out what `pid` has, to be dropped by the caller: that may run Python code.
    pub fn take(&self, pid: &LocalPid) -> impl Iterator<Item = Obj> {
        self.0.borrow_mut().remove(&pid_word(pid)).unwrap_or_default().into_objects()
    }

    /// Takes all out.
    pub fn take_all(&self) -> Vec<Obj> {
        self.0.take().into_values().flat_map(Belongings::into_objects).collect()
    }

    /// The namespace of `pid`: at first a copy of the context's. A process that has ended already gets one for this
    /// request only.
    pub fn of(&self, pid: &LocalPid, context: &ContextRef, template: &Obj) -> PyResult<Obj> {
        if let Some(names) = self.0.borrow().get(&pid_word(pid)).and_then(|known| known.names.clone()) {
            return Ok(names);
        }
        let fresh = template.dict_copy()?;
        self.keep(pid, context, |belongings| belongings.names.replace(fresh.clone()));
        Ok(fresh)
    }

    /// The context variables of `pid`, if it has any of its own.
    pub fn variables(&self, pid: &LocalPid) -> Option<Obj> {
        self.0.borrow().get(&pid_word(pid))?.variables.clone()
    }

    /// Gives `pid` context variables of its own: whether it lives.
    pub fn keep_variables(&self, pid: &LocalPid, set: Obj, context: &ContextRef) -> bool {
        self.keep(pid, context, |belongings| belongings.variables.replace(set))
    }

    /// `put` returns what was there before.
    fn keep(&self, pid: &LocalPid, context: &ContextRef, put: impl FnOnce(&mut Belongings) -> Option<Obj>) -> bool {
        let known = self.0.borrow().contains_key(&pid_word(pid));
        let lives = known || context.monitor(None, pid).is_some();
        if lives {
            let before = put(self.0.borrow_mut().entry(pid_word(pid)).or_default());
            // Here, where nothing is borrowed: destructors run, and requests in them.
            drop(before);
        }
        lives
    }
}
