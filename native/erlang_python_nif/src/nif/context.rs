//! Contexts: start, stop, state.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rustler::{Encoder, Env, LocalPid, NifMap, ResourceArc, Term};

use super::serial::to_term;
use crate::atoms;
use crate::runtime::context::{ContextHandle, ContextRef, Settings, Shared};
use crate::runtime::interpreter::Mode;
use crate::runtime::{interrupt_running, thread, watchdog};

#[derive(NifMap)]
struct Options {
    mode: rustler::Atom,
    max_queue: usize,
    spin_us: u64,
    paths: Vec<String>,
    preload: Option<String>,
    decimal: bool,
}

/// Starts a context owned by the calling process: `{ok, context, id} | {error, text}`. The outcome of the start follows
/// as a message.
#[rustler::nif]
fn context_start(env: Env<'_>, options: Options) -> Term<'_> {
    let owner = env.pid();
    let shared = Shared::new(Settings {
        mode: if options.mode == atoms::owngil() { Mode::OwnGil } else { Mode::Worker },
        owner,
        max_queue: options.max_queue,
        spin: Duration::from_micros(options.spin_us),
        paths: options.paths,
        preload: options.preload,
        decimal: options.decimal,
    });
    let id = shared.id;
    let context: ContextRef = ResourceArc::new(ContextHandle(shared));
    if env.monitor(&context, &owner).is_none() {
        return env.error_tuple("the owner process is not alive");
    }
    match thread::spawn(context.clone()) {
        Ok(()) => (atoms::ok(), context, id).encode(env),
        Err(reason) => env.error_tuple(reason),
    }
}

/// Fails what is pending and ends the thread, which then tells the owner.
#[rustler::nif]
fn context_stop(context: ContextRef) -> rustler::Atom {
    watchdog::send(watchdog::Command::Stop(context.0.clone()));
    atoms::ok()
}

#[rustler::nif]
fn context_info(env: Env<'_>, context: ContextRef) -> Term<'_> {
    let shared = &context.0;
    let mode = match shared.settings.mode {
        Mode::Worker => atoms::worker(),
        Mode::OwnGil => atoms::owngil(),
    };
    let counts = to_term(env, &shared.stats.counters.counts()).expect("numbers");
    [
        (atoms::id(), shared.id.encode(env)),
        (atoms::mode(), mode.encode(env)),
        (atoms::interpreter(), shared.interp.id.encode(env)),
        (atoms::queued(), shared.queue.len().encode(env)),
        (atoms::running(), shared.running().is_some().encode(env)),
        (atoms::stopped(), shared.queue.is_closed().encode(env)),
        (atoms::stuck(), shared.stuck.load(SeqCst).encode(env)),
        (atoms::max_queue(), shared.settings.max_queue.encode(env)),
        (atoms::thread_ident(), shared.thread_ident.load(SeqCst).encode(env)),
    ]
    .into_iter()
    .fold(counts, |map, (key, value)| map.map_put(key, value).expect("a map"))
}

/// Interrupts what runs now: whether there was anything.
#[rustler::nif]
fn context_interrupt(context: ContextRef) -> bool {
    interrupt_running(&context.0)
}

/// The id of a context, and whether it still takes requests.
#[rustler::nif]
fn context_state(context: ContextRef) -> (u64, bool) {
    (context.0.id, !context.0.queue.is_closed())
}

/// Whether the process that owns the context is `pid`.
#[rustler::nif]
fn context_owner(context: ContextRef) -> LocalPid {
    context.0.settings.owner
}

/// Requests on the context: waiting for a permit, queued and running.
#[rustler::nif]
fn context_load(context: ContextRef) -> usize {
    context.0.load()
}
