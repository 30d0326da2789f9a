//! `erlang.call`: Python calls a function of the BEAM.
//!
//! 1. The request that runs on this thread is served to a process that waits for it. The function's name and arguments go
//!    to that process as `{reference, {callback, id, target, args}}`: it runs the function in its own `receive` loop.
//! 2. This thread releases the interpreter and waits, on its queue, for the answer.
//! 3. Calls of that function into Python are *nested requests*. `CHAINS` tells whose they are; on this context they run
//!    right here, on top of the waiting one, and ride on its permit; so do those of other chains, which may hold a context
//!    that this one is about to call. First requests of strangers wait their turn.
//! 4. `answer` brings the result, or the request is interrupted, and Python goes on.
//!
//! Where no process waits (casts, tasks, threads that Python started) the dispatcher, a registered process, has the function
//! run in a process of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, RwLock, RwLockWriteGuard};

use flume::{RecvError, Sender};
use pyo3::ffi;
use rustler::sys::{ErlNifTerm, enif_whereis_pid};
use rustler::{Binary, Encoder, Env, LocalPid, ResourceArc, Term};

use super::Call;
use crate::beam::atoms;
use crate::beam::env::{OwnedTermEnv, pid_word};
use crate::beam::immediate;
use crate::python::interpreter::detach;
use crate::python::object::{Obj, PyResult, Raised};
use crate::runtime::objects::ObjectHandle;
use crate::runtime::request::{Event, Flags, RequestHandle, RequestRef, Told};
use crate::runtime::thread::{Runtime, SMALL, is_ending};
use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::stats::counters::Counters;
use erlang_python_core::sync::answer::AnswerPlace;
use erlang_python_core::sync::lock;
use erlang_python_core::sync::queue::Spin;
use erlang_python_core::words::WordMap;

/// Levels of Python -> BEAM -> Python on one chain. Python's own recursion limit (1,000 frames) allows about three frames a
/// level.
pub const MAX_CHAIN: usize = 256;

/// Longer binaries are shared by the environments and processes that have them, in bytes (`ERL_ONHEAP_BINARY_LIMIT`).
const MAX_HEAP_BINARY: usize = 64;

/// What a function returned, in an environment of its own.
pub struct Answer {
    env: OwnedTermEnv,
    /// The value if `ok`, else `{error, kind, text, stacktrace}`.
    term: ErlNifTerm,
    ok: bool,
}

impl Answer {
    /// Copies `{ok, value}` or an error, into the environment of an earlier answer, if there is one.
    fn copy(term: Term<'_>, earlier: Option<Answer>) -> Answer {
        let value = term.decode().ok().filter(|(tag, _)| *tag == atoms::ok());
        let value: Option<(rustler::Atom, Term)> = value;
        let mut env = earlier.map_or_else(OwnedTermEnv::new, |earlier| earlier.env);
        env.clear();
        let (ok, term) = value.map_or((false, term), |(_ok, value)| (true, value));
        let term = env.copy(term).as_c_arg();
        Answer { env, term, ok }
    }

    fn term(&self) -> Term<'_> {
        // SAFETY: the term lives in this environment.
        unsafe { Term::new(self.env.env(), self.term) }
    }

    /// Whether it takes so little memory, and keeps nothing alive, that it need not be freed at once.
    fn is_small(&self) -> bool {
        let term = self.term();
        let binary = || Binary::from_term(term).is_ok_and(|binary| binary.len() <= MAX_HEAP_BINARY);
        self.ok && (immediate::small(term).is_some() || term.is_atom() || term.is_float() || binary())
    }
}

/// The callback that a request waits for.
#[derive(Default)]
pub struct CallbackSlot {
    answer: AnswerPlace<Answer>,
    /// An interrupt came while the request waited.
    interrupted: AtomicBool,
    /// Held from the moment a request is `Serving` until its caller has been asked, so that an error which ends the request
    /// meanwhile comes after the question, and no question comes after an error.
    asking: Mutex<()>,
    /// For the process that the dispatcher starts: what its calls are nested in.
    parent: Mutex<Option<Parent>>,
}

impl CallbackSlot {
    fn expect(&self, id: u64) {
        self.interrupted.store(false, SeqCst);
        self.answer.open(id);
    }

    /// Ends the wait for the answer: whether there was one. Attached to the interpreter of the request, as is who waits
    /// whenever it opens or closes the place of the answer.
    pub fn interrupt(&self) -> bool {
        let waiting = self.answer.is_open();
        if waiting {
            self.interrupted.store(true, SeqCst);
        }
        waiting
    }

    /// Waits until the question of a serving request was asked; the guard keeps the order of what follows.
    pub fn after_asking(&self, phase: Phase) -> Option<MutexGuard<'_, ()>> {
        (phase == Phase::Serving).then(|| lock(&self.asking))
    }

    /// No process that the dispatcher starts works for this request from now on. A parent refers to its request.
    fn forget_parent(&self) {
        lock(&self.parent).take();
    }

    /// No answer is taken from now on. Returns the one there is, unless an interrupt came before it was looked at.
    ///
    /// # Safety
    /// This thread runs the request.
    unsafe fn finish(&self) -> Option<Answer> {
        // SAFETY: promised by the caller; only that thread asks.
        unsafe { self.answer.close() }.filter(|_| !self.interrupted.load(SeqCst))
    }

    /// Has the next answer use the memory of this one, which was read: its thread allocated it.
    ///
    /// # Safety
    /// This thread runs the request.
    unsafe fn keep(&self, answer: Answer) {
        // What the conversion of the value ran may have asked for something itself, but waits for nothing any more.
        if answer.is_small() {
            // SAFETY: promised by the caller.
            unsafe { self.answer.keep(answer) }
        }
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A request that waits for a callback, and the namespace it runs in: calls of the callback that name no context run there.
#[derive(Clone)]
pub struct Parent {
    pub request: RequestRef,
    pub namespace: Namespace,
}

/// Names that a request sees, kept beside its message, which may be freed before a nested request asks.
#[derive(Clone)]
pub enum Namespace {
    Context,
    Process(LocalPid),
    Env(ResourceArc<ObjectHandle>),
}

impl Namespace {
    fn from_term(term: Term<'_>) -> Namespace {
        if let Ok(pid) = term.decode() {
            return Namespace::Process(pid);
        }
        term.decode().map_or(Namespace::Context, Namespace::Env)
    }

    pub fn to_term<'a>(&self, env: Env<'a>) -> Term<'a> {
        match self {
            Namespace::Context => atoms::context().to_term(env),
            Namespace::Process(pid) => pid.encode(env),
            Namespace::Env(object) => object.encode(env),
        }
    }
}

/// Processes that run a function for a request, innermost last: what they call is nested in that request.
static CHAINS: LazyLock<Mutex<WordMap<ErlNifTerm, Vec<Parent>>>> = LazyLock::new(Mutex::default);
/// How many entries there are, so that other processes' calls need not take the lock.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// The process `pid` runs a function for `parent` from now on.
fn enter_chain(pid: &LocalPid, parent: Parent) {
    lock(&CHAINS).entry(pid_word(pid)).or_default().push(parent);
    ACTIVE.fetch_add(1, SeqCst);
}

/// The function of `request` is done, which `pid` ran, or, for the dispatcher's, some process.
fn leave_chain(request: &RequestRef, pid: Option<&LocalPid>) {
    let mut chains = lock(&CHAINS);
    // Dropped after the lock is released.
    let mut left = Vec::new();
    let mut leave = |requests: &mut Vec<Parent>| {
        left.extend(requests.extract_if(.., |parent| Arc::ptr_eq(&parent.request, request)));
        !requests.is_empty()
    };
    match pid.map(pid_word) {
        Some(key) => {
            if let Some(requests) = chains.get_mut(&key)
                && !leave(requests)
            {
                chains.remove(&key);
            }
        }
        None => chains.retain(|_, requests| leave(requests)),
    }
    drop(chains);
    ACTIVE.fetch_sub(left.len(), SeqCst);
}

/// The request that a call of `caller` is nested in: its own, or that of the nearest of `$callers` that has one. A request
/// that ended while it waited, with its context or its time, has told its caller, who goes on before the entry is gone.
#[inline]
pub fn parent_of(caller: &LocalPid, callers: impl FnOnce() -> Vec<LocalPid>) -> Option<Parent> {
    if ACTIVE.load(SeqCst) == 0 {
        return None;
    }
    let chains = lock(&CHAINS);
    let waits = |parent: &&Parent| parent.request.life.phase() == Phase::Serving;
    let innermost = |pid: &LocalPid| chains.get(&pid_word(pid))?.iter().rev().find(waits).cloned();
    innermost(caller).or_else(|| callers().iter().find_map(innermost))
}

/// Names of registered functions: what `erlang.<name>` finds; and whether the Erlang API has registered them.
static NAMES: LazyLock<RwLock<HashMap<String, bool>>> = LazyLock::new(RwLock::default);
/// Whether the Erlang API has ever registered one.
static ANY_OF_ERLANG: AtomicBool = AtomicBool::new(false);

fn names() -> RwLockWriteGuard<'static, HashMap<String, bool>> {
    NAMES.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn set_registered(name: String, erlang: bool) {
    if erlang {
        ANY_OF_ERLANG.store(true, SeqCst);
    }
    names().insert(name, erlang);
}

pub fn clear_registered_name(name: &str) {
    names().remove(name);
}

/// The table of functions is a new one.
pub fn clear_registered() {
    names().clear();
}

/// Whether the Erlang API has registered the function of that name; `None` when there is none.
fn registered(name: &Obj) -> PyResult<Option<bool>> {
    // Before the lock: this may run Python code.
    let name = name.as_utf8()?;
    let names = NAMES.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(names.get(name).copied())
}

/// Functions of the Erlang API have values of its dialect, whoever called Python; others those of the request (`None`).
fn dialect_of(target: &Obj) -> PyResult<Option<bool>> {
    // SAFETY: attached.
    let named = ANY_OF_ERLANG.load(SeqCst) && unsafe { ffi::PyUnicode_Check(target.as_ptr()) } != 0;
    if named { Ok(registered(target)?.filter(|erlang| *erlang)) } else { Ok(None) }
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
        (content.as_c_arg(), target_size + args_size <= SMALL)
    };
    match (call.runtime, &call.request) {
        (Some(runtime), Some(request)) => {
            Counters::bump(&call.context.0.stats.counters.callbacks);
            let answer = on_context(call, runtime, request, id, (env, content, small))?;
            let value = result(call, &answer);
            // SAFETY: this thread runs the request.
            unsafe { request.callback.keep(answer) };
            value
        }
        // The context itself would wait, and with it everybody: preload code, a destructor.
        (runtime, _) if runtime.is_some() || is_ending() => {
            let text = "a context can call functions only while it runs a request, not in preload code or destructors";
            Err(failure(call, "error", text, ""))
        }
        _ => {
            Counters::bump(&call.context.0.stats.counters.callbacks);
            result(call, &on_thread(call, id, &mut env, content)?)
        }
    }
}

fn on_context(
    call: &Call<'_>,
    runtime: &Runtime,
    request: &RequestRef,
    id: u64,
    (mut env, content, small): (OwnedTermEnv, ErlNifTerm, bool),
) -> PyResult<Answer> {
    if request.depth().max(lock(&runtime.shared().stack).len()) > MAX_CHAIN {
        let text = format!("callbacks nested deeper than {MAX_CHAIN} levels");
        return Err(failure(call, "error", &text, ""));
    }
    let asking = lock(&request.callback.asking);
    if !request.life.serve() {
        return Err(interrupted(request));
    }
    request.callback.expect(id);
    // SAFETY: this thread runs the request.
    let (_, _, namespace, _) = unsafe { request.message() };
    let parent = Parent { request: request.clone(), namespace: Namespace::from_term(namespace) };
    // Those who wait for a reply run the function themselves; others are served by the dispatcher.
    let direct = !request.flags.has(Flags::ASYNC);
    if direct {
        enter_chain(&request.caller, parent);
        // Refused where the waiting process has died: the watchdog is about to say so.
        let told = Told { event: Event::Question, env, term: content, shared: false };
        // SAFETY: this thread holds `asking`.
        let _ = unsafe { request.tell(told, small) };
    } else if !dispatch(&mut env, content, Some(parent)) {
        request.callback.forget_parent();
        // SAFETY: this thread runs the request.
        unsafe { request.callback.finish() };
        request.life.resume();
        return Err(no_dispatcher(call));
    }
    drop(asking);
    let answer = request.timing.waiting(|| wait(runtime, request));
    if !direct {
        request.callback.forget_parent();
    }
    leave_chain(request, direct.then_some(&request.caller));
    match (request.life.resume(), answer) {
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
fn wait(runtime: &Runtime, request: &RequestRef) -> Option<Answer> {
    let shared = runtime.shared();
    let mut spin = Spin::new(shared.settings.spin);
    let answered = || request.callback.answer.is_answered();
    let unwanted = || request.life.phase() != Phase::Serving || request.callback.interrupted.load(SeqCst);
    loop {
        if answered() || unwanted() {
            // SAFETY: this thread runs the request.
            return unsafe { request.callback.finish() };
        }
        // Read before the look: what arrives after it ends the wait.
        let seen = shared.queue.arrivals();
        if let Some(nested) = shared.queue.pop_first_class(|nested| runs_on_top(nested, request, runtime)) {
            runtime.handle(&nested);
            continue;
        }
        // SAFETY: called by Python code, hence attached.
        unsafe {
            detach(|| {
                let ready = || answered() || unwanted() || shared.queue.arrivals() != seen;
                shared.queue.wait_for(&mut spin, ready);
            });
        }
    }
}

/// Whether a nested request runs while `waiting` waits: one that it led to; or one of another chain, for that chain may be
/// what a context waits for that `waiting` itself is about to call. One of the same chain that `waiting` did not lead to (a
/// Task beside it) has to wait: the two may wait for each other.
fn runs_on_top(nested: &RequestRef, waiting: &RequestRef, runtime: &Runtime) -> bool {
    let other_chain = || nested.chain() != waiting.chain();
    nested.descends_from(waiting) || (other_chain() && lock(&runtime.shared().stack).len() < MAX_CHAIN)
}

/// Threads that Python code started: the dispatcher answers through a channel.
static PENDING: LazyLock<Mutex<HashMap<u64, Sender<Answer>>>> = LazyLock::new(Mutex::default);

fn on_thread(call: &Call<'_>, id: u64, env: &mut OwnedTermEnv, content: ErlNifTerm) -> PyResult<Answer> {
    let (sender, receiver) = flume::bounded(1);
    lock(&PENDING).insert(id, sender);
    if !dispatch(env, content, None) {
        lock(&PENDING).remove(&id);
        return Err(no_dispatcher(call));
    }
    // SAFETY: called by Python code, hence attached.
    let answer = unsafe { detach(|| receiver.recv()) };
    answer.map_err(|RecvError::Disconnected| no_dispatcher(call))
}

/// Sends `{py_callback, request | nil, callers, {callback, id, target, args}}` to the dispatcher; `callers` are what
/// `$callers` of the function's process shall be.
fn dispatch(env: &mut OwnedTermEnv, content: ErlNifTerm, parent: Option<Parent>) -> bool {
    let mut pid = std::mem::MaybeUninit::uninit();
    // SAFETY: this is no scheduler thread, hence the null environment; `pid` is read only on success.
    let dispatcher = unsafe {
        if enif_whereis_pid(std::ptr::null_mut(), atoms::dispatcher().as_c_arg(), pid.as_mut_ptr()) == 0 {
            return false;
        }
        LocalPid::from_c_arg(pid.assume_init())
    };
    env.send(&dispatcher, |env| {
        let (request, callers) = match parent {
            Some(parent) => {
                let request = parent.request.clone();
                // SAFETY: this thread runs the request.
                let (.., callers) = unsafe { request.message() };
                let callers = callers.in_env(env).list_prepend(request.client.encode(env));
                *lock(&request.callback.parent) = Some(parent);
                (RequestHandle(request).encode(env), callers)
            }
            None => (atoms::nil().to_term(env), Term::list_new_empty(env)),
        };
        // SAFETY: the content was made in this environment.
        let content = unsafe { Term::new(env, content) };
        immediate::make_tuple(env, [atoms::py_callback().to_term(env), request, callers, content])
    })
}

/// A process of the dispatcher runs the function that `request` waits for: its calls are nested in it.
pub fn enter(pid: &LocalPid, request: &RequestRef) {
    // Under the lock of the chains: the request's own thread clears `parent` first and its entries then.
    let mut chains = lock(&CHAINS);
    let parent = lock(&request.callback.parent).take();
    if let Some(parent) = parent {
        chains.entry(pid_word(pid)).or_default().push(parent);
        ACTIVE.fetch_add(1, SeqCst);
    }
}

/// Takes the answer to a request's callback: whether it still waits for that one.
pub fn answer(request: &RequestRef, id: u64, term: Term<'_>) -> bool {
    let taken = request.callback.answer.put(id, |earlier| Answer::copy(term, earlier));
    if taken {
        request.context.queue.unpark();
    }
    taken
}

/// Takes the answer to a callback of a thread that Python started.
pub fn answer_thread(id: u64, term: Term<'_>) -> bool {
    let sender = lock(&PENDING).remove(&id);
    sender.is_some_and(|sender| sender.send(Answer::copy(term, None)).is_ok())
}

/// The dispatcher has started anew: nobody will answer what the old one was asked.
pub fn drop_pending() {
    lock(&PENDING).clear();
}

fn result(call: &Call<'_>, answer: &Answer) -> PyResult<Obj> {
    let term = answer.term();
    if answer.ok {
        return call.object(term).map_err(|raised| {
            let text = raised.summary();
            failure(call, "error", &format!("the function returned a value without a Python counterpart ({text})"), "")
        });
    }
    match term.decode::<(rustler::Atom, String, String, String)>() {
        Ok((_error, kind, text, stacktrace)) => {
            Counters::bump(&call.context.0.stats.counters.callback_errors);
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

/// Decodes the pids among `$callers`.
pub fn pids(list: Term<'_>) -> Vec<LocalPid> {
    list.into_list_iterator().map(|terms| terms.filter_map(|term| term.decode().ok()).collect()).unwrap_or_default()
}
