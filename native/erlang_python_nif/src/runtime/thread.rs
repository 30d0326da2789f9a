//! The thread of one context: attach, then take requests from the queue until it is closed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rustler::sys::ErlNifTerm;
use rustler::{Encoder, Term};

use super::caches::Caches;
use super::context::{ContextRef, Shared, lock};
use super::execute::{self, Namespaces};
use super::interpreter::{Attached, Ended};
use super::interrupt;
use super::request::{Flags, OwnedTermEnv, RequestRef};
use super::watchdog;
use crate::atoms;
use crate::convert::Converter;
use crate::core::counters::Counters;
use crate::core::lifecycle::Phase;
use crate::core::queue::Spin;

/// A thread that is kept busy lets the other threads of its interpreter in at least this often; Python's own switch
/// interval does not apply between requests.
const HOLD: Duration = Duration::from_millis(5);

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
    let outcome = catch_unwind(AssertUnwindSafe(|| run(context)));
    shared.queue.close().iter().for_each(|request| {
        request.fail((atoms::stopped(), shared.id));
    });
    watchdog::send(watchdog::Command::Ended(shared.id));
    let id = shared.id;
    shared.notify_owner(|env| match outcome {
        Ok(Ok(Ended::Cleanly)) => (atoms::py_context(), id, atoms::ended()).encode(env),
        Ok(Ok(Ended::Abandoned)) => (atoms::py_context(), id, atoms::abandoned()).encode(env),
        Ok(Err(reason)) => (atoms::py_context(), id, (atoms::failed(), reason)).encode(env),
        Err(panic) => (atoms::py_context(), id, (atoms::panicked(), panic_text(&*panic))).encode(env),
    });
}

/// The state of a context that lives and dies on its thread.
struct Runtime {
    context: ContextRef,
    caches: Caches,
    namespaces: Namespaces,
    reply: OwnedTermEnv,
}

fn run(context: ContextRef) -> Result<Ended, String> {
    let shared = context.0.clone();
    let mut attached = Attached::new(shared.settings.mode)?;
    let mut runtime = match Runtime::new(context) {
        Ok(runtime) => runtime,
        Err(reason) => {
            attached.end();
            return Err(reason);
        }
    };
    shared.set_interpreter(attached.interpreter());
    let id = shared.id;
    shared.notify_owner(|env| (atoms::py_context(), id, atoms::started()).encode(env));
    let served = catch_unwind(AssertUnwindSafe(|| runtime.serve(&mut attached)));
    // An interrupt holds this lock while it waits for the GIL: let go of ours first.
    attached.detach(|| shared.set_interpreter(std::ptr::null_mut()));
    runtime.tidy();
    let owned = shared.interp.id != 0;
    if owned {
        shared.interp.ended.store(true, SeqCst);
    }
    drop(runtime);
    let ended = attached.end();
    match served {
        Ok(()) => Ok(ended),
        Err(panic) => resume_unwind(panic),
    }
}

impl Runtime {
    fn new(context: ContextRef) -> Result<Runtime, String> {
        let settings = &context.0.settings;
        let caches = Caches::new(settings).map_err(|raised| execute::describe_briefly(&raised))?;
        context.0.thread_ident.store(caches.thread_ident(), SeqCst);
        Ok(Runtime { context, caches, namespaces: Namespaces::default(), reply: OwnedTermEnv::new() })
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.context.0
    }

    fn serve(&mut self, attached: &mut Attached) {
        let shared = self.shared().clone();
        let mut spin = Spin::new(shared.settings.spin);
        while !shared.queue.is_closed() {
            self.drain(&shared, &mut spin);
            self.tidy();
            attached.detach(|| shared.queue.wait(&mut spin));
            watchdog::nudge();
        }
    }

    /// Runs what is queued, for `HOLD` at the most.
    fn drain(&mut self, shared: &Shared, spin: &mut Spin) {
        let Some(mut request) = shared.queue.pop() else { return };
        let mut since = None;
        loop {
            self.handle(&request);
            drop(request);
            match shared.queue.pop() {
                Some(next) => request = next,
                None => return,
            }
            spin.encourage();
            if since.get_or_insert_with(Instant::now).elapsed() > HOLD {
                self.handle(&request);
                return;
            }
        }
    }

    fn handle(&mut self, request: &RequestRef) {
        if !request.life.start() {
            return;
        }
        let shared = self.shared().clone();
        *lock(&shared.current) = Some(request.clone());
        // After `current`: the watchdog reads the turn first.
        shared.turn.fetch_add(1, SeqCst);
        Counters::bump(&shared.counters.calls);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(request)));
        *lock(&shared.current) = None;
        interrupt::clear_late(&shared, request);
        match outcome {
            Ok(reply) => self.deliver(request, reply),
            Err(panic) => {
                // What the panic left behind in this interpreter is unknown: the owner restarts the context.
                request.permit.release();
                request.fail((atoms::panicked(), panic_text(&*panic)));
                resume_unwind(panic);
            }
        }
    }

    /// Runs the request and builds `{reference, {ok, value} | {error, reason}}` in the reply environment.
    fn answer(&mut self, request: &RequestRef) -> Reply {
        let env = self.reply.env();
        // SAFETY: this thread runs the request and frees its message only in `deliver`.
        let (reference, operation, namespace) = unsafe { request.message() };
        let abandoned = || request.life.phase() != Phase::Running;
        let mut converter = Converter {
            caches: &mut self.caches,
            context: &self.context,
            erlang: request.flags.has(Flags::ERLANG),
            abandoned: &abandoned,
            steps: 0,
        };
        let result = execute::run(&mut converter, &mut self.namespaces, operation, namespace).and_then(|object| {
            if request.flags.has(Flags::RETURN_OBJECT) {
                Ok(converter.handle_term(object, env)?)
            } else if request.flags.has(Flags::CAST) {
                Ok(atoms::nil().to_term(env))
            } else {
                Ok(converter.to_term(object, env, 1)?)
            }
        });
        let ok = result.is_ok();
        let content = match result {
            Ok(value) => (atoms::ok(), value).encode(env),
            Err(failure) => {
                let interrupted = request.interrupted.load(SeqCst);
                env.error_tuple(failure.into_term(&mut converter, env, interrupted))
            }
        };
        Reply { term: (reference.in_env(env), content).encode(env).as_c_arg(), ok }
    }

    fn deliver(&mut self, request: &RequestRef, reply: Reply) {
        if !reply.ok {
            Counters::bump(&self.shared().counters.errors);
        }
        // Before the reply: its receiver may count permits, or make the next call.
        request.permit.release();
        let wanted = request.life.deliver();
        if wanted && !(reply.ok && request.flags.has(Flags::CAST)) {
            // SAFETY: the term was built in this environment.
            self.reply.send(&request.caller, |env| unsafe { Term::new(env, reply.term) });
        } else {
            self.reply.clear();
        }
        if wanted || request.life.phase() == Phase::Cancelled {
            request.free_env();
        }
    }

    /// Housekeeping between batches: forgotten handles, namespaces of dead processes.
    fn tidy(&mut self) {
        let shared = self.shared().clone();
        // SAFETY: handles of this bin belong to the interpreter this thread is attached to.
        unsafe { execute::release_all(shared.interp.bin.take()) };
        for pid in std::mem::take(&mut *lock(&shared.dead_namespaces)) {
            self.namespaces.forget(self.reply.env(), &pid);
        }
    }
}

struct Reply {
    term: ErlNifTerm,
    ok: bool,
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "unknown panic".to_owned(),
    }
}
