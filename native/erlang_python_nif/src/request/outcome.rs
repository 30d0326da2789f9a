//! The events that the caller of a request gets, and how it polls for them.

use std::time::Duration;

use erlang_python_core::stats::now;
use erlang_python_core::sync::handover::Seen;
use erlang_python_core::sync::spin::spin_until;
use rustler::sys::{ErlNifTerm, enif_clear_env};
use rustler::{Encoder, Env, Term};

use super::{Request, tasks};
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;

/// An event that the caller of a request is notified of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `{callback, id, target, args}`: the request goes on afterwards.
    Callback,
    /// `{ok, value}` or `{error, reason}`, from the thread that ran the request.
    Result,
    /// `{error, reason}`, from elsewhere: its thread may still be at it.
    Failure,
}

/// An event for the caller of a request, in an environment of its own.
pub struct Notice {
    pub event: Event,
    pub env: OwnedTermEnv,
    pub term: ErlNifTerm,
    /// It has binaries whose memory others share.
    pub shared: bool,
}

/// The result of a poll.
pub enum Poll<'a> {
    Event(Event, Term<'a>),
    /// Nothing yet.
    Nothing,
    /// Nothing, and from now on events are sent as messages; or one was sent already.
    Sent,
}

impl Request {
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

    /// The caller polls again, for what follows a callback.
    pub fn keep_polling(&self) {
        self.handover.start_polling();
    }

    /// Polls for at most `spin`, which must be short: it holds a scheduler. `last`: from now on the caller waits for messages.
    pub fn poll<'a>(&self, env: Env<'a>, spin: Duration, last: bool) -> Poll<'a> {
        spin_until(spin, || !self.handover.is_open());
        loop {
            let taken = self.handover.take(|notice| {
                // SAFETY: the term lives in its environment, which is not changed until it was taken.
                let term = unsafe { Term::new(notice.env.env(), notice.term) }.in_env(env);
                if notice.shared {
                    // So that nothing keeps binaries alive but the caller.
                    // SAFETY: whoever takes has the environment to itself, and `term` was copied.
                    unsafe { enif_clear_env(notice.env.as_ptr()) }
                }
                (notice.event, term)
            });
            match taken {
                Seen::Given((event, term)) => {
                    self.inbox.backoff().hit();
                    if event == Event::Result {
                        self.free_env();
                    }
                    return Poll::Event(event, term);
                }
                Seen::Sent => return Poll::Sent,
                Seen::Nothing if !last => return Poll::Nothing,
                Seen::Nothing => {}
            }
            if self.handover.stop_polling() {
                self.inbox.backoff().miss();
                return Poll::Sent;
            }
        }
    }
}
