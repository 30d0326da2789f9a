//! Interrupts the Python code of a running request from outside.
//!
//! `PyThreadState_SetAsyncExc` needs the GIL of the interpreter, which stuck C code may hold, so each interrupt runs on
//! a short-lived thread. At most one per context is under way. Python raises the exception at its next bytecode; C code
//! that blocks is interrupted when it returns.

use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use pyo3::ffi;

use super::context::{Shared, lock};
use super::request::RequestRef;
use crate::core::counters::Counters;

/// Contexts with an interrupt under way.
static UNDER_WAY: Mutex<Option<HashSet<u64>>> = Mutex::new(None);

/// Starts interrupting `request`, if it still runs, and returns at once. While an earlier interrupt of the
/// context waits for its GIL this one only leaves a mark, which the watchdog finds.
pub fn deliver(request: RequestRef) {
    request.unwanted.store(true, SeqCst);
    let context = request.context.clone();
    if !lock(&UNDER_WAY).get_or_insert_with(HashSet::new).insert(context.id) {
        return;
    }
    let id = context.id;
    let spawned = std::thread::Builder::new().name("py_interrupt".into()).spawn(move || {
        context.visit_interpreter(|| hit(&context, &request));
        finished(context.id);
    });
    if spawned.is_err() {
        // No thread to be had now; the watchdog insists.
        finished(id);
    }
}

/// Interrupts the preload code of a context that is stopped while it starts.
pub fn deliver_start(context: Arc<Shared>) {
    if !context.starting.load(SeqCst) {
        return;
    }
    let visit = move || {
        context.visit_interpreter(|| {
            if context.starting.load(SeqCst) {
                let ident = context.thread_ident.load(SeqCst);
                // SAFETY: attached; as in `hit`.
                unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, ffi::PyExc_KeyboardInterrupt) };
            }
        });
    };
    // Without a thread to be had, the preload code runs to its end.
    let _ = std::thread::Builder::new().name("py_interrupt".into()).spawn(visit);
}

/// On the context thread, attached, after the preload code: like `clear_late`.
pub fn clear_start(context: &Shared) {
    let ident = context.thread_ident.load(SeqCst);
    // SAFETY: attached; null withdraws the pending exception of the calling thread.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, std::ptr::null_mut()) };
}

fn finished(id: u64) {
    if let Some(under_way) = lock(&UNDER_WAY).as_mut() {
        under_way.remove(&id);
    }
}

/// Attached to the context's interpreter: sets the exception if the request still runs. The context thread clears
/// the stack's top, and then any exception that came too late, while it holds the same GIL: see `clear_late`.
fn hit(context: &Arc<Shared>, request: &RequestRef) {
    let stack = lock(&context.stack);
    if stack.last().is_some_and(|running| Arc::ptr_eq(running, request)) {
        if request.callback.interrupt() {
            // No bytecode runs: the waiting thread raises the exception when it sees the mark.
            request.interrupted.store(true, SeqCst);
            Counters::bump(&context.stats.counters.interrupts);
            context.queue.wake();
            return;
        }
        let ident = context.thread_ident.load(SeqCst);
        // SAFETY: attached; the exception class is static; an unknown thread id is ignored by CPython.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, ffi::PyExc_KeyboardInterrupt) };
        request.interrupted.store(true, SeqCst);
        Counters::bump(&context.stats.counters.interrupts);
    }
}

/// On the context thread, attached, after the stack no longer holds `request`: withdraws an exception that was set but
/// not raised in time, so that the next request is not hit by it.
pub fn clear_late(context: &Shared, request: &RequestRef) {
    if request.interrupted.load(SeqCst) {
        let ident = context.thread_ident.load(SeqCst);
        // SAFETY: attached; null withdraws the pending exception of the calling thread.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, std::ptr::null_mut()) };
    }
}
