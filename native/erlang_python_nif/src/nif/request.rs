//! Requests: the hot path.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use erlang_python_core::request::inbox::Inbox;
use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::request::line::{self, Entered};
use erlang_python_core::request::permits::Acquired;
use erlang_python_core::stats::counters::Counters;
use erlang_python_core::sync::errands;
use rustler::sys::ErlNifTerm;
use rustler::{Encoder, Env, LocalPid, ResourceArc, Term};

use crate::beam::atoms;
use crate::beam::env::pid_word;
use crate::beam::immediate;
use crate::request::POLLING;
use crate::request::Request;
use crate::request::RequestHandle;
use crate::request::RequestRef;
use crate::request::Standing;
use crate::request::flags::Flags;
use crate::request::outcome::Event;
use crate::request::outcome::Poll;
use crate::request::permits::PERMITS;
use crate::request::permits::Waiter;
use crate::request::{callback, chains};
use crate::runtime::context::ContextHandle;
use crate::runtime::watchdog;

/// The time that `submit`, and `poll` after a callback, spin for the outcome on a scheduler: somewhat longer than a short
/// call takes on a thread that is awake. What takes longer is polled for between turns of other processes, or sent.
const SPIN: Duration = Duration::from_micros(3);
/// The same for a later `poll`.
const SPIN_AGAIN: Duration = Duration::from_nanos(500);

/// Hands a request to a context and returns what has come of it: an outcome, see `Py.Native`. Where the caller does not cancel
/// it, the watchdog ends it after `deadline_ms`; negative means never. `callers` are the processes on whose behalf the calling
/// one works (`$callers`).
#[rustler::nif]
// A tuple of them would have to be built and taken apart on the hot path.
#[allow(clippy::too_many_arguments)]
fn submit<'a>(
    env: Env<'a>,
    context: &'a ContextHandle,
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
        false => chains::parent_of(&client, || chains::pids(callers)),
    };
    let (inbox, namespace) = match &parent {
        Some(parent) if flags.has(Flags::ROUTED) => (&parent.request.inbox, parent.namespace.to_term(env)),
        Some(parent) if flags.has(Flags::INHERIT) && Arc::ptr_eq(&parent.request.inbox, &context.0.inbox) => {
            (&context.0.inbox, parent.namespace.to_term(env))
        }
        _ => (&context.0.inbox, namespace),
    };
    if inbox.queue.is_closed() {
        return refused(env, atoms::stopped());
    }
    if flags.has(Flags::ROUTED) && parent.is_none() && inbox.stuck.load(Relaxed) {
        return refused(env, atoms::stuck());
    }
    let (standing, only_request) = match enter(inbox, parent.is_some(), flags) {
        Ok(entered) => entered,
        Err(limit) => return rejected(env, inbox, limit),
    };
    let deadline = u64::try_from(deadline_ms).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
    let message = immediate::make_tuple(env, [reference, operation, namespace, callers]);
    let parent = parent.as_ref().map(|parent| parent.request.clone());
    let nested = parent.is_some();
    let polling = flags.has(Flags::POLL) && inbox.is_quick();
    let sole_caller = is_sole_caller(&client);
    let request =
        Request::new(inbox.clone(), caller, client, message, flags, deadline, parent, standing, polling, sole_caller);
    if !admit(&request, nested, standing) {
        return rejected(env, inbox, Limit::Permits);
    }
    if !polling {
        return outcome(env, Poll::Sent, &request, || RequestHandle::term(env, request.clone()));
    }
    // Where others call too, they get their turn meanwhile.
    let spin = if only_request && sole_caller { SPIN } else { Duration::ZERO };
    match request.poll(env, spin, false) {
        Poll::Nothing => park(env, &client, request),
        poll => outcome(env, poll, &request, || RequestHandle::term(env, request.clone())),
    }
}

/// Queues a request, or has it wait in the line of its context or for a permit. Returns `false` if it was not to wait for one.
#[inline]
fn admit(request: &RequestRef, nested: bool, standing: Standing) -> bool {
    if nested {
        // Rides on the permit of its chain.
        request.life.queue();
        request.inbox.enqueue_nested(request.clone());
    } else if standing == Standing::InLine {
        errands::nudge();
        request.inbox.stand_in_line(request.clone());
    } else {
        match PERMITS.acquire(!request.flags.has(Flags::NO_WAIT), || Waiter::Request(request.clone())) {
            Acquired::Now => {
                request.permit.hold();
                request.life.queue();
                request.inbox.enqueue(request.clone());
            }
            Acquired::Waiting => request.wait_for_permit(),
            Acquired::Refused => return false,
        }
    }
    true
}

/// What a caller polls with for an outcome that was not there at once. Most requests need no handle: `poll` finds them by the process.
fn park<'a>(env: Env<'a>, client: &LocalPid, request: RequestRef) -> Term<'a> {
    let kept = if request.flags.has(Flags::TIMED) { Err(request) } else { POLLING.put(pid_word(client), request) };
    match kept {
        Ok(()) => atoms::poll().to_term(env),
        Err(request) => (atoms::poll(), RequestHandle::term(env, request)).encode(env),
    }
}

/// The outcome of a request, as a term. `handle` makes the term by which Elixir knows it.
#[inline]
fn outcome<'a>(env: Env<'a>, poll: Poll<'a>, request: &Request, handle: impl FnOnce() -> Term<'a>) -> Term<'a> {
    match poll {
        Poll::Event(Event::Callback, callback) => {
            immediate::make_tuple(env, [atoms::ask().to_term(env), handle(), callback])
        }
        // Without a tuple around it, as the handle of a request that is waited for: that would be a part of every call.
        Poll::Event(_, reply) if !request.flags.has(Flags::TIMED) => reply,
        Poll::Event(_, reply) => immediate::make_tuple(env, [atoms::done().to_term(env), handle(), reply]),
        Poll::Nothing => atoms::poll().to_term(env),
        Poll::Sent => handle(),
    }
}

fn refused(env: Env<'_>, reason: impl Encoder) -> Term<'_> {
    (atoms::refused(), reason).encode(env)
}

/// Returns `true` if calls of this process are nested in a request: it runs a function for one, or works for a process that
/// does.
#[rustler::nif]
fn is_nested(env: Env<'_>, callers: Term<'_>) -> bool {
    chains::parent_of(&env.pid(), || chains::pids(callers)).is_some()
}

thread_local! {
    /// The process that made the last request on this scheduler.
    static LAST_CALLER: Cell<Option<ErlNifTerm>> = const { Cell::new(None) };
}

/// Returns `true` if `caller` also made the last request on this scheduler: then, most likely, no other process waits to run.
fn is_sole_caller(caller: &LocalPid) -> bool {
    let caller = Some(pid_word(caller));
    LAST_CALLER.replace(caller) == caller
}

/// Polls for the outcome of `request`, or, where that is `nil`, of the calling process's one, and returns it. It is `poll` when
/// nothing is there yet, but not after the `last` poll: from then on a message will come.
#[rustler::nif]
fn poll<'a>(env: Env<'a>, request: Term<'a>, last: bool) -> rustler::NifResult<Term<'a>> {
    // First: the most common case, which needs no call into the VM.
    if atoms::nil() == request {
        return Ok(poll_parked(env, last));
    }
    let handle: ResourceArc<RequestHandle> = request.decode()?;
    let poll = poll_between_turns(env, &handle.0, last);
    Ok(outcome(env, poll, &handle.0, || request))
}

fn poll_parked(env: Env<'_>, last: bool) -> Term<'_> {
    let found = POLLING.poll(pid_word(&env.pid()), |request| {
        let poll = poll_between_turns(env, request, last);
        let done = !matches!(poll, Poll::Nothing);
        (poll, done)
    });
    match found {
        Some((poll, Some(request))) => outcome(env, poll, &request, || RequestHandle::term(env, request.clone())),
        Some((_nothing, None)) => atoms::poll().to_term(env),
        // Swept, because the process is about to end.
        None => env.error_tuple(atoms::interrupted()),
    }
}

fn poll_between_turns<'a>(env: Env<'a>, request: &Request, last: bool) -> Poll<'a> {
    let spin = if request.inbox.load() <= 1 { SPIN_AGAIN } else { Duration::ZERO };
    request.poll(env, spin, last)
}

/// Answers a callback and returns the outcome that follows: `poll`, which is for `poll_soon`, or that a message will come.
#[rustler::nif]
fn callback_resume<'a>(env: Env<'a>, request: ResourceArc<RequestHandle>, id: u64, answer: Term<'a>) -> Term<'a> {
    let polling = request.0.inbox.is_quick();
    if polling {
        // Before the answer: what follows it may be there at once.
        request.0.keep_polling();
    }
    callback::answer(&request.0, id, answer);
    let poll = if polling { Poll::Nothing } else { Poll::Sent };
    outcome(env, poll, &request.0, || request.encode(env))
}

/// The first poll after `callback_resume`.
#[rustler::nif]
fn poll_soon<'a>(env: Env<'a>, request: ResourceArc<RequestHandle>) -> Term<'a> {
    let poll = request.0.poll(env, SPIN, false);
    outcome(env, poll, &request.0, || request.encode(env))
}

/// The reason why a request was refused.
#[derive(Clone, Copy)]
enum Limit {
    Permits,
    /// The context has too many requests to take another one.
    Queue,
    /// The context is busy, and another request is next.
    Context,
}

impl Limit {
    /// `{limit, current, max}`
    fn describe(self, inbox: &Inbox<Request>) -> (rustler::Atom, usize, usize) {
        match self {
            Limit::Permits => (atoms::permits(), PERMITS.used(), PERMITS.max()),
            Limit::Queue => (atoms::queue(), inbox.load(), inbox.max_queue),
            Limit::Context => (atoms::context(), inbox.load(), line::ADMITTED),
        }
    }
}

/// Counts a request in. Returns its standing, and `true` if it is the only one. `nested`: a callback makes it.
fn enter(inbox: &Inbox<Request>, nested: bool, flags: Flags) -> Result<(Standing, bool), Limit> {
    let line = inbox.line();
    if nested {
        // A caller that does not wait may make any number of them.
        let bound = if flags.has(Flags::ASYNC) { inbox.max_queue } else { usize::MAX };
        return if line.enter_beside(bound) { Ok((Standing::Beside, true)) } else { Err(Limit::Queue) };
    }
    match line.enter(inbox.max_queue) {
        Entered::Admitted(before) => Ok((Standing::Admitted, before == 0)),
        Entered::Behind if flags.has(Flags::NO_WAIT) => {
            line.leave(false);
            Err(Limit::Context)
        }
        Entered::Behind => Ok((Standing::InLine, false)),
        Entered::Full => Err(Limit::Queue),
    }
}

fn rejected<'a>(env: Env<'a>, inbox: &Inbox<Request>, limit: Limit) -> Term<'a> {
    Counters::bump(&inbox.stats.counters.rejected);
    let (limit, current, max) = limit.describe(inbox);
    refused(env, (atoms::rejected(), limit, current, max))
}

/// Cancels a request, for the reason `timeout`, which is counted, or `user`. Returns `waiting` or `queued` when it had not
/// started, `running` when it is being interrupted; no message will come then. Returns `lost` when one is certain: receive it;
/// `done` when it was sent, or cancelled, before.
#[rustler::nif]
fn cancel(request: ResourceArc<RequestHandle>, why: rustler::Atom) -> rustler::Atom {
    let request = &request.0;
    let Some(phase) = request.cancel() else {
        let done = matches!(request.life.phase(), Phase::Delivered | Phase::Cancelled);
        return if done { atoms::done() } else { atoms::lost() };
    };
    // One that waited for a permit was kept by the limit, not by its context.
    let for_permit = phase == Phase::Waiting && !request.is_in_line();
    if why == atoms::timeout() {
        let counters = &request.inbox.stats.counters;
        Counters::bump(if for_permit { &counters.expired } else { &counters.timeouts });
    }
    match phase {
        _ if for_permit => atoms::waiting(),
        Phase::Waiting | Phase::Queued => atoms::queued(),
        _ => {
            watchdog::interrupt_soon(request.clone());
            atoms::running()
        }
    }
}

/// Cancels a request whose time to wait is over, if it still waits for a permit or in line: `{overloaded, limit, current,
/// max}`, or `false`.
#[rustler::nif]
fn cancel_waiting<'a>(env: Env<'a>, request: &'a RequestHandle) -> Term<'a> {
    let request = &request.0;
    let limit = || {
        let limit = if request.is_in_line() { Limit::Context } else { Limit::Permits };
        limit.describe(&request.inbox)
    };
    match request.cancel_waiting(limit) {
        Some((limit, current, max)) => {
            Counters::bump(&request.inbox.stats.counters.expired);
            (atoms::overloaded(), limit, current, max).encode(env)
        }
        None => false.encode(env),
    }
}
