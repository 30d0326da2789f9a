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
use crate::request::PENDING;
use crate::request::Place;
use crate::request::Request;
use crate::request::RequestHandle;
use crate::request::flags::Flags;
use crate::request::outcome::Event;
use crate::request::outcome::Look;
use crate::request::permits::Claim;
use crate::request::permits::PERMITS;
use crate::request::{chains, question};
use crate::runtime::context::ContextHandle;
use crate::runtime::watchdog;

/// How long `submit` and `callback_look` look for the outcome, spinning on a scheduler: somewhat longer than a short call
/// takes on a thread that is awake. What takes longer is looked for between turns of other processes, see `look`, or sent.
const SPIN: Duration = Duration::from_micros(3);
/// The same for `look`.
const SPIN_AGAIN: Duration = Duration::from_nanos(500);

/// Hands a request to a context. Where the caller does not cancel it, the watchdog ends it after `deadline_ms`; negative means
/// never. `callers` are the processes on whose behalf the calling one works (`$callers`).
///
/// Returns one of
///   * `{ok, value}`, `{error, reason}`: the outcome was there soon;
///   * `{Request, {callback, id, target, args}}`: run this function, then `callback_resume`;
///   * `{Request, {ok, value} | {error, reason}}`: as above, where times are wanted;
///   * `look`: give other processes a turn, then `look_again`;
///   * `{look, Request}`: the same, then `look`;
///   * `Request`: `caller` will get `{reference, {ok, value} | {error, reason} | {callback, …}}`, unless it cancels first;
///   * `stuck`: the router's choice is stuck, another context should take it;
///   * `stopped`, `{rejected, permits | queue | context, current, max}`: the request was not taken.
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
        return atoms::stopped().to_term(env);
    }
    if flags.has(Flags::ROUTED) && parent.is_none() && inbox.stuck.load(Relaxed) {
        return atoms::stuck().to_term(env);
    }
    let (place, alone) = match enter(inbox, parent.is_some(), flags) {
        Ok(entered) => entered,
        Err(limit) => return rejected(env, inbox, limit),
    };
    let deadline = u64::try_from(deadline_ms).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
    let message = immediate::make_tuple(env, [reference, operation, namespace, callers]);
    let parent = parent.as_ref().map(|parent| parent.request.clone());
    let nested = parent.is_some();
    let looking = flags.has(Flags::LOOK) && inbox.is_quick();
    let lone = calls_alone(&client);
    let request = Request::new(inbox.clone(), caller, client, message, flags, deadline, parent, place, looking, lone);
    if nested {
        // Rides on the permit of its chain.
        request.life.queue();
        request.inbox.enqueue_nested(request.clone());
    } else if place == Place::InLine {
        errands::nudge();
        inbox.stand_in_line(request.clone());
    } else {
        match PERMITS.acquire(!flags.has(Flags::NO_WAIT), || Claim::Request(request.clone())) {
            Acquired::Now => {
                request.permit.hold();
                request.life.queue();
                request.inbox.enqueue(request.clone());
            }
            Acquired::Waiting => request.wait_for_permit(),
            Acquired::Refused => return rejected(env, inbox, Limit::Permits),
        }
    }
    if !looking {
        return RequestHandle(request).encode(env);
    }
    // Where others call too, they get their turn meanwhile.
    let spin = if alone && lone { SPIN } else { Duration::ZERO };
    match request.look(env, spin, false) {
        Look::Event(Event::Result | Event::Failure, result) if !flags.has(Flags::TIMED) => result,
        Look::Event(_, event) => (RequestHandle(request), event).encode(env),
        Look::Nothing if flags.has(Flags::TIMED) => (atoms::look(), RequestHandle(request)).encode(env),
        Look::Nothing => match PENDING.put(pid_word(&client), request) {
            Ok(()) => atoms::look().to_term(env),
            Err(request) => (atoms::look(), RequestHandle(request)).encode(env),
        },
        Look::Away => RequestHandle(request).encode(env),
    }
}

/// Whether calls of this process are nested in a request: it runs a function for it, or works for a process that does.
#[rustler::nif]
fn is_nested(env: Env<'_>, callers: Term<'_>) -> bool {
    chains::parent_of(&env.pid(), || chains::pids(callers)).is_some()
}

thread_local! {
    /// The process that made the last request on this scheduler.
    static LAST_CALLER: Cell<Option<ErlNifTerm>> = const { Cell::new(None) };
}

/// Whether the last request on this scheduler was also made by `caller`: then, most likely, nobody else is waiting to run.
fn calls_alone(caller: &LocalPid) -> bool {
    let caller = Some(pid_word(caller));
    LAST_CALLER.replace(caller) == caller
}

/// Looks for the outcome of a request again: `{ok, value}`, `{error, reason}`, `{callback, …}`, `look` to be asked once more,
/// or `away`: a message will come. After the `last` look, `look` is no answer.
#[rustler::nif]
fn look<'a>(env: Env<'a>, request: &'a RequestHandle, last: bool) -> Term<'a> {
    seen(env, look_between_turns(env, &request.0, last))
}

/// Looks again for the outcome of the calling process's request: what `submit` returns, `look` to be asked once more, which
/// is no answer to the `last` look.
#[rustler::nif]
fn look_again(env: Env<'_>, last: bool) -> Term<'_> {
    let found = PENDING.look(pid_word(&env.pid()), |request| {
        let look = look_between_turns(env, request, last);
        let done = !matches!(look, Look::Nothing);
        (look, done)
    });
    match found {
        Some((Look::Event(Event::Result | Event::Failure, result), _request)) => result,
        Some((Look::Event(_, event), Some(request))) => (RequestHandle(request), event).encode(env),
        Some((Look::Away, Some(request))) => RequestHandle(request).encode(env),
        Some(_) => atoms::look().to_term(env),
        // Swept, because the process is about to end.
        None => env.error_tuple(atoms::interrupted()),
    }
}

fn look_between_turns<'a>(env: Env<'a>, request: &Request, last: bool) -> Look<'a> {
    let spin = if request.inbox.load() <= 1 { SPIN_AGAIN } else { Duration::ZERO };
    request.look(env, spin, last)
}

/// Answers a callback: whether the caller is to look for what follows, with `callback_look`. Otherwise a message will come.
#[rustler::nif]
fn callback_resume(request: &RequestHandle, id: u64, answer: Term<'_>) -> bool {
    let request = &request.0;
    let looking = request.inbox.is_quick();
    if looking {
        // Before the answer: what follows it may be there at once.
        request.look_on();
    }
    question::answer(request, id, answer);
    looking
}

/// The first look for what follows an answer, as `look`.
#[rustler::nif]
fn callback_look<'a>(env: Env<'a>, request: &'a RequestHandle) -> Term<'a> {
    seen(env, request.0.look(env, SPIN, false))
}

fn seen<'a>(env: Env<'a>, look: Look<'a>) -> Term<'a> {
    match look {
        Look::Event(_, event) => event,
        Look::Nothing => atoms::look().to_term(env),
        Look::Away => atoms::away().to_term(env),
    }
}

/// What is in the way of a request.
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

/// Counts a request in: where it stands, and whether it is the only one. `nested`: a callback makes it.
fn enter(inbox: &Inbox<Request>, nested: bool, flags: Flags) -> Result<(Place, bool), Limit> {
    let line = inbox.line();
    if nested {
        // A caller that does not wait may make any number of them.
        let bound = if flags.has(Flags::ASYNC) { inbox.max_queue } else { usize::MAX };
        return if line.enter_beside(bound) { Ok((Place::Beside, true)) } else { Err(Limit::Queue) };
    }
    match line.enter(inbox.max_queue) {
        Entered::Admitted(before) => Ok((Place::Admitted, before == 0)),
        Entered::Behind if flags.has(Flags::NO_WAIT) => {
            line.leave(false);
            Err(Limit::Context)
        }
        Entered::Behind => Ok((Place::InLine, false)),
        Entered::Full => Err(Limit::Queue),
    }
}

fn rejected<'a>(env: Env<'a>, inbox: &Inbox<Request>, limit: Limit) -> Term<'a> {
    Counters::bump(&inbox.stats.counters.rejected);
    let (limit, current, max) = limit.describe(inbox);
    (atoms::rejected(), limit, current, max).encode(env)
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
