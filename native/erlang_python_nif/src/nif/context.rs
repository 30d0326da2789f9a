//! Contexts: start, stop, state.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use erlang_python_core::stats::now;
use rustler::{Encoder, Env, LocalPid, NifMap, ResourceArc, Term};

use crate::beam::atoms;
use crate::beam::serial::to_term;
use crate::python::interpreter::Mode;
use crate::python::stack;
use crate::runtime::context::{ContextHandle, ContextRef, Settings, Shared};
use crate::runtime::{interrupt, snapshot, thread, watchdog};

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
    let id = shared.inbox.id;
    let context: ContextRef = ResourceArc::new(ContextHandle(shared));
    if env.monitor(&context, &owner).is_none() {
        return env.error_tuple("the owner process is not alive");
    }
    match thread::spawn(context.clone()) {
        Ok(()) => (atoms::ok(), context, id).encode(env),
        Err(reason) => env.error_tuple(reason),
    }
}

/// Fails what is pending and ends the thread, which then tells the owner. Returns the milliseconds since the first stop.
#[rustler::nif]
fn context_stop(context: ContextRef) -> u64 {
    watchdog::stop_soon(context.0.clone());
    context.0.stopped.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Returns the entry of a snapshot for the context, see `Py.Stats`.
#[rustler::nif]
fn context_info(env: Env<'_>, context: ContextRef) -> Term<'_> {
    to_term(env, &snapshot::of_context(&context.0)).expect("numbers")
}

/// Interrupts what runs now: whether there was anything.
#[rustler::nif]
fn context_interrupt(context: ContextRef) -> bool {
    interrupt::running(&context.0)
}

/// The id of a context, and whether it still takes requests.
#[rustler::nif]
fn context_state(context: ContextRef) -> (u64, bool) {
    (context.0.inbox.id, !context.0.inbox.queue.is_closed())
}

/// The process that owns the context.
#[rustler::nif]
fn context_owner(context: ContextRef) -> LocalPid {
    context.0.settings.owner
}

/// Returns how unfit a context is for new calls: 0 fit, 1 it has a request that runs for long, 2 it is stuck.
#[rustler::nif]
fn context_pressure(context: ContextRef) -> u8 {
    /// In nanoseconds.
    const LONG: u64 = 5_000_000;
    let shared = &context.0;
    if shared.inbox.stuck.load(SeqCst) {
        return 2;
    }
    u8::from(shared.inbox.stats.busy.running(now()).is_some_and(|running| running > LONG))
}

/// Returns `true` if code holds the GIL of a stuck context: interrupts, which come every tenth of a second, do not get it.
#[rustler::nif]
fn context_gil_held(context: ContextRef) -> bool {
    /// In nanoseconds; less than it takes to be stuck.
    const LONG: u64 = 400_000_000;
    now().saturating_sub(context.0.reached.load(SeqCst)) > LONG
}

/// The Python frames that run on the context, outermost first: `[{file, line | nil, function}]`; `stopped` before its start
/// and after its end, `unsupported` on an unknown version of Python. Neither the GIL nor the context is waited for.
#[rustler::nif(schedule = "DirtyIo")]
fn context_stack(env: Env<'_>, context: ContextRef) -> Term<'_> {
    match context.0.thread_state.load(SeqCst) {
        0 => atoms::stopped().to_term(env),
        thread => match stack::frames(thread) {
            Some(frames) => {
                frames.into_iter().map(|frame| (frame.file, frame.line, frame.function)).collect::<Vec<_>>().encode(env)
            }
            None => atoms::unsupported().to_term(env),
        },
    }
}

/// Requests on the context: waiting for a permit, queued and running.
#[rustler::nif]
fn context_load(context: ContextRef) -> usize {
    context.0.inbox.load()
}
