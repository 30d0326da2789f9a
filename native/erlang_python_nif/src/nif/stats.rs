//! Statistics.

use erlang_python_core::stats::now;
use rustler::{Env, ResourceArc, Term};

use crate::beam::atoms;
use crate::beam::serial::to_term;
use crate::request::RequestHandle;
use crate::request::tasks;
use crate::runtime::context::ContextRef;
use crate::runtime::{gc, snapshot};

/// A map, see `Py.Stats`. It reads files of the operating system.
#[rustler::nif(schedule = "DirtyIo")]
fn stats_snapshot(env: Env<'_>, contexts: Vec<ContextRef>) -> Term<'_> {
    to_term(env, &snapshot::take(&contexts)).expect("structs, numbers and text")
}

/// Has the calling process get the message `py_events` when there are events, in place of the process before.
#[rustler::nif]
fn stats_subscribe(env: Env<'_>) -> rustler::Atom {
    gc::subscribe(env.pid());
    atoms::ok()
}

/// Has the calling process get a message at the end of each tracked request, in place of the process before.
#[rustler::nif]
fn follow_tasks(env: Env<'_>) -> rustler::Atom {
    tasks::follow(env.pid());
    atoms::ok()
}

/// Runs of garbage collectors, as maps. When there is none, the next one is announced by a message.
#[rustler::nif]
fn stats_take_events(env: Env<'_>) -> Term<'_> {
    to_term(env, &gc::take()).expect("structs of numbers")
}

/// `{id of its context, nanoseconds in the queue, nanoseconds in Python}` of a request that was asked to be timed.
#[rustler::nif]
fn request_times(request: ResourceArc<RequestHandle>) -> (u64, u64, u64) {
    let request = &request.0;
    let (queued, ran) = request.timing.times(now());
    (request.inbox.id, queued, ran)
}
