//! Interrupts the Python code of a running request from outside.
//!
//! `PyThreadState_SetAsyncExc` needs the GIL of the interpreter, which stuck C code may hold, so each interrupt runs on
//! a short-lived thread. At most one per context is under way. Python raises the exception at its next bytecode; C code
//! that blocks is interrupted when it returns.

use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use erlang_python_core::stats::counters::Counters;
use erlang_python_core::stats::now;
use erlang_python_core::sync::lock;
use pyo3::ffi;

use super::context::Shared;
use crate::python::place::{self, Place};
use crate::request::RequestRef;
use crate::request::flags::Flags;

/// Contexts with an interrupt under way.
static UNDER_WAY: Mutex<Option<HashSet<u64>>> = Mutex::new(None);

/// Interrupts the request that a context runs now, if any. One that was given up is being interrupted already.
pub fn running(context: &Arc<Shared>) -> bool {
    match context.noticeable() {
        Some(request) if request.life.is_running() => {
            if request.flags.has(Flags::CHORE) {
                request.end_unread();
            }
            begin(context, request);
            true
        }
        _ => false,
    }
}

/// Starts interrupting `request` as it is now.
pub fn begin(context: &Arc<Shared>, request: RequestRef) {
    let interrupted = request.interrupted.load(SeqCst);
    deliver(context, request, interrupted);
}

/// Starts interrupting `request`, if it still runs, and returns at once. While an earlier interrupt of the
/// context waits for its GIL this one only leaves a mark, which the watchdog finds.
///
/// `interrupted` is what the caller saw of `request.interrupted`: where another interrupt has hit since, this one does not. Code
/// that cleans up would not survive it.
pub fn deliver(context: &Arc<Shared>, request: RequestRef, interrupted: bool) {
    request.unwanted.store(true, SeqCst);
    if !lock(&UNDER_WAY).get_or_insert_with(HashSet::new).insert(context.inbox.id) {
        return;
    }
    let (id, context) = (context.inbox.id, context.clone());
    let spawned = std::thread::Builder::new().name("py_interrupt".into()).spawn(move || {
        insist(&context, &request, interrupted);
        finished(id);
    });
    if spawned.is_err() {
        // No thread to be had now; the watchdog insists.
        finished(id);
    }
}

fn finished(id: u64) {
    if let Some(under_way) = lock(&UNDER_WAY).as_mut() {
        under_way.remove(&id);
    }
}

/// Comes again while the code is where no interrupt is delivered: see `place`.
fn insist(context: &Shared, request: &RequestRef, interrupted: bool) {
    let began = Instant::now();
    let mut pause = MIN_PAUSE;
    let visit = |thread| hit(context, request, interrupted, thread, began.elapsed());
    while let Some(Some(place)) = context.visit_interpreter(visit) {
        std::thread::sleep(pause);
        pause = if place == Place::Critical { MIN_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
    }
}

/// Between two visits. Each takes the GIL once.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(8);

/// After so long the interrupt is delivered wherever the code is: it may be all that the code does.
fn limit(place: Place) -> Duration {
    match place {
        Place::Open => Duration::ZERO,
        Place::Waiting => Duration::from_millis(500),
        Place::Critical => Duration::from_secs(10),
        Place::Importing => Duration::from_secs(60),
    }
}

/// Attached to the context's interpreter: sets the exception if the request still runs. Returns the place where it runs if that
/// cannot bear it yet. The context thread clears the stack's top, and then any exception that came too late, while it holds
/// the same GIL: see `clear_late`.
fn hit(
    context: &Shared,
    request: &RequestRef,
    interrupted: bool,
    thread: *mut ffi::PyThreadState,
    after: Duration,
) -> Option<Place> {
    context.reached.store(now(), SeqCst);
    // SAFETY: attached; the state of the context's thread is live while this visit lasts.
    let place = unsafe { place::place(thread) };
    let stack = lock(&context.inbox.stack);
    let runs = stack.last().is_some_and(|running| Arc::ptr_eq(running, request));
    if !runs || request.interrupted.load(SeqCst) != interrupted {
        return None;
    }
    if request.callback.interrupt() {
        // No bytecode runs: the waiting thread raises the exception when it sees the mark.
        request.interrupted.store(true, SeqCst);
        Counters::bump(&context.inbox.stats.counters.interrupts);
        context.inbox.queue.wake();
        return None;
    }
    if after < limit(place) {
        return Some(place);
    }
    let ident = context.thread_ident.load(SeqCst);
    // SAFETY: attached; the exception class is static; an unknown thread id is ignored by CPython.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, ffi::PyExc_KeyboardInterrupt) };
    request.interrupted.store(true, SeqCst);
    Counters::bump(&context.inbox.stats.counters.interrupts);
    drop(stack);
    // SAFETY: as above.
    unsafe { place::wake(thread) };
    None
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
