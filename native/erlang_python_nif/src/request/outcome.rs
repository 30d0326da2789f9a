//! What the caller of a request is told, and how it finds that.

use std::time::Duration;

use erlang_python_core::stats::now;
use erlang_python_core::sync::handover::Seen;
use erlang_python_core::sync::spin::spin_until;
use rustler::sys::{ErlNifTerm, enif_clear_env};
use rustler::{Encoder, Env, Term};

use super::{Request, tasks};
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;

/// What the caller of a request is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `{callback, id, target, args}`: the request goes on afterwards.
    Question,
    /// `{ok, value}` or `{error, reason}`, from the thread that ran the request.
    Result,
    /// `{error, reason}`, from elsewhere: its thread may still be at it.
    Failure,
}

pub struct Told {
    pub event: Event,
    pub env: OwnedTermEnv,
    pub term: ErlNifTerm,
    /// Holds binaries whose memory others share.
    pub shared: bool,
}

/// What a caller that looks for the outcome sees.
pub enum Look<'a> {
    Event(Event, Term<'a>),
    /// Nothing yet.
    Nothing,
    /// Nothing, and from now on events are sent as messages; or one was sent already.
    Away,
}

impl Request {
    /// Tells the caller: leaves the term where it looks, if `small`, or else sends `{reference, term}`. Gives the environment
    /// back, emptied, unless the term was left in it: then `reclaim` gets it later. `Err` when the caller is dead. Not from scheduler threads.
    ///
    /// # Safety
    /// The caller of this function has the right to tell: it holds `asking` of a serving request, or has moved the request to
    /// `Delivering`. So there is one at a time.
    pub unsafe fn tell(&self, mut told: Told, small: bool) -> Result<Option<OwnedTermEnv>, OwnedTermEnv> {
        if small {
            // SAFETY: promised by the caller.
            match unsafe { self.handover.give(told) } {
                Ok(()) => return Ok(None),
                Err(back) => told = back,
            }
        }
        let Told { mut env, term, .. } = told;
        let sent = env.send(&self.caller, |env| {
            // SAFETY: the caller of this function keeps the message from being freed; the term was made in `env`.
            unsafe { (self.message().0.in_env(env), Term::new(env, term)).encode(env) }
        });
        self.handover.sent();
        if sent { Ok(Some(env)) } else { Err(env) }
    }

    /// Sends `{py_task, reference, ok | {error, reason}, {context, queued, ran}}` to the process that follows tasks, where this is
    /// one of those. `error` is the term `{error, reason}`; `None` when there is a value. Not from scheduler threads.
    pub fn report_end(&self, error: Option<Term<'_>>) {
        let Some(tracked) = &self.tracked else { return };
        tasks::report(|env| {
            let (queued, ran) = self.timing.times(now());
            let outcome = error.map_or(atoms::ok().to_term(env), |error| error.in_env(env));
            // SAFETY: the term lives in its environment, which nobody changes.
            let reference = unsafe { Term::new(tracked.env.env(), tracked.reference) }.in_env(env);
            (atoms::py_task(), reference, outcome, (self.inbox.id, queued, ran)).encode(env)
        });
    }

    /// The environment of the last event, once the caller has read it.
    ///
    /// # Safety
    /// As for `tell`.
    pub unsafe fn reclaim(&self) -> Option<OwnedTermEnv> {
        // SAFETY: promised by the caller.
        let mut env = unsafe { self.handover.reclaim() }?.env;
        env.clear();
        Some(env)
    }

    /// The caller looks again, for what follows its answer to a question.
    pub fn look_on(&self) {
        self.handover.start_polling();
    }

    /// The caller looks for at most `spin`, which must be short: it holds a scheduler. `last`: from now on it waits for
    /// messages.
    pub fn look<'a>(&self, env: Env<'a>, spin: Duration, last: bool) -> Look<'a> {
        spin_until(spin, || !self.handover.is_open());
        loop {
            let taken = self.handover.take(|told| {
                // SAFETY: the term lives in its environment, which is not changed until it was taken.
                let term = unsafe { Term::new(told.env.env(), told.term) }.in_env(env);
                if told.shared {
                    // Nothing else is to keep binaries alive that the caller forgets.
                    // SAFETY: whoever takes has the environment to itself, and `term` was copied.
                    unsafe { enif_clear_env(told.env.as_ptr()) }
                }
                (told.event, term)
            });
            match taken {
                Seen::Given((event, term)) => {
                    self.inbox.backoff().hit();
                    if event == Event::Result {
                        self.free_env();
                    }
                    return Look::Event(event, term);
                }
                Seen::Sent => return Look::Away,
                Seen::Nothing if !last => return Look::Nothing,
                Seen::Nothing => {}
            }
            if self.handover.stop_polling() {
                self.inbox.backoff().miss();
                return Look::Away;
            }
        }
    }
}
