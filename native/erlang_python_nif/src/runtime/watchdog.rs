//! One thread that looks after all contexts: dead callers, deadlines, stuck Python, stops, releases.
//!
//! It ticks only while something happens and looks only at requests that have been running, or queued, across a tick,
//! so short calls cost it nothing and an idle VM has it asleep. It never takes a GIL: interrupts, which must, run on
//! short-lived threads of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::stats::counters::Counters;
use erlang_python_core::stats::now;
use erlang_python_core::sync::errands::{self, Errand, Errands, WATCHDOG};
use erlang_python_core::sync::lock;
use rustler::Encoder;

use super::context::Shared;
use super::interrupt;
use super::registry;
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;
use crate::request::POLLING;
use crate::request::Request;
use crate::request::RequestRef;
use crate::request::flags::Flags;
use crate::request::permits::PERMITS;
use crate::request::permits::Waiter;

const TICK: Duration = Duration::from_millis(20);
/// Ticks without any activity after which the watchdog sleeps until it is nudged.
const IDLE_TICKS: u32 = 50;
/// Ticks after which a request that should end but runs on is interrupted again.
const INSIST_TICKS: u32 = 5;
/// Ticks after which a context whose interrupt has no effect is shown as stuck.
const STUCK_TICKS: u32 = 25;

/// Starts the thread, once.
pub fn start() -> Result<(), String> {
    let Some(errands) = WATCHDOG.open() else { return Ok(()) };
    std::thread::Builder::new()
        .name("py_watchdog".into())
        .spawn(move || Watchdog::default().run(&errands))
        .map(drop)
        .map_err(|error| format!("cannot start the watchdog thread: {error}"))
}

/// Fails the requests of a context and lets its thread end.
pub fn stop_soon(context: Arc<Shared>) {
    errands::post(move || stop(&context));
}

/// The same for all contexts: the VM ends.
pub fn stop_all_soon() {
    errands::post(|| registry::all().iter().for_each(stop));
}

/// Interrupts a running request that was cancelled.
pub fn interrupt_soon(request: RequestRef) {
    errands::post(move || {
        if let Some(context) = registry::get(request.inbox.id) {
            interrupt::begin(&context, request);
        }
    });
}

struct Watchdog {
    idle: u32,
    /// Parts of `POLLING` swept.
    swept: usize,
    next_tick: Instant,
}

impl Default for Watchdog {
    fn default() -> Self {
        Watchdog { idle: 0, swept: 0, next_tick: Instant::now() + TICK }
    }
}

impl Watchdog {
    fn run(&mut self, errands: &Receiver<Errand>) {
        let env = OwnedTermEnv::new();
        loop {
            match self.next(errands) {
                Some(errand) => errand(),
                None => self.tick(&env),
            }
        }
    }

    /// The next errand, or `None` when it is time for a tick.
    fn next(&mut self, errands: &Receiver<Errand>) -> Option<Errand> {
        if self.idle >= IDLE_TICKS {
            self.idle = 0;
            if let Some(errand) = WATCHDOG.sleep(errands, || is_active(&registry::all())) {
                return Some(errand);
            }
        }
        // However many errands come, a tick is due in time.
        let due = Instant::now() >= self.next_tick;
        let errand = if due { None } else { Errands::next(errands, self.next_tick) };
        if errand.is_none() {
            self.next_tick = Instant::now() + TICK;
        }
        errand
    }

    fn tick(&mut self, env: &OwnedTermEnv) {
        let contexts = registry::all();
        self.idle = if is_active(&contexts) { 0 } else { self.idle + 1 };
        // Looked at after the locks are released: schedulers take them too.
        let mut pending = Vec::new();
        PERMITS.for_each_waiting(|waiter| pending.extend(waiter.request().cloned()));
        for context in &contexts {
            if context.stop_wanted.swap(false, SeqCst) {
                stop(context);
            }
            // What has ended is forgotten here, lest a busy context's queue grows with every timeout.
            let mut look = |request: &RequestRef| {
                let wanted = !request.life.is_over();
                if wanted {
                    pending.push(request.clone());
                }
                wanted
            };
            context.inbox.queue.sweep(&mut look);
            context.inbox.line().sweep(&mut look);
            look_at_running(context, env);
            context.inbox.stats.roll(now());
            if !context.is_tidy() {
                context.inbox.queue.wake();
            }
        }
        // Of callers that were killed between two polls.
        self.swept += 1;
        POLLING.sweep(self.swept, |request| request.caller_alive(env));
        for request in &pending {
            if overdue(request) || !request.caller_alive(env) {
                expire(request, env);
            }
        }
    }
}

fn is_active(contexts: &[Arc<Shared>]) -> bool {
    PERMITS.waiting() > 0 || contexts.iter().any(|context| busy(context))
}

fn busy(context: &Shared) -> bool {
    context.inbox.turn.load(SeqCst) != context.watched.turn.load(Relaxed)
        || context.stop_wanted.load(SeqCst)
        || !context.inbox.queue.is_empty()
        || !lock(&context.inbox.stack).is_empty()
        || !context.is_tidy()
}

fn overdue(request: &Request) -> bool {
    request.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Ends a request whose caller is gone or whose deadline has passed.
fn expire(request: &RequestRef, env: &OwnedTermEnv) {
    if request.flags.has(Flags::CHORE) {
        request.end_unread();
        return;
    }
    let counters = &request.inbox.stats.counters;
    if request.caller_alive(env) {
        // A request without a permit was held up by the limit, so the error is *overloaded*, not *timeout*.
        let ended = request.fail_with(|phase, env| match phase {
            Phase::Waiting if !request.is_in_line() => {
                (atoms::overloaded(), atoms::permits(), PERMITS.used(), PERMITS.max()).encode(env)
            }
            Phase::Waiting | Phase::Queued => atoms::timeout_queued().to_term(env),
            _ => atoms::timeout().to_term(env),
        });
        match ended {
            Some(Phase::Waiting) if !request.is_in_line() => Counters::bump(&counters.expired),
            Some(_) => Counters::bump(&counters.timeouts),
            None => {}
        }
    } else if request.end_unread().is_some() {
        Counters::bump(&counters.orphans);
    }
}

fn look_at_running(context: &Arc<Shared>, env: &OwnedTermEnv) {
    // All of them, whether or not the one on top has changed since the last tick.
    let stack = lock(&context.inbox.stack).clone();
    for request in &stack {
        if overdue(request) || !request.caller_alive(env) {
            expire(request, env);
        }
    }
    let turn = context.inbox.turn.load(SeqCst);
    let watched = &context.watched;
    let mut unheeded = watched.unheeded.load(Relaxed);
    if watched.turn.swap(turn, Relaxed) != turn {
        watched.unheeded.store(0, Relaxed);
        set_stuck(context, false);
        return;
    }
    let Some(request) = stack.last().cloned() else {
        set_stuck(context, false);
        return;
    };
    let interrupted = request.interrupted.load(SeqCst);
    if !request.life.is_running() || (request.unwanted.load(SeqCst) && !interrupted) {
        // After the first one, the code has the time between two to clean up.
        let first = unheeded == 0 && !interrupted;
        if first || (unheeded > 0 && unheeded.is_multiple_of(INSIST_TICKS)) {
            interrupt::deliver(context, request, interrupted);
        }
        unheeded += 1;
    } else {
        // Nested requests come and go within a turn.
        unheeded = 0;
    }
    watched.unheeded.store(unheeded, Relaxed);
    let stuck = unheeded >= STUCK_TICKS;
    set_stuck(context, stuck);
    if stuck && context.inbox.queue.is_closed() {
        // Stopped, and its thread may never return: others need the permits.
        stack.iter().for_each(|request| request.permit.release());
    }
}

/// Notifies the owner of a change.
fn set_stuck(context: &Shared, stuck: bool) {
    if context.inbox.stuck.swap(stuck, SeqCst) == stuck {
        return;
    }
    if stuck {
        Counters::bump(&context.inbox.stats.counters.stuck_count);
    }
    let how = if stuck { atoms::stuck() } else { atoms::recovered() };
    context.notify_owner(|env| (atoms::py_context(), context.inbox.id, how).encode(env));
}

/// Fails everything a context still owes and tells its thread to end.
fn stop(context: &Arc<Shared>) {
    let reason = (atoms::stopped(), context.inbox.id);
    let mut owed = context.inbox.queue.close();
    let ours = |waiter: &Waiter| waiter.request().is_some_and(|request| request.inbox.id == context.inbox.id);
    owed.extend(context.inbox.line().close());
    owed.extend(PERMITS.remove(ours).iter().filter_map(Waiter::request).cloned());
    for request in owed {
        request.fail(reason);
    }
    let stack = lock(&context.inbox.stack).clone();
    for request in &stack {
        request.fail(reason);
    }
    if let Some(request) = stack.last() {
        interrupt::begin(context, request.clone());
    }
}
