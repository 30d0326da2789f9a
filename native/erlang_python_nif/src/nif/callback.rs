//! Functions of the BEAM that Python calls.

use rustler::{Env, ResourceArc, Term};

use crate::beam::dialect::Dialect;
use crate::bridge;
use crate::request::RequestHandle;
use crate::request::{callback, chains};

/// Tells Python that there is a function of that name, and whether the Erlang API has registered it.
#[rustler::nif]
fn set_registered(name: String, erlang: bool) -> rustler::Atom {
    bridge::callback::set_registered(name, Dialect::new(erlang));
    crate::beam::atoms::ok()
}

/// Tells Python that there is no function of that name.
#[rustler::nif]
fn clear_registered_name(name: String) -> rustler::Atom {
    bridge::callback::clear_registered_name(&name);
    crate::beam::atoms::ok()
}

/// Tells Python that there is no function of any name.
#[rustler::nif]
fn clear_registered() -> rustler::Atom {
    bridge::callback::clear_registered();
    crate::beam::atoms::ok()
}

/// The calling process runs the function of callback `id` of a request.
#[rustler::nif]
fn callback_enter(env: Env<'_>, request: ResourceArc<RequestHandle>, id: u64) -> rustler::Atom {
    chains::enter_offered(&env.pid(), &request.0, id);
    crate::beam::atoms::ok()
}

/// Answers a callback of a request. Returns `false` if the request no longer waits for it.
#[rustler::nif]
fn callback_answer(request: ResourceArc<RequestHandle>, id: u64, answer: Term<'_>) -> bool {
    callback::answer(&request.0, id, answer)
}

/// Answers a callback of a thread that Python code started.
#[rustler::nif]
fn callback_answer_thread(id: u64, answer: Term<'_>) -> bool {
    bridge::callback::answer_thread(id, answer)
}

/// Fails the callbacks that a dispatcher before this one has left unanswered.
#[rustler::nif]
fn callback_fail_orphaned() -> rustler::Atom {
    bridge::callback::fail_orphaned_calls();
    crate::beam::atoms::ok()
}
