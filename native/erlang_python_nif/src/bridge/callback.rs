//! `erlang.call`: Python calls a function of the BEAM.
//!
//! 1. The request that runs on this thread is served to a process that waits for it. The function's name and arguments go
//!    to that process as `{reference, {callback, id, target, args}}`: it runs the function in its own `receive` loop.
//! 2. This thread releases the interpreter and waits, on its queue, for the result.
//! 3. Calls of that function into Python are *nested requests*. `chains` tells whose they are; on this context they run
//!    right here, on top of the waiting one, and ride on its permit; so do those of other chains, which may hold a context
//!    that this one is about to call. First requests of strangers wait their turn.
//! 4. `callback::answer` brings the result, or the request is interrupted, and Python goes on.
//!
//! Where no process waits (casts, tasks, threads that Python started) the dispatcher, a registered process, has the function
//! run in a process of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex, RwLock, RwLockWriteGuard};

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::stats::counters::Counters;
use erlang_python_core::sync::lock;
use erlang_python_core::sync::spin::Spin;
use flume::{RecvError, Sender};
use pyo3::ffi;
use rustler::sys::{ErlNifTerm, enif_whereis_pid};
use rustler::{Encoder, LocalPid, Term};

use super::Call;
use crate::beam::atoms;
use crate::beam::dialect::Dialect;
use crate::beam::env::OwnedTermEnv;
use crate::beam::immediate;
use crate::python::interpreter::detach;
use crate::python::object::{Obj, PyResult, Raised};
use crate::request::callback::CallbackResult;
use crate::request::chains::{self, Parent};
use crate::request::flags::Flags;
use crate::request::namespace::Namespace;
use crate::request::outcome::{Event, Notice};
use crate::request::running::Running;
use crate::request::{RequestHandle, RequestRef};
use crate::runtime::run::MAX_COPIED;
use crate::runtime::thread::{Runtime, is_ending};

/// Levels of Python -> BEAM -> Python on one chain. Python's own recursion limit (1,000 frames) allows about three frames a
/// level.
pub const MAX_CHAIN: usize = 256;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Names of registered functions: what `erlang.<name>` finds; and whether the Erlang API has registered them.
static NAMES: LazyLock<RwLock<HashMap<String, Dialect>>> = LazyLock::new(RwLock::default);
/// `true` once the Erlang API has registered one.
static ANY_OF_ERLANG: AtomicBool = AtomicBool::new(false);

fn names() -> RwLockWriteGuard<'static, HashMap<String, Dialect>> {
    NAMES.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn set_registered(name: String, dialect: Dialect) {
    if dialect.is_erlang() {
        ANY_OF_ERLANG.store(true, SeqCst);
    }
    names().insert(name, dialect);
}

pub fn clear_registered_name(name: &str) {
    names().remove(name);
}

/// The table of functions is empty again.
pub fn clear_registered() {
    names().clear();
}

/// Returns `true` if the Erlang API has registered the function of that name, and `None` when there is none.
fn registered(name: &Obj) -> PyResult<Option<Dialect>> {
    // Before the lock: this may run Python code.
    let name = name.as_utf8()?;
    let names = NAMES.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(names.get(name).copied())
}

/// Functions of the Erlang API have values of its dialect, whoever called Python; others those of the request (`None`).
fn dialect_of(target: &Obj) -> PyResult<Option<Dialect>> {
    // SAFETY: attached.
    let named = ANY_OF_ERLANG.load(SeqCst) && unsafe { ffi::PyUnicode_Check(target.as_ptr()) } != 0;
    if named { Ok(registered(target)?.filter(|dialect| dialect.is_erlang())) } else { Ok(None) }
}

/// `is_registered(name)`.
pub fn is_registered(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    super::expect_args("is_registered", args, 1..=1)?;
    Ok(Obj::bool(registered(&args[0])?.is_some()))
}

/// `call(target, args)`: `target` is a name or an `erlang.Function`, `args` a tuple.
pub fn call(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    super::expect_args("call", args, 2..=2)?;
    let call = &call.in_dialect(dialect_of(&args[0])?);
    let mut env = OwnedTermEnv::new();
    let id = NEXT_ID.fetch_add(1, SeqCst);
    let (content, small) = {
        let env = env.env();
        let (target, target_size) = call.sized_term(&args[0], env)?;
        let (args, args_size) = call.sized_term(&args[1], env)?;
        let content = immediate::make_tuple(env, [atoms::callback().to_term(env), id.encode(env), target, args]);
        (content.as_c_arg(), target_size + args_size <= MAX_COPIED)
    };
    match (call.runtime, call.running) {
        (Some(runtime), Some(running)) => {
            Counters::bump(&call.context.0.inbox.stats.counters.callbacks);
            let answer = on_context(call, runtime, running, id, (env, content, small))?;
            let value = result(call, &answer);
            running.keep(answer);
            value
        }
        // The context itself would wait, and with it everybody: preload code, a destructor.
        (runtime, _) if runtime.is_some() || is_ending() => {
            let text = "a context can call functions only while it runs a request, not in preload code or destructors";
            Err(failure(call, "error", text, ""))
        }
        _ => {
            Counters::bump(&call.context.0.inbox.stats.counters.callbacks);
            result(call, &on_thread(call, id, &mut env, content)?)
        }
    }
}

fn on_context(
    call: &Call<'_>,
    runtime: &Runtime,
    running: &Running<'_>,
    id: u64,
    (mut env, content, small): (OwnedTermEnv, ErlNifTerm, bool),
) -> PyResult<CallbackResult> {
    let request = running.request();
    if request.depth().max(lock(&runtime.shared().inbox.stack).len()) > MAX_CHAIN {
        let text = format!("callbacks nested deeper than {MAX_CHAIN} levels");
        return Err(failure(call, "error", &text, ""));
    }
    let Some(asking) = running.ask(id) else { return Err(interrupted(request)) };
    let namespace = Namespace::from_term(running.message().namespace);
    // Those who wait for a reply run the function themselves; others are served by the dispatcher.
    let direct = !request.flags.has(Flags::ASYNC);
    if direct {
        chains::enter(&request.caller, Parent { request: request.clone(), namespace });
        // Refused where the waiting process has died: the watchdog is about to say so.
        asking.notify(Notice { event: Event::Callback, env, term: content, shared: false }, small);
    } else if !dispatch(&mut env, content, Some((running, id, namespace))) {
        request.callback.withdraw();
        running.close_callback();
        running.resume();
        drop(asking);
        return Err(no_dispatcher(call));
    }
    drop(asking);
    let answer = request.timing.waiting(|| wait(runtime, running));
    if !direct {
        request.callback.withdraw();
    }
    chains::leave(request, direct.then_some(&request.caller));
    match (running.resume(), answer) {
        (true, Some(answer)) => Ok(answer),
        _ => Err(interrupted(request)),
    }
}

fn interrupted(request: &RequestRef) -> Raised {
    request.interrupted.store(true, SeqCst);
    // SAFETY: attached; a static class.
    unsafe { Raised::new(ffi::PyExc_KeyboardInterrupt, "interrupted while a callback ran") }
}

/// Waits for the answer, running nested requests meanwhile. `None` when the request was interrupted.
fn wait(runtime: &Runtime, running: &Running<'_>) -> Option<CallbackResult> {
    let (shared, request) = (runtime.shared(), running.request());
    let mut spin = Spin::new(shared.settings.spin);
    let answered = || request.callback.is_answered();
    let unwanted = || request.life.phase() != Phase::Serving || request.callback.interrupted.load(SeqCst);
    loop {
        if answered() || unwanted() {
            return running.close_callback();
        }
        // Read before the look: what arrives after it ends the wait.
        let seen = shared.inbox.queue.arrivals();
        if let Some(nested) = shared.inbox.queue.pop_nested(|nested| runs_on_top(nested, request, runtime)) {
            runtime.handle(&nested);
            continue;
        }
        // SAFETY: called by Python code, hence attached.
        unsafe {
            detach(|| {
                let ready = || answered() || unwanted() || shared.inbox.queue.arrivals() != seen;
                shared.inbox.queue.wait_for(&mut spin, ready);
            });
        }
    }
}

/// Returns `true` if `nested` may run on top of `waiting`: it descends from it, or it belongs to another chain (a context that
/// `waiting` is about to call may be blocked on that chain). A sibling of the same chain, made by a task beside it, must queue:
/// the two could wait for each other.
fn runs_on_top(nested: &RequestRef, waiting: &RequestRef, runtime: &Runtime) -> bool {
    let other_chain = || nested.chain() != waiting.chain();
    nested.descends_from(waiting) || (other_chain() && lock(&runtime.shared().inbox.stack).len() < MAX_CHAIN)
}

/// Threads that Python code started: the dispatcher answers through a channel.
static THREAD_CALLS: LazyLock<Mutex<HashMap<u64, Sender<CallbackResult>>>> = LazyLock::new(Mutex::default);

fn on_thread(call: &Call<'_>, id: u64, env: &mut OwnedTermEnv, content: ErlNifTerm) -> PyResult<CallbackResult> {
    let (sender, receiver) = flume::bounded(1);
    lock(&THREAD_CALLS).insert(id, sender);
    if !dispatch(env, content, None) {
        lock(&THREAD_CALLS).remove(&id);
        return Err(no_dispatcher(call));
    }
    // SAFETY: called by Python code, hence attached.
    let answer = unsafe { detach(|| receiver.recv()) };
    answer.map_err(|RecvError::Disconnected| no_dispatcher(call))
}

/// Sends `{py_callback, request | nil, callers, {callback, id, target, args}}` to the dispatcher; `callers` are what
/// `$callers` of the function's process are to be.
fn dispatch(env: &mut OwnedTermEnv, content: ErlNifTerm, nested: Option<(&Running<'_>, u64, Namespace)>) -> bool {
    let mut pid = std::mem::MaybeUninit::uninit();
    // SAFETY: this is no scheduler thread, hence the null environment; `pid` is read only on success.
    let dispatcher = unsafe {
        if enif_whereis_pid(std::ptr::null_mut(), atoms::dispatcher().as_c_arg(), pid.as_mut_ptr()) == 0 {
            return false;
        }
        LocalPid::from_c_arg(pid.assume_init())
    };
    env.send(&dispatcher, |env| {
        let (request, callers) = match nested {
            Some((running, id, namespace)) => {
                let request = running.request();
                let callers = running.message().callers.in_env(env).list_prepend(request.client.encode(env));
                request.callback.offer(id, namespace);
                (RequestHandle::term(env, request.clone()), callers)
            }
            None => (atoms::nil().to_term(env), Term::list_new_empty(env)),
        };
        // SAFETY: the content was made in this environment.
        let content = unsafe { Term::new(env, content) };
        immediate::make_tuple(env, [atoms::py_callback().to_term(env), request, callers, content])
    })
}

/// Takes the result of a callback of a thread that Python started. Returns `false` if that no longer waits.
pub fn answer_thread(id: u64, term: Term<'_>) -> bool {
    let sender = lock(&THREAD_CALLS).remove(&id);
    sender.is_some_and(|sender| sender.send(CallbackResult::copy(term, None)).is_ok())
}

/// Fails the callbacks of threads that an earlier dispatcher has not answered.
pub fn fail_orphaned_calls() {
    lock(&THREAD_CALLS).clear();
}

fn result(call: &Call<'_>, answer: &CallbackResult) -> PyResult<Obj> {
    let term = answer.term();
    if answer.ok {
        return call.object(term).map_err(|raised| {
            let text = raised.summary();
            failure(call, "error", &format!("the function returned a value without a Python counterpart ({text})"), "")
        });
    }
    match term.decode::<(rustler::Atom, String, String, String)>() {
        Ok((_error, kind, text, stacktrace)) => {
            Counters::bump(&call.context.0.inbox.stats.counters.callback_errors);
            Err(failure(call, &kind, &text, &stacktrace))
        }
        Err(_) => Err(failure(call, "error", "the answer to a callback was damaged", "")),
    }
}

fn no_dispatcher(call: &Call<'_>) -> Raised {
    failure(call, "exit", "nobody can run the function: the application erlang_python is stopping", "")
}

/// `erlang.CallbackError(kind, text, stacktrace)`.
fn failure(call: &Call<'_>, kind: &str, text: &str, stacktrace: &str) -> Raised {
    let parts = [kind, text, stacktrace].map(Obj::str);
    match parts {
        [Ok(kind), Ok(text), Ok(stacktrace)] => {
            call.exception(&call.caches.helpers.callback_error, &[&kind, &text, &stacktrace])
        }
        // SAFETY: attached; a static class.
        _ => unsafe { Raised::new(ffi::PyExc_RuntimeError, text) },
    }
}
