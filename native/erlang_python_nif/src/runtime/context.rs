//! What a context shares between its thread, the NIFs and the watchdog.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use pyo3::ffi;
use rustler::{Env, LocalPid, Monitor, Resource, ResourceArc};

use super::interpreter::Mode;
use super::request::{OwnedTermEnv, Request, RequestRef};
use super::watchdog;
use crate::core::padded::Padded;
use crate::core::patience::Patience;
use crate::core::queue::Queue;
use crate::core::stats::{ContextStats, InterpStats, Registry};

/// Handles of objects that Elixir forgot, waiting for a thread of their interpreter to release them.
///
/// All worker contexts share the main interpreter, hence one bin; each own-GIL context has its own.
#[derive(Default)]
pub struct ReleaseBin(Mutex<Vec<usize>>);

impl ReleaseBin {
    pub fn add(&self, object: usize) {
        lock(&self.0).push(object);
    }

    pub fn take(&self) -> Vec<usize> {
        std::mem::take(&mut *lock(&self.0))
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

/// The interpreter that objects belong to.
#[derive(Default)]
pub struct Interp {
    /// 0 is the main interpreter; others count up and are never reused.
    pub id: u64,
    pub bin: ReleaseBin,
    pub ended: AtomicBool,
    pub stats: InterpStats,
    /// Its garbage collector reports to us.
    pub watched: AtomicBool,
}

impl Interp {
    pub fn main() -> Arc<Interp> {
        static MAIN: OnceLock<Arc<Interp>> = OnceLock::new();
        MAIN.get_or_init(Arc::default).clone()
    }

    fn for_mode(mode: Mode) -> Arc<Interp> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        match mode {
            Mode::Worker => Interp::main(),
            Mode::OwnGil => Arc::new(Interp { id: NEXT.fetch_add(1, Ordering::Relaxed), ..Interp::default() }),
        }
    }
}

/// What the contexts of this VM tell about themselves.
pub static CONTEXTS: Registry = Registry::new();

/// Settings of one context.
pub struct Settings {
    pub mode: Mode,
    pub owner: LocalPid,
    pub max_queue: usize,
    pub spin: Duration,
    /// Directories put in front of `sys.path`.
    pub paths: Vec<String>,
    /// Code run in the context's namespace before the first request.
    pub preload: Option<String>,
    /// Whether Elixir's `Decimal` is loaded.
    pub decimal: bool,
}

/// What callers write.
#[derive(Default)]
struct Demand {
    /// Requests submitted and not done, waiting ones included: what `max_queue` bounds.
    load: AtomicUsize,
    /// Whether callers look for their outcome before they wait for a message.
    patience: CallersPatience,
}

/// Many callers look in vain at once when the thread is not running for a moment: that alone tells nothing.
pub type CallersPatience = Patience<64>;

pub struct Shared {
    pub id: u64,
    pub settings: Settings,
    pub interp: Arc<Interp>,
    pub queue: Queue<Request>,
    pub stats: Arc<ContextStats>,
    demand: Padded<Demand>,
    /// The running request, last, after those whose callbacks led to it. Also the lock under which an interrupt decides
    /// whom it hits.
    pub stack: Mutex<Vec<RequestRef>>,
    /// Bumped at the start of every request that is not nested: a value that stands still means that one request runs long.
    pub turn: AtomicU64,
    /// `threading.get_ident()` of the thread; 0 before it runs Python.
    pub thread_ident: AtomicI64,
    /// Address of the `PyInterpreterState`; 0 before the start and after the end.
    interpreter: Mutex<usize>,
    /// Namespaces whose process has died.
    pub dead_namespaces: Mutex<Vec<LocalPid>>,
    pub stuck: AtomicBool,
    /// The preload code runs.
    pub starting: AtomicBool,
}

impl Shared {
    pub fn new(settings: Settings) -> Arc<Shared> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            interp: Interp::for_mode(settings.mode),
            settings,
            queue: Queue::default(),
            stats: CONTEXTS.add(),
            demand: Padded::default(),
            stack: Mutex::default(),
            turn: AtomicU64::new(0),
            thread_ident: AtomicI64::new(0),
            interpreter: Mutex::new(0),
            dead_namespaces: Mutex::default(),
            stuck: AtomicBool::new(false),
            starting: AtomicBool::new(false),
        })
    }

    /// Counts a request in that no bound applies to.
    pub fn enter_nested(&self) {
        self.demand.load.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request in unless the bound is reached. Undone by `leave`. How many there were before it.
    pub fn enter(&self) -> Option<usize> {
        let before = self.demand.load.fetch_add(1, Ordering::Relaxed);
        if before >= self.settings.max_queue {
            self.leave();
            return None;
        }
        Some(before)
    }

    /// Whether the outcome of a short call is likely to be there in a few microseconds.
    pub fn is_quick(&self) -> bool {
        !self.settings.spin.is_zero() && !self.queue.is_parked() && self.demand.patience.pays()
    }

    pub fn patience(&self) -> &CallersPatience {
        &self.demand.patience
    }

    pub fn leave(&self) {
        self.demand.load.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn load(&self) -> usize {
        self.demand.load.load(Ordering::Relaxed)
    }

    /// Hands a request that has its permit to the context's thread. When the context is stopped the watchdog, which
    /// may send messages, answers instead.
    pub fn enqueue(&self, request: RequestRef) {
        if let Err(refused) = self.queue.push(request) {
            watchdog::send(watchdog::Command::Refuse(refused));
        }
    }

    /// Hands over a request that a callback made: it goes before all others, and a thread that waits for that callback
    /// runs it there and then.
    pub fn enqueue_nested(&self, request: RequestRef) {
        if let Err(refused) = self.queue.push_first_class(request) {
            watchdog::send(watchdog::Command::Refuse(refused));
        }
    }

    /// Publishes the interpreter for `visit_interpreter`, or withdraws it with null: then it waits for visitors.
    pub fn set_interpreter(&self, state: *mut ffi::PyInterpreterState) {
        *lock(&self.interpreter) = state as usize;
    }

    /// Runs `work` attached to this context's interpreter, from a thread that is attached to nothing. `None` when the
    /// context has not started or has ended. Blocks while other code holds the GIL.
    pub fn visit_interpreter<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        // The lock is held for the whole visit: `set_interpreter(null)` waits for it, so the interpreter stays live.
        let interpreter = lock(&self.interpreter);
        if *interpreter == 0 {
            return None;
        }
        let state = *interpreter as *mut ffi::PyInterpreterState;
        // SAFETY: non-null means live, and stays so under the lock.
        Some(unsafe { super::interpreter::visit(state, work) })
    }

    pub fn running(&self) -> Option<RequestRef> {
        lock(&self.stack).last().cloned()
    }

    /// Tells the owner process.
    pub fn notify_owner(&self, build: impl FnOnce(Env<'_>) -> rustler::Term<'_>) {
        OwnedTermEnv::new().send(&self.settings.owner, build);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        CONTEXTS.retire(&self.stats);
    }
}

/// Locks, also after a panic elsewhere: what these mutexes guard is consistent between any two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What Elixir holds of a context.
pub struct ContextHandle(pub Arc<Shared>);

#[rustler::resource_impl]
impl Resource for ContextHandle {
    const IMPLEMENTS_DOWN: bool = true;

    /// The owner died, or a process that has a namespace here.
    fn down<'a>(&'a self, _env: Env<'a>, pid: LocalPid, _monitor: Monitor) {
        if pid == self.0.settings.owner {
            watchdog::send(watchdog::Command::Stop(self.0.clone()));
        } else {
            lock(&self.0.dead_namespaces).push(pid);
            watchdog::nudge();
        }
    }
}

pub type ContextRef = ResourceArc<ContextHandle>;

/// A Python object that Elixir holds on to.
pub struct ObjectHandle {
    pub interp: Arc<Interp>,
    /// An owned reference; only a thread of `interp` may touch it.
    pub object: usize,
}

#[rustler::resource_impl]
impl Resource for ObjectHandle {}

/// Handles that Elixir has not forgotten.
pub static HANDLES: AtomicUsize = AtomicUsize::new(0);

impl ObjectHandle {
    /// Takes over a reference that a thread of `interp` owns.
    pub fn new(interp: Arc<Interp>, object: usize) -> Self {
        HANDLES.fetch_add(1, Ordering::Relaxed);
        ObjectHandle { interp, object }
    }
}

impl Drop for ObjectHandle {
    /// Runs on schedulers: only submits.
    fn drop(&mut self) {
        HANDLES.fetch_sub(1, Ordering::Relaxed);
        if !self.interp.ended.load(Ordering::Acquire) {
            self.interp.bin.add(self.object);
            watchdog::nudge();
        }
    }
}
