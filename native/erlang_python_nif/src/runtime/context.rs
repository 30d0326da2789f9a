//! The state of a context that its thread, the NIFs and the watchdog share.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use erlang_python_core::request::inbox::Inbox;
use erlang_python_core::stats::now;
use erlang_python_core::stats::registry::Registry;
use erlang_python_core::sync::errands;
use erlang_python_core::sync::lock;
use pyo3::ffi;
use rustler::{Encoder, Env, LocalPid, Monitor, Resource, ResourceArc, Term};

use crate::beam::env::OwnedTermEnv;
use crate::convert::Owner;
use crate::python::interpreter::Mode;
use crate::python::objects::{Home, Interp};
use crate::request::flags::Flags;
use crate::request::{Request, RequestRef};

/// The statistics of the contexts of this VM.
pub static STATS: Registry = Registry::new();

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
    /// `true` if Elixir's `Decimal` is loaded.
    pub decimal: bool,
}

/// Most destructors take microseconds: for so long nobody hears of them. In nanoseconds.
const NOTICEABLE: u64 = 10_000_000;

/// The notes of the watchdog about a context, from tick to tick. Only the watchdog writes them.
#[derive(Default)]
pub struct Watched {
    /// The `turn` at the last tick: when it has not changed, the running request runs for long.
    pub turn: AtomicU64,
    /// Ticks since the running request was cancelled.
    pub unheeded: AtomicU32,
}

pub struct Shared {
    pub inbox: Arc<Inbox<Request>>,
    pub settings: Settings,
    pub interp: Arc<Interp>,
    pub home: Arc<Home>,
    /// `threading.get_ident()` of the thread; 0 before it runs Python.
    pub thread_ident: AtomicI64,
    /// Addresses of the `PyInterpreterState` and of the `PyThreadState` of its thread; `None` before the start and after
    /// the end.
    interpreter: Mutex<Option<(usize, usize)>>,
    /// The address of the `PyThreadState` again, for those who do not wait; 0 before the start and after the end.
    pub thread_state: AtomicUsize,
    /// Namespaces whose process has died.
    pub dead_namespaces: Mutex<Vec<LocalPid>>,
    /// Its owner has died: the watchdog is to stop it.
    pub stop_wanted: AtomicBool,
    pub watched: Watched,
    /// The time an interrupt had the GIL of its interpreter last: `now()`.
    pub reached: AtomicU64,
    /// The time its owner asked it to end.
    pub stopped: OnceLock<Instant>,
}

impl Shared {
    pub fn new(settings: Settings) -> Arc<Shared> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let interp = match settings.mode {
            Mode::Worker => Interp::main(),
            Mode::OwnGil => Interp::own(),
        };
        Arc::new(Shared {
            inbox: Arc::new(Inbox::new(id, settings.max_queue, settings.spin, STATS.add())),
            home: Home::new(interp.clone()),
            interp,
            settings,
            thread_ident: AtomicI64::new(0),
            interpreter: Mutex::default(),
            thread_state: AtomicUsize::new(0),
            dead_namespaces: Mutex::default(),
            stop_wanted: AtomicBool::new(false),
            watched: Watched::default(),
            reached: AtomicU64::new(0),
            stopped: OnceLock::new(),
        })
    }

    /// Publishes the interpreter for `visit_interpreter`, with the state of the context's thread.
    pub fn set_interpreter(&self, interpreter: *mut ffi::PyInterpreterState, thread: *mut ffi::PyThreadState) {
        *lock(&self.interpreter) = Some((interpreter as usize, thread as usize));
        self.thread_state.store(thread as usize, Ordering::Release);
    }

    /// Withdraws the interpreter: waits for visitors.
    pub fn forget_interpreter(&self) {
        self.thread_state.store(0, Ordering::Release);
        *lock(&self.interpreter) = None;
    }

    /// Runs `work` attached to this context's interpreter, from a thread that is attached to nothing, with the state of the
    /// context's thread. `None` when the context has not started or has ended. Blocks while other code holds the GIL.
    pub fn visit_interpreter<R>(&self, work: impl FnOnce(*mut ffi::PyThreadState) -> R) -> Option<R> {
        // The lock is held for the whole visit: `forget_interpreter` waits for it, so interpreter and thread stay live.
        let interpreter = lock(&self.interpreter);
        let (interpreter, thread) = (*interpreter)?;
        // SAFETY: published means live, and stays so under the lock.
        Some(unsafe { crate::python::interpreter::visit(interpreter as *mut _, || work(thread as *mut _)) })
    }

    /// The running request or chore. A chore that has only begun is left out: users ask for what they wait for.
    pub fn noticeable(&self) -> Option<RequestRef> {
        let young = || self.inbox.stats.busy.running(now()).is_some_and(|time| time < NOTICEABLE);
        self.inbox.running().filter(|request| !request.flags.has(Flags::CHORE) || !young())
    }

    /// Returns `true` if there is nothing to do between requests.
    pub fn is_tidy(&self) -> bool {
        self.home.is_tidy() && lock(&self.dead_namespaces).is_empty()
    }

    /// Tells the owner process.
    pub fn notify_owner(&self, build: impl FnOnce(Env<'_>) -> rustler::Term<'_>) {
        OwnedTermEnv::new().send(&self.settings.owner, build);
    }
}

/// The resource by which Elixir knows a context.
pub struct ContextHandle(pub Arc<Shared>);

#[rustler::resource_impl]
impl Resource for ContextHandle {
    const IMPLEMENTS_DOWN: bool = true;

    /// The owner died, or a process that has a namespace here.
    fn down<'a>(&'a self, _env: Env<'a>, pid: LocalPid, _monitor: Monitor) {
        if pid == self.0.settings.owner {
            self.0.stop_wanted.store(true, Ordering::SeqCst);
            errands::nudge();
        } else {
            lock(&self.0.dead_namespaces).push(pid);
            errands::nudge();
        }
    }
}

pub type ContextRef = ResourceArc<ContextHandle>;

impl Owner for ContextRef {
    fn home(&self) -> &Arc<Home> {
        &self.0.home
    }

    fn term<'a>(&self, env: Env<'a>) -> Term<'a> {
        self.encode(env)
    }
}
