//! The statistics of the VM at one moment, read without Python.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use erlang_python_core::request::lifecycle::Phase;
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

/// The limit on concurrent requests.
#[derive(Serialize)]
pub struct Permits {
    in_use: usize,
    max_concurrent: usize,
    waiting: usize,
}

#[derive(Serialize)]
struct State {
    entries: usize,
    bytes: usize,
    max_entries: Option<usize>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum ContextState {
    Starting,
    Idle,
    Running,
    InCallback,
    Stuck,
    Dead,
}

#[derive(Serialize)]
pub struct Context {
    id: u64,
    mode: Mode,
    state: ContextState,
    uptime_ms: u64,
    running: usize,
    running_ms: Option<u64>,
    queued: usize,
    load: usize,
    max_queue: usize,
    counts: Counts,
    busy_ms: u64,
    busy_share: f64,
    latency: Latency,
    interpreter: u64,
    thread_ident: i64,
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

/// Takes a snapshot of this VM and of these contexts.
pub fn take(contexts: &[ContextRef]) -> Snapshot {
    let now = now();
    Snapshot {
        permits: permits(),
        totals: STATS.totals(),
        contexts: contexts.iter().map(|context| of_context(&context.0)).collect(),
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

pub fn permits() -> Permits {
    Permits { in_use: PERMITS.used(), max_concurrent: PERMITS.max(), waiting: PERMITS.still_waiting() }
}

pub fn of_context(shared: &Shared) -> Context {
    let now = now();
    let stats = &shared.inbox.stats;
    let state = state(shared);
    // A request that begins between the two reads, or code that no caller has asked for, has run for no time.
    let running_ms = stats.busy.running(now).map(millis).filter(|_| !matches!(state, ContextState::Idle));
    Context {
        id: shared.inbox.id,
        mode: shared.settings.mode,
        state,
        uptime_ms: millis(now.saturating_sub(stats.created)),
        running: usize::from(is_running(state)),
        running_ms,
        queued: shared.inbox.waiting(),
        load: shared.inbox.load(),
        max_queue: shared.settings.max_queue,
        counts: stats.counters.counts(),
        busy_ms: millis(stats.busy.total(now)),
        busy_share: stats.busy_share(now),
        latency: stats.latency.latency(),
        interpreter: shared.interp.id,
        thread_ident: shared.thread_ident.load(SeqCst),
    }
}

fn is_running(state: ContextState) -> bool {
    matches!(state, ContextState::Running | ContextState::InCallback | ContextState::Stuck)
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
        Some(request) if request.life.phase() == Phase::Serving => ContextState::InCallback,
        Some(_) => ContextState::Running,
    }
}

/// The interpreters of living contexts, each once, in the order of their ids.
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
