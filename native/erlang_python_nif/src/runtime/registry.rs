//! The contexts of this VM.

use std::sync::{Arc, Mutex};

use erlang_python_core::sync::lock;
use pyo3::ffi;

use super::context::{ContextRef, Shared};

/// The contexts whose thread has not ended, in the order of their starts.
static CONTEXTS: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

pub fn add(context: Arc<Shared>) {
    lock(&CONTEXTS).push(context);
}

pub fn remove(id: u64) {
    let mut contexts = lock(&CONTEXTS);
    let index = contexts.iter().position(|context| context.inbox.id == id);
    let removed = index.map(|index| contexts.remove(index));
    drop(contexts);
    drop(removed);
}

pub fn get(id: u64) -> Option<Arc<Shared>> {
    lock(&CONTEXTS).iter().find(|context| context.inbox.id == id).cloned()
}

pub fn all() -> Vec<Arc<Shared>> {
    lock(&CONTEXTS).clone()
}

/// Contexts by the interpreter they run in, for calls from threads that Python code started.
static BY_INTERPRETER: Mutex<Vec<(usize, ContextRef)>> = Mutex::new(Vec::new());

/// Makes the context known to threads of its interpreter.
pub fn enter(interpreter: *mut ffi::PyInterpreterState, context: &ContextRef) {
    lock(&BY_INTERPRETER).push((interpreter as usize, context.clone()));
}

pub fn leave(context: &ContextRef) {
    lock(&BY_INTERPRETER).retain(|(_, known)| known.as_c_arg() != context.as_c_arg());
}

/// The newest context of an interpreter.
pub fn of_interpreter(interpreter: *mut ffi::PyInterpreterState) -> Option<ContextRef> {
    let contexts = lock(&BY_INTERPRETER);
    let found = contexts.iter().rev().find(|(known, _)| *known == interpreter as usize);
    found.map(|(_, context)| context.clone())
}
