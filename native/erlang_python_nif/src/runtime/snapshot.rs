//! Everything worth watching, at one moment, without touching Python.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::request::permits::Grantee;
use erlang_python_core::stats::counters::Counts;
use erlang_python_core::stats::gc::{Generation, Sample};
use erlang_python_core::stats::histogram::Latency;
use erlang_python_core::stats::{micros, millis, now};
use erlang_python_core::sync::lock;
use serde::Serialize;

use super::context::{ContextRef, STATS, Shared};
use super::process::{self, Os};
use crate::beam::store::STATE;
use crate::convert::handle::HANDLES;
use crate::python::interpreter::Mode;
use crate::python::objects::Interp;
use crate::request::permits::PERMITS;

#[derive(Serialize)]
pub struct Snapshot {
    permits: Permits,
    totals: Counts,
    contexts: Vec<Context>,
    interpreters: Vec<Interpreter>,
    state: State,
    handles: usize,
    os: Os,
}

#[derive(Serialize)]
struct Permits {
    current: usize,
    max: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct State {
    entries: usize,
    bytes: usize,
    max_entries: Option<usize>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum ContextState {
    Starting,
    Idle,
    Running,
    Waiting,
    Stuck,
    Dead,
}

#[derive(Serialize)]
struct Context {
    id: u64,
    mode: Mode,
    state: ContextState,
    uptime_ms: u64,
    running_ms: Option<u64>,
    queue_length: usize,
    load: usize,
    max_queue: usize,
    counts: Counts,
    busy_ms: u64,
    busy_share: f64,
    latency: Latency,
    interpreter: u64,
}

#[derive(Serialize)]
struct Interpreter {
    id: u64,
    mode: Mode,
    contexts: Vec<u64>,
    gc_runs: u64,
    gc_collected: u64,
    gc_time_us: f64,
    gc_max_us: f64,
    sample: Option<Sampled>,
}

#[derive(Serialize)]
struct Sampled {
    age_ms: u64,
    gc: Vec<Generation>,
    gc_count: Vec<u64>,
    allocated_blocks: Option<u64>,
}

/// Of this VM, and of these contexts in particular.
pub fn take(contexts: &[ContextRef]) -> Snapshot {
    let now = now();
    Snapshot {
        permits: permits(),
        totals: STATS.totals(),
        contexts: contexts.iter().map(|context| of_context(&context.0, now)).collect(),
        interpreters: interpreters(contexts, now),
        state: State {
            entries: STATE.len(),
            bytes: STATE.bytes(),
            max_entries: Some(STATE.max()).filter(|max| *max != usize::MAX),
        },
        handles: HANDLES.load(Relaxed),
        os: process::read(),
    }
}

fn permits() -> Permits {
    // Those that gave up stay in the line until they are swept.
    let mut waiting = 0;
    PERMITS.for_each_waiting(|waiter| waiting += usize::from(!waiter.gone()));
    Permits { current: PERMITS.used(), max: PERMITS.max(), waiting }
}

fn of_context(shared: &Shared, now: u64) -> Context {
    let stats = &shared.inbox.stats;
    let state = state(shared);
    // What begins between the two looks, and what nobody has asked for, runs for no time.
    let running_ms = stats.busy.running(now).map(millis).filter(|_| !matches!(state, ContextState::Idle));
    Context {
        id: shared.inbox.id,
        mode: shared.settings.mode,
        state,
        uptime_ms: millis(now.saturating_sub(stats.created)),
        running_ms,
        queue_length: shared.inbox.waiting(),
        load: shared.inbox.load(),
        max_queue: shared.settings.max_queue,
        counts: stats.counters.counts(),
        busy_ms: millis(stats.busy.total(now)),
        busy_share: stats.busy_share(now),
        latency: stats.latency.latency(),
        interpreter: shared.interp.id,
    }
}

fn state(shared: &Shared) -> ContextState {
    if shared.inbox.queue.is_closed() {
        return ContextState::Dead;
    }
    if !shared.inbox.stats.ready.load(SeqCst) {
        return ContextState::Starting;
    }
    if shared.inbox.stuck.load(SeqCst) {
        return ContextState::Stuck;
    }
    match shared.noticeable() {
        None => ContextState::Idle,
        Some(request) if request.life.phase() == Phase::Serving => ContextState::Waiting,
        Some(_) => ContextState::Running,
    }
}

/// Those of living contexts, each once, in the order of their ids.
fn interpreters(contexts: &[ContextRef], now: u64) -> Vec<Interpreter> {
    let mut found: Vec<(Arc<Interp>, Mode, Vec<u64>)> = Vec::new();
    for context in contexts.iter().map(|context| &context.0).filter(|context| !context.inbox.queue.is_closed()) {
        match found.iter_mut().find(|(interp, ..)| Arc::ptr_eq(interp, &context.interp)) {
            Some((.., ids)) => ids.push(context.inbox.id),
            None => found.push((context.interp.clone(), context.settings.mode, vec![context.inbox.id])),
        }
    }
    found.sort_by_key(|(interp, ..)| interp.id);
    found.into_iter().map(|(interp, mode, ids)| of_interpreter(&interp, mode, ids, now)).collect()
}

fn of_interpreter(interp: &Interp, mode: Mode, contexts: Vec<u64>, now: u64) -> Interpreter {
    let gc = *lock(&interp.stats.gc);
    Interpreter {
        id: interp.id,
        mode,
        contexts,
        gc_runs: gc.runs,
        gc_collected: gc.collected,
        gc_time_us: micros(gc.time),
        gc_max_us: micros(gc.max),
        sample: interp.stats.sample().map(|sample| of_sample(sample, now)),
    }
}

fn of_sample(sample: Sample, now: u64) -> Sampled {
    Sampled {
        age_ms: millis(now.saturating_sub(sample.at)),
        gc: sample.generations,
        gc_count: sample.counts,
        allocated_blocks: sample.allocated_blocks,
    }
}
