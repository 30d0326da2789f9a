//! One thread that looks after all contexts: dead callers, deadlines, stuck Python, stops, releases.
//!
//! It ticks only while something happens and looks only at requests that have been running, or queued, across a tick,
//! so short calls cost it nothing and an idle VM has it asleep. It never takes a GIL: interrupts, which must, run on
//! short-lived threads of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use flume::{Receiver, Sender};
use rustler::Encoder;

use super::context::Shared;
use super::holder::HolderRef;
use super::interrupt;
use super::request::{Claim, Flags, OwnedTermEnv, PENDING, PERMITS, Request, RequestRef};
use crate::atoms;
use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::stats::counters::Counters;
use erlang_python_core::stats::now;
use erlang_python_core::sync::lock;

const TICK: Duration = Duration::from_millis(20);
/// Ticks without any activity after which the watchdog sleeps until it is nudged.
const IDLE_TICKS: u32 = 50;
/// How often a request that should end but runs on is interrupted anew.
const INSIST_TICKS: u32 = 5;
/// Ticks after which a context whose interrupt has no effect is shown as stuck.
const STUCK_TICKS: u32 = 25;

pub enum Command {
    /// Look after this context from now on.
    Watch(Arc<Shared>),
    /// Fail its requests and let its thread end.
    Stop(Arc<Shared>),
    /// The VM ends: stop all contexts.
    StopAll,
    /// Its thread has ended.
    Ended(u64),
    /// This request found its context stopped.
    Refuse(RequestRef),
    /// This running request was cancelled: interrupt it.
    Interrupt(RequestRef),
    /// This process has got its permit.
    Tell(HolderRef),
    /// Something changed while the watchdog slept.
    Nudge,
}

static COMMANDS: OnceLock<Sender<Command>> = OnceLock::new();
static ASLEEP: AtomicBool = AtomicBool::new(false);

/// Starts the thread, once.
pub fn start() -> Result<(), String> {
    if COMMANDS.get().is_some() {
        return Ok(());
    }
    let (sender, receiver) = flume::unbounded();
    COMMANDS.get_or_init(|| sender);
    std::thread::Builder::new()
        .name("py_watchdog".into())
        .spawn(move || Watchdog::default().run(&receiver))
        .map(drop)
        .map_err(|error| format!("cannot start the watchdog thread: {error}"))
}

pub fn send(command: Command) {
    if let Some(commands) = COMMANDS.get() {
        // Fails only when the receiver is gone, which lives for ever.
        let _ = commands.send(command);
    }
}

/// Makes sure that the watchdog ticks. Costs one atomic load when it does.
#[inline]
pub fn nudge() {
    if ASLEEP.load(SeqCst) && ASLEEP.swap(false, SeqCst) {
        send(Command::Nudge);
    }
}

#[derive(Default)]
struct Watched {
    /// The `turn` at the last tick: when it has not changed, the running request runs for long.
    turn: u64,
    /// Ticks since the running request was cancelled.
    unheeded: u32,
}

struct Watchdog {
    contexts: HashMap<u64, (Arc<Shared>, Watched)>,
    idle: u32,
    /// Parts of `PENDING` swept.
    swept: usize,
    next_tick: Instant,
}

impl Default for Watchdog {
    fn default() -> Self {
        Watchdog { contexts: HashMap::new(), idle: 0, swept: 0, next_tick: Instant::now() + TICK }
    }
}

impl Watchdog {
    fn run(&mut self, commands: &Receiver<Command>) {
        let env = OwnedTermEnv::new();
        loop {
            match self.next(commands) {
                Some(command) => self.obey(command),
                None => self.tick(&env),
            }
        }
    }

    /// The next command, or `None` when it is time for a tick.
    fn next(&mut self, commands: &Receiver<Command>) -> Option<Command> {
        if self.idle >= IDLE_TICKS {
            ASLEEP.store(true, SeqCst);
            // Whoever became active before the store did not see it: look once more before sleeping.
            if !self.active() {
                let command = commands.recv().ok();
                ASLEEP.store(false, SeqCst);
                self.idle = 0;
                return command;
            }
            ASLEEP.store(false, SeqCst);
            self.idle = 0;
        }
        // However many commands come, a tick is due in time.
        let command = commands.recv_deadline(self.next_tick).ok();
        if command.is_none() {
            self.next_tick = Instant::now() + TICK;
        }
        command
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Watch(context) => {
                self.contexts.insert(context.id, (context, Watched::default()));
            }
            Command::Stop(context) => stop(&context),
            Command::StopAll => self.contexts.values().for_each(|(context, _)| stop(context)),
            Command::Ended(id) => {
                self.contexts.remove(&id);
            }
            Command::Refuse(request) => {
                request.fail((atoms::stopped(), request.context.id));
            }
            Command::Interrupt(request) => interrupt_now(request),
            Command::Tell(holder) => holder.tell(),
            Command::Nudge => {}
        }
    }

    fn active(&self) -> bool {
        PERMITS.waiting() > 0 || self.contexts.values().any(|(context, watched)| busy(context, watched))
    }

    fn tick(&mut self, env: &OwnedTermEnv) {
        self.idle = if self.active() { 0 } else { self.idle + 1 };
        // Looked at after the locks are released: schedulers take them too.
        let mut pending = Vec::new();
        PERMITS.for_each_waiting(|claim| pending.extend(claim.request().cloned()));
        for (context, watched) in self.contexts.values_mut() {
            // What has ended is forgotten here, lest a busy context's queue grows with every timeout.
            let mut look = |request: &RequestRef| {
                let wanted = !request.life.is_over();
                if wanted {
                    pending.push(request.clone());
                }
                wanted
            };
            context.queue.sweep(&mut look);
            context.line().sweep(&mut look);
            look_at_running(context, watched, env);
            context.stats.roll(now());
            if !context.is_tidy() {
                context.queue.wake();
            }
        }
        // Of callers that were killed between two looks.
        self.swept += 1;
        PENDING.sweep(self.swept, |request| request.caller_alive(env));
        for request in &pending {
            if overdue(request) || !request.caller_alive(env) {
                expire(request, env);
            }
        }
    }
}

fn busy(context: &Shared, watched: &Watched) -> bool {
    context.turn.load(SeqCst) != watched.turn
        || !context.queue.is_empty()
        || !lock(&context.stack).is_empty()
        || !context.is_tidy()
}

fn overdue(request: &Request) -> bool {
    request.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Ends a request whose caller is gone or whose deadline has passed.
fn expire(request: &RequestRef, env: &OwnedTermEnv) {
    if request.flags.has(Flags::CHORE) {
        request.abandon();
        return;
    }
    let counters = &request.context.stats.counters;
    if request.caller_alive(env) {
        // One that never got a permit was in the way of nobody's code but the limit's.
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
    } else if request.abandon().is_some() {
        Counters::bump(&counters.orphans);
    }
}

fn look_at_running(context: &Arc<Shared>, watched: &mut Watched, env: &OwnedTermEnv) {
    // All of them, whether or not the one on top has changed since the last tick.
    let stack = lock(&context.stack).clone();
    for request in &stack {
        if overdue(request) || !request.caller_alive(env) {
            expire(request, env);
        }
    }
    let turn = context.turn.load(SeqCst);
    if turn != watched.turn {
        *watched = Watched { turn, ..Watched::default() };
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
        let first = watched.unheeded == 0 && !interrupted;
        if first || (watched.unheeded > 0 && watched.unheeded.is_multiple_of(INSIST_TICKS)) {
            interrupt::deliver(request, interrupted);
        }
        watched.unheeded += 1;
    } else {
        // Nested requests come and go within a turn.
        watched.unheeded = 0;
    }
    let stuck = watched.unheeded >= STUCK_TICKS;
    set_stuck(context, stuck);
    if stuck && context.queue.is_closed() {
        // Stopped, and its thread may never return: others need the permits.
        stack.iter().for_each(|request| request.permit.release());
    }
}

/// The owner is told of changes.
fn set_stuck(context: &Shared, stuck: bool) {
    if context.stuck.swap(stuck, SeqCst) == stuck {
        return;
    }
    if stuck {
        Counters::bump(&context.stats.counters.stuck_count);
    }
    let how = if stuck { atoms::stuck() } else { atoms::recovered() };
    context.notify_owner(|env| (atoms::py_context(), context.id, how).encode(env));
}

/// Fails everything a context still owes and tells its thread to end.
fn stop(context: &Arc<Shared>) {
    let reason = (atoms::stopped(), context.id);
    let mut owed = context.queue.close();
    let ours = |claim: &Claim| claim.request().is_some_and(|request| request.context.id == context.id);
    owed.extend(context.line().close());
    owed.extend(PERMITS.remove(ours).iter().filter_map(Claim::request).cloned());
    for request in owed {
        request.fail(reason);
    }
    let stack = lock(&context.stack).clone();
    for request in &stack {
        request.fail(reason);
    }
    if let Some(request) = stack.last() {
        interrupt_now(request.clone());
    }
}

fn interrupt_now(request: RequestRef) {
    let interrupted = request.interrupted.load(SeqCst);
    interrupt::deliver(request, interrupted);
}
