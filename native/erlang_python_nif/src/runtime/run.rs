//! One request on the thread of its context.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::stats::counters::Counters;
use erlang_python_core::stats::now;
use erlang_python_core::sync::{errands, lock};
use rustler::sys::ErlNifTerm;
use rustler::{Encoder, Term};

use super::failure::Failure;
use super::interrupt;
use super::operation;
use super::thread::{Runtime, panic_text};
use super::variables::Guest;
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;
use crate::python::fork;
use crate::request::RequestRef;
use crate::request::flags::Flags;
use crate::request::outcome::{Event, Notice};
use crate::request::running::{Message, Running};

/// Callers poll for less than this, in nanoseconds.
const SLOW: u64 = 100_000;

/// The maximum number of replies that wait for their callers to read them.
const MAX_UNREAD: usize = 256;

impl Runtime {
    /// Runs one request and replies. Also called for a nested request, in the midst of the one whose callback made it.
    pub fn handle(&self, request: &RequestRef) {
        let Some(running) = Running::start(request) else { return };
        let shared = self.shared();
        let level = {
            let mut stack = lock(&shared.inbox.stack);
            stack.push(request.clone());
            stack.len()
        };
        if shared.inbox.queue.is_closed() {
            // `stop` may have looked at the stack before this request was on it.
            lock(&shared.inbox.stack).pop();
            request.retire();
            request.fail((atoms::stopped(), shared.inbox.id));
            return;
        }
        // After the stack: the watchdog reads the turn first. Nested requests are part of a turn, or a callback that makes
        // many would hide how long the one below runs.
        let started = now();
        if level == 1 {
            shared.inbox.turn.fetch_add(1, SeqCst);
            // After `turn`, or the watchdog may fall asleep between the look that misses this request and the nudge.
            errands::nudge();
            shared.inbox.stats.busy.begin(started);
        }
        request.timing.start(started);
        Counters::bump_own(&shared.inbox.stats.counters.calls);
        let env = self.reply_env();
        let below = self.running.replace(Some(NonNull::from(&running).cast()));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.reply_to(&running, level > 1, &env)));
        self.running.set(below);
        lock(&shared.inbox.stack).pop();
        interrupt::clear_late(shared, request);
        let ended = now();
        self.ended.set(ended);
        request.timing.end(ended);
        if !outcome.as_ref().is_ok_and(|reply| reply.again) {
            shared.inbox.stats.latency.record(ended - started);
        }
        // The BEAM's part does not count.
        if ended - started > SLOW && request.timing.times(ended).1 > SLOW {
            shared.inbox.backoff().give_up();
        }
        if level == 1 {
            shared.inbox.stats.busy.end(ended);
        }
        if fork::is_child() {
            // Forked after its code had ended, by a method that the conversion of the result calls.
            fork::end_child();
        }
        match outcome {
            Ok(reply) => self.deliver(running, reply, env),
            Err(panic) => self.poison(request, panic_text(&*panic)),
        }
    }

    /// An empty environment: memory that this thread allocated is cheapest to use, and to free, here. The VM has its
    /// auxiliary thread, woken for it, free what another thread frees.
    fn reply_env(&self) -> OwnedTermEnv {
        let reply = self.spare_env.take();
        reply.or_else(|| self.reclaim()).unwrap_or_else(OwnedTermEnv::new)
    }

    /// The environment of a reply that its caller has read. Tries two, because each call leaves one: so they do not pile up.
    fn reclaim(&self) -> Option<OwnedTermEnv> {
        let mut unread = self.unread.borrow_mut();
        let mut reclaimed = None;
        for _ in 0..2 {
            let Some(reply) = unread.pop_front() else { break };
            match reply.reclaim() {
                Some(env) => reclaimed = Some(env),
                None if reply.is_orphaned() || unread.len() >= MAX_UNREAD => {}
                None => unread.push_back(reply),
            }
        }
        reclaimed
    }

    /// A panic leaves this interpreter in an unknown state, so the owner restarts the context.
    fn poison(&self, request: &RequestRef, text: String) {
        let shared = self.shared();
        request.retire();
        request.fail((atoms::panicked(), &text));
        shared.inbox.queue.close().iter().for_each(|request| {
            request.fail((atoms::stopped(), shared.inbox.id));
        });
        self.poisoned.replace(Some(text));
    }

    /// Runs the request and builds `{ok, value} | {error, reason}` in the reply environment.
    fn reply_to(&self, running: &Running<'_>, nested: bool, env: &OwnedTermEnv) -> Reply {
        let request = running.request();
        let Message { operation, namespace, .. } = running.message();
        let Some(variables) = &self.variables else { return self.evaluate(request, operation, namespace, env) };
        let guest = Guest { namespaces: &self.namespaces, context: &self.context, request, namespace, nested };
        let outer = variables.enter(&guest);
        let reply = self.evaluate(request, operation, namespace, env);
        variables.leave(&guest, outer);
        reply
    }

    fn evaluate(&self, request: &RequestRef, operation: Term<'_>, namespace: Term<'_>, env: &OwnedTermEnv) -> Reply {
        let env = env.env();
        let cancelled = || request.life.phase() != Phase::Running;
        let mut converter = self.converter(request.flags.dialect(), &cancelled);
        let result = operation::run(&self.scene(), &mut converter, operation, namespace);
        if fork::is_child() {
            match &result {
                Ok(_) => fork::leave(None),
                Err(Failure::Raised(raised)) => fork::leave(Some(raised)),
                // The arguments of its own request did not convert, say.
                Err(_) => fork::end_child(),
            }
        }
        let result = result.and_then(|object| {
            if request.flags.has(Flags::RETURN_OBJECT) {
                Ok(converter.handle_term(object, env)?)
            } else if request.flags.has(Flags::CAST) {
                Ok(atoms::nil().to_term(env))
            } else {
                Ok(converter.to_term(object, env, 1)?)
            }
        });
        let again = matches!(result, Err(Failure::NeedsEncoder)) && !request.flags.has(Flags::ASYNC);
        let ok = result.is_ok();
        let small = ok && converter.size <= MAX_COPIED;
        let event = match result {
            Ok(value) => (atoms::ok(), value).encode(env),
            Err(failure) => {
                let interrupted = request.interrupted.load(SeqCst);
                env.error_tuple(failure.into_term(
                    &self.caches.helpers,
                    &mut converter,
                    env,
                    interrupted,
                    request.flags.has(Flags::TRACEBACK),
                ))
            }
        };
        Reply { event: event.as_c_arg(), ok, again, small, shared: converter.has_refc_binaries }
    }

    fn deliver(&self, running: Running<'_>, reply: Reply, mut env: OwnedTermEnv) {
        if reply.again {
            Counters::take_back(&self.shared().inbox.stats.counters.calls);
        } else if !reply.ok {
            Counters::bump_own(&self.shared().inbox.stats.counters.errors);
        }
        let request = running.request();
        // Before the reply: its receiver may count permits, or make the next call.
        request.retire();
        let Some(delivery) = running.deliver() else {
            env.clear();
            *self.spare_env.borrow_mut() = Some(env);
            return;
        };
        if request.flags.has(Flags::TRACKED) {
            // SAFETY: the term was made in `env`.
            let event = unsafe { Term::new(env.env(), reply.event) };
            request.report_end((!reply.ok).then_some(event));
        }
        if reply.ok && request.flags.has(Flags::CAST) {
            env.clear();
            delivery.skip();
        } else {
            let notice = Notice { event: Event::Result, env, term: reply.event, shared: reply.shared };
            match delivery.reply(notice, reply.small) {
                Ok(back) => env = back,
                Err(unread) => {
                    self.unread.borrow_mut().push_back(unread);
                    return;
                }
            }
        }
        *self.spare_env.borrow_mut() = Some(env);
    }
}

struct Reply {
    event: ErlNifTerm,
    ok: bool,
    /// Nothing has run: the caller encodes its values and makes the request again, which is the one that counts.
    again: bool,
    /// Cheap to copy, and keeps nothing alive but binaries, if `shared`.
    small: bool,
    shared: bool,
}

/// `Converter::size` of results that callers copy; larger ones are sent, which copies nothing.
pub const MAX_COPIED: usize = 256;
