//! Requests: the hot path.

use std::time::{Duration, Instant};

use rustler::types::tuple::make_tuple;
use rustler::{Encoder, Env, LocalPid, Term};

use crate::atoms;
use crate::bridge::callback;
use crate::core::counters::Counters;
use crate::core::lifecycle::Phase;
use crate::core::permits::Acquired;
use crate::runtime::context::{ContextRef, Shared};
use crate::runtime::request::{Claim, Flags, PERMITS, Request, RequestRef};
use crate::runtime::watchdog;

/// Hands a request to a context. `caller` gets `{reference, {ok, value} | {error, reason}}`, unless the request is
/// cancelled first. Where the caller does not cancel it, the watchdog ends it after `deadline_ms`; negative means never.
/// `callers` are the processes on whose behalf the calling one works (`$callers`).
///
/// Returns the request, or why it was not taken: `stopped`, `{rejected, permits | queue, current, max}`.
#[rustler::nif]
// A tuple of them would have to be built and taken apart on the hot path.
#[allow(clippy::too_many_arguments)]
fn submit<'a>(
    env: Env<'a>,
    context: ContextRef,
    caller: LocalPid,
    reference: Term<'a>,
    operation: Term<'a>,
    namespace: Term<'a>,
    flags: u32,
    deadline_ms: i64,
    callers: Term<'a>,
) -> Term<'a> {
    let flags = Flags(flags);
    let client = env.pid();
    // Nobody waits for a cast: it takes its turn like a stranger's request.
    let parent = match flags.has(Flags::CAST) {
        true => None,
        false => callback::parent_of(&client, || callback::pids(callers)),
    };
    let (shared, namespace) = match &parent {
        Some(parent) if flags.has(Flags::ROUTED) => (&parent.request.context, parent.namespace.to_term(env)),
        _ => (&context.0, namespace),
    };
    if shared.queue.is_closed() {
        return atoms::stopped().to_term(env);
    }
    if parent.is_some() {
        shared.enter_nested();
    } else if !shared.enter() {
        Counters::bump(&shared.stats.counters.rejected);
        return rejected(env, atoms::queue(), shared.load(), shared.settings.max_queue);
    }
    let deadline = u64::try_from(deadline_ms).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
    let message = make_tuple(env, &[reference, operation, namespace, callers]);
    let parent = parent.as_ref().map(|parent| parent.request.clone());
    let nested = parent.is_some();
    let request = Request::new(shared.clone(), caller, client, message, flags, deadline, parent);
    if nested {
        // Rides on the permit of its chain.
        request.life.queue();
        Shared::enqueue_nested(request.clone());
        return request.encode(env);
    }
    match PERMITS.acquire(!flags.has(Flags::NO_WAIT), || Claim::Request(request.clone())) {
        Acquired::Now => {
            request.permit.hold();
            request.life.queue();
            Shared::enqueue(request.clone());
        }
        Acquired::Waiting => {
            watchdog::nudge();
            // The context may have been stopped after the check above and before the FIFO knew the request.
            if shared.queue.is_closed() {
                watchdog::send(watchdog::Command::Refuse(request.clone()));
            }
        }
        Acquired::Refused => {
            Counters::bump(&shared.stats.counters.rejected);
            return rejected(env, atoms::permits(), PERMITS.used(), PERMITS.max());
        }
    }
    request.encode(env)
}

fn rejected(env: Env<'_>, limit: rustler::Atom, current: usize, max: usize) -> Term<'_> {
    (atoms::rejected(), limit, current, max).encode(env)
}

/// Gives up on a request: `waiting` or `queued` when it had not started, `running` when it is being interrupted; in
/// each case no message will come. `lost` when one is certain: receive it. `done` when it was sent, or cancelled, before.
#[rustler::nif]
fn cancel(request: RequestRef) -> rustler::Atom {
    match request.cancel() {
        None if matches!(request.life.phase(), Phase::Delivered | Phase::Cancelled) => atoms::done(),
        None => atoms::lost(),
        Some(Phase::Waiting) => atoms::waiting(),
        Some(Phase::Queued) => atoms::queued(),
        Some(_) => {
            watchdog::send(watchdog::Command::Interrupt(request));
            atoms::running()
        }
    }
}

/// Gives up on a request only if it still waits for a permit: whether it did.
#[rustler::nif]
fn cancel_waiting(request: RequestRef) -> bool {
    let cancelled = request.life.cancel_waiting();
    if cancelled {
        request.free_env();
        request.leave();
        PERMITS.forget_one();
    }
    cancelled
}
