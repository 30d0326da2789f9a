//! The thread of one context: attach, then take requests from the queue until it is closed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use rustler::Encoder;
use rustler::sys::ErlNifTerm;

use super::caches::Caches;
use super::context::{ContextRef, Shared, lock};
use super::execute::{self, Namespaces};
use super::interpreter::{Attached, Ended};
use super::interrupt;
use super::observe::{self, Sampler};
use super::request::{Event, Flags, OwnedTermEnv, RequestRef, Told};
use super::watchdog;
use crate::atoms;
use crate::bridge;
use crate::convert::Converter;
use crate::core::counters::Counters;
use crate::core::lifecycle::Phase;
use crate::core::queue::Spin;
use crate::core::stats::now;

/// A thread that is kept busy lets the other threads of its interpreter in at least this often; Python's own switch
/// interval does not apply between requests. In nanoseconds.
const HOLD: u64 = 5_000_000;

/// Callers that look for the outcome between turns give up sooner. In nanoseconds.
const LONG: u64 = 100_000;

/// So many replies are remembered that their callers have not read yet.
const MAX_LEFT: usize = 256;

/// Starts the thread of `context`. The outcome goes to the owner as `{py_context, id, {started, ident} | {failed, text}}`.
pub fn spawn(context: ContextRef) -> Result<(), String> {
    let shared = context.0.clone();
    watchdog::send(watchdog::Command::Watch(shared.clone()));
    std::thread::Builder::new()
        .name(format!("py_context_{}", shared.id))
        .stack_size(super::STACK_SIZE)
        .spawn(move || main(context))
        .map(drop)
        .map_err(|error| {
            watchdog::send(watchdog::Command::Ended(shared.id));
            format!("cannot start the thread of the context: {error}")
        })
}

fn main(context: ContextRef) {
    let shared = context.0.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(context)))
        .unwrap_or_else(|panic| Err(Failed::Panicked(panic_text(&*panic))));
    shared.queue.close().iter().for_each(|request| {
        request.fail((atoms::stopped(), shared.id));
    });
    watchdog::send(watchdog::Command::Ended(shared.id));
    let id = shared.id;
    shared.notify_owner(|env| {
        let how = match outcome {
            Ok(Ended::Cleanly) => atoms::ended().to_term(env),
            Ok(Ended::Abandoned) => atoms::abandoned().to_term(env),
            Err(Failed::Start(reason)) => (atoms::failed(), reason).encode(env),
            Err(Failed::Panicked(reason)) => (atoms::panicked(), reason).encode(env),
        };
        (atoms::py_context(), id, how).encode(env)
    });
}

/// Why a context's thread ended by itself.
enum Failed {
    Start(String),
    Panicked(String),
}

thread_local! {
    /// The context that this thread serves; null on every other thread.
    static RUNTIME: Cell<*const Runtime> = const { Cell::new(std::ptr::null()) };
}

/// The state of a context that lives and dies on its thread. Shared, not mutable: a callback runs requests in the midst of
/// another one.
pub struct Runtime {
    pub context: ContextRef,
    caches: Caches,
    namespaces: Namespaces,
    /// Where replies are built; taken while one is.
    reply: RefCell<Option<OwnedTermEnv>>,
    /// Requests whose replies were left in the environments they were built in, oldest first.
    left: RefCell<VecDeque<RequestRef>>,
    sampler: Sampler,
    /// When the last request ended, as `now()` tells.
    ended: Cell<u64>,
    /// A panic has left this interpreter in an unknown state: no further request runs.
    poisoned: RefCell<Option<String>>,
}

/// Runs `work` with the runtime of the context whose thread this is; `None` on other threads.
pub fn with_runtime<R>(work: impl FnOnce(&Runtime) -> R) -> Option<R> {
    let runtime = RUNTIME.get();
    // SAFETY: non-null only between the two `set`s in `run`, while the runtime lives on this very thread.
    (!runtime.is_null()).then(|| work(unsafe { &*runtime }))
}

fn run(context: ContextRef) -> Result<Ended, Failed> {
    let shared = context.0.clone();
    let attached = Attached::new(shared.settings.mode).map_err(Failed::Start)?;
    let runtime = match Runtime::new(context) {
        Ok(runtime) => runtime,
        Err(reason) => {
            attached.end();
            return Err(Failed::Start(reason));
        }
    };
    RUNTIME.set(&runtime);
    shared.set_interpreter(attached.interpreter());
    bridge::register(attached.interpreter(), &runtime.context);
    // Whatever happens, this thread has to end its interpreter below and let go of the GIL.
    let served = catch_unwind(AssertUnwindSafe(|| runtime.start().map(|()| runtime.serve(&attached))));
    // An interrupt holds this lock while it waits for the GIL: let go of ours first.
    attached.detach(|| shared.set_interpreter(std::ptr::null_mut()));
    bridge::unregister(&runtime.context);
    runtime.tidy();
    if shared.interp.id != 0 {
        shared.interp.ended.store(true, SeqCst);
    }
    RUNTIME.set(std::ptr::null());
    let poisoned = runtime.poisoned.take();
    drop(runtime);
    let ended = attached.end();
    match (served, poisoned) {
        (Err(panic), _) => Err(Failed::Panicked(panic_text(&*panic))),
        (Ok(Err(reason)), _) => Err(Failed::Start(reason)),
        (Ok(Ok(())), Some(reason)) => Err(Failed::Panicked(reason)),
        (Ok(Ok(())), None) => Ok(ended),
    }
}

impl Runtime {
    fn new(context: ContextRef) -> Result<Runtime, String> {
        let settings = &context.0.settings;
        let caches = Caches::new(settings).map_err(|raised| execute::describe_briefly(&raised))?;
        context.0.thread_ident.store(caches.thread_ident(), SeqCst);
        observe::watch_collections(&context.0.interp).map_err(|raised| execute::describe_briefly(&raised))?;
        let sampler = Sampler::new().map_err(|raised| execute::describe_briefly(&raised))?;
        Ok(Runtime {
            context,
            caches,
            namespaces: Namespaces::default(),
            reply: RefCell::default(),
            left: RefCell::default(),
            sampler,
            ended: Cell::new(0),
            poisoned: RefCell::new(None),
        })
    }

    /// Runs the preload code, which may use all of the package, and tells the owner that the context is there.
    fn start(&self) -> Result<(), String> {
        let shared = self.shared();
        shared.starting.store(true, SeqCst);
        let preloaded = self.caches.preload(&shared.settings);
        shared.starting.store(false, SeqCst);
        interrupt::clear_start(shared);
        preloaded.map_err(|raised| execute::describe_briefly(&raised))?;
        shared.stats.ready.store(true, SeqCst);
        let id = self.shared().id;
        self.shared().notify_owner(|env| (atoms::py_context(), id, atoms::started()).encode(env));
        Ok(())
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.context.0
    }

    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    pub fn converter<'c>(&'c self, erlang: bool, abandoned: &'c dyn Fn() -> bool) -> Converter<'c> {
        Converter { caches: &self.caches, context: &self.context, erlang, abandoned, steps: 0, size: 0, shared: false }
    }

    fn serve(&self, attached: &Attached) {
        let shared = self.shared().clone();
        let mut spin = Spin::new(shared.settings.spin);
        while !shared.queue.is_closed() {
            self.drain(&shared, &mut spin);
            self.tidy();
            self.sampler.run(&shared);
            attached.detach(|| shared.queue.wait(&mut spin));
        }
    }

    /// Runs what is queued, for `HOLD` at the most.
    fn drain(&self, shared: &Shared, spin: &mut Spin) {
        let Some(mut request) = shared.queue.pop() else { return };
        let mut since = None;
        loop {
            self.handle(&request);
            spin.generous = !request.lone;
            drop(request);
            let ended = self.ended.get();
            if ended - *since.get_or_insert(ended) > HOLD {
                return;
            }
            match shared.queue.pop() {
                Some(next) => request = next,
                None => return,
            }
            spin.encourage();
        }
    }

    /// Runs one request and replies. Also called for a nested request, in the midst of the one whose callback made it.
    pub fn handle(&self, request: &RequestRef) {
        if !request.life.start() {
            return;
        }
        let shared = self.shared();
        let level = {
            let mut stack = lock(&shared.stack);
            stack.push(request.clone());
            stack.len()
        };
        if shared.queue.is_closed() {
            // `stop` may have looked at the stack before this request was on it.
            lock(&shared.stack).pop();
            request.retire();
            request.fail((atoms::stopped(), shared.id));
            return;
        }
        // After the stack: the watchdog reads the turn first. Nested requests are part of a turn, or a callback that makes
        // many would hide how long the one below runs.
        let started = now();
        if level == 1 {
            shared.turn.fetch_add(1, SeqCst);
            // After `turn`, or the watchdog may fall asleep between the look that misses this request and the nudge.
            watchdog::nudge();
            shared.stats.busy.begin(started);
        }
        request.timing.start(started);
        Counters::bump_own(&shared.stats.counters.calls);
        let env = self.reply_env();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(request, &env)));
        lock(&shared.stack).pop();
        interrupt::clear_late(shared, request);
        let ended = now();
        self.ended.set(ended);
        request.timing.end(ended);
        shared.stats.latency.record(ended - started);
        // The BEAM's part does not count.
        if ended - started > LONG && request.timing.times(ended).1 > LONG {
            shared.patience().hopeless();
        }
        if level == 1 {
            shared.stats.busy.end(ended);
        }
        match outcome {
            Ok(reply) => self.deliver(request, reply, env),
            Err(panic) => self.poison(request, panic_text(&*panic)),
        }
    }

    /// An empty environment: memory that this thread allocated is cheapest to use, and to free, here. The VM has its
    /// auxiliary thread, woken for it, free what another thread frees.
    fn reply_env(&self) -> OwnedTermEnv {
        let reply = self.reply.take();
        reply.or_else(|| self.reclaim()).unwrap_or_else(OwnedTermEnv::new)
    }

    /// The environment of a reply that its caller has read. Looks at two: one is left for each, so they do not pile up.
    fn reclaim(&self) -> Option<OwnedTermEnv> {
        let mut left = self.left.borrow_mut();
        let mut reclaimed = None;
        for _ in 0..2 {
            let Some(request) = left.pop_front() else { break };
            // SAFETY: the reply of that request was told by this thread, and is all there is to tell.
            match unsafe { request.reclaim() } {
                Some(env) => reclaimed = Some(env),
                // Of a caller that has died, nobody else knows it: dropped here.
                None if Arc::strong_count(&request) == 1 || left.len() >= MAX_LEFT => {}
                None => left.push_back(request),
            }
        }
        reclaimed
    }

    /// What a panic left behind in this interpreter is unknown: the owner restarts the context.
    fn poison(&self, request: &RequestRef, text: String) {
        let shared = self.shared();
        request.retire();
        request.fail((atoms::panicked(), &text));
        shared.queue.close().iter().for_each(|request| {
            request.fail((atoms::stopped(), shared.id));
        });
        self.poisoned.replace(Some(text));
    }

    /// Runs the request and builds `{ok, value} | {error, reason}` in the reply environment.
    fn answer(&self, request: &RequestRef, env: &OwnedTermEnv) -> Reply {
        let env = env.env();
        // SAFETY: this thread runs the request and frees its message only in `deliver`.
        let (_reference, operation, namespace, _callers) = unsafe { request.message() };
        let abandoned = || request.life.phase() != Phase::Running;
        let mut converter = self.converter(request.flags.has(Flags::ERLANG), &abandoned);
        let result = execute::run(&mut converter, &self.namespaces, operation, namespace).and_then(|object| {
            if request.flags.has(Flags::RETURN_OBJECT) {
                Ok(converter.handle_term(object, env)?)
            } else if request.flags.has(Flags::CAST) {
                Ok(atoms::nil().to_term(env))
            } else {
                Ok(converter.to_term(object, env, 1)?)
            }
        });
        let ok = result.is_ok();
        let small = ok && converter.size <= SMALL;
        let event = match result {
            Ok(value) => (atoms::ok(), value).encode(env),
            Err(failure) => {
                let interrupted = request.interrupted.load(SeqCst);
                env.error_tuple(failure.into_term(&mut converter, env, interrupted))
            }
        };
        Reply { event: event.as_c_arg(), ok, small, shared: converter.shared }
    }

    fn deliver(&self, request: &RequestRef, reply: Reply, mut env: OwnedTermEnv) {
        if !reply.ok {
            Counters::bump_own(&self.shared().stats.counters.errors);
        }
        // Before the reply: its receiver may count permits, or make the next call.
        request.retire();
        let wanted = request.life.deliver();
        if wanted && !(reply.ok && request.flags.has(Flags::CAST)) {
            // SAFETY: this thread has moved the request to `Delivering`.
            let told = Told { event: Event::Result, env, term: reply.event, shared: reply.shared };
            let back = unsafe { request.tell(told, reply.small) };
            request.life.delivered();
            match back {
                Ok(Some(back)) | Err(back) => env = back,
                // The caller reads the reply, and frees the message, which it allocated.
                Ok(None) => {
                    self.left.borrow_mut().push_back(request.clone());
                    return;
                }
            }
        } else {
            env.clear();
        }
        if wanted || request.life.phase() == Phase::Cancelled {
            request.free_env();
        }
        *self.reply.borrow_mut() = Some(env);
    }

    /// Housekeeping between batches: forgotten handles, namespaces of dead processes.
    fn tidy(&self) {
        let shared = self.shared();
        // SAFETY: handles of this bin belong to the interpreter this thread is attached to.
        unsafe { execute::release_all(shared.interp.bin.take()) };
        for pid in std::mem::take(&mut *lock(&shared.dead_namespaces)) {
            self.namespaces.forget(&pid);
        }
    }
}

struct Reply {
    event: ErlNifTerm,
    ok: bool,
    /// Cheap to copy, and keeps nothing alive but binaries, if `shared`.
    small: bool,
    shared: bool,
}

/// `Converter::size` of results that callers copy; larger ones are sent, which copies nothing.
pub const SMALL: usize = 256;

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "unknown panic".to_owned(),
    }
}
