//! The thread of one context: attach, then take requests from the queue until it is closed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use erlang_python_core::sync::lock;
use erlang_python_core::sync::spin::Spin;
use pyo3::ffi;
use rustler::Encoder;

use super::caches::Caches;
use super::chore::Chore;
use super::context::{ContextRef, Shared};
use super::gc::{self, Sampler};
use super::namespaces::Namespaces;
use super::operation::{self, Scene};
use super::registry;
use super::variables::Variables;
use crate::beam::atoms;
use crate::beam::dialect::Dialect;
use crate::beam::env::OwnedTermEnv;
use crate::convert::{Converter, max_words};
use crate::python::fork;
use crate::python::interpreter::{Attached, Ended};
use crate::python::memory;
use crate::python::object::{Obj, PyResult, Raised};
use crate::request::running::{Running, UnreadReply};

/// A busy thread lets the other threads of its interpreter run at least this often, in nanoseconds: Python's own switch interval
/// does not apply between requests.
const MAX_DRAIN: u64 = 5_000_000;

/// The time that a destructor may take between requests, where it keeps them waiting, before it is interrupted.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);
/// The time that all of what runs when a context ends may take before it is interrupted. The owner waits for it.
const END_LIMIT: Duration = Duration::from_millis(500);

/// The time that the end of an interpreter waits for the Python threads that its code has started.
const THREADS_LIMIT: Duration = Duration::from_millis(300);

/// Threads of contexts that have not ended.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

pub fn alive() -> usize {
    ALIVE.load(SeqCst)
}

/// Starts the thread of `context`. The outcome goes to the owner as `{py_context, id, {started, ident} | {failed, text}}`.
pub fn spawn(context: ContextRef) -> Result<(), String> {
    let shared = context.0.clone();
    registry::add(shared.clone());
    ALIVE.fetch_add(1, SeqCst);
    std::thread::Builder::new()
        .name(format!("py_context_{}", shared.inbox.id))
        .stack_size(crate::python::STACK_SIZE)
        .spawn(move || main(context))
        .map(drop)
        .map_err(|error| {
            ALIVE.fetch_sub(1, SeqCst);
            registry::remove(shared.inbox.id);
            format!("cannot start the thread of the context: {error}")
        })
}

fn main(context: ContextRef) {
    let shared = context.0.clone();
    memory::share_out(alive());
    let outcome = catch_unwind(AssertUnwindSafe(|| run(context)))
        .unwrap_or_else(|panic| Err(Failed::Panicked(panic_text(&*panic))));
    shared.inbox.queue.close().iter().for_each(|request| {
        request.fail((atoms::stopped(), shared.inbox.id));
    });
    registry::remove(shared.inbox.id);
    let id = shared.inbox.id;
    shared.notify_owner(|env| {
        let how = match outcome {
            Ok(Ended::Cleanly) => atoms::ended().to_term(env),
            Ok(Ended::Abandoned) => atoms::abandoned().to_term(env),
            Err(Failed::Start(reason)) => (atoms::failed(), reason).encode(env),
            Err(Failed::Panicked(reason)) => (atoms::panicked(), reason).encode(env),
        };
        (atoms::py_context(), id, how).encode(env)
    });
    memory::share_out(ALIVE.fetch_sub(1, SeqCst) - 1);
}

/// Why a context's thread ended by itself.
enum Failed {
    Start(String),
    Panicked(String),
}

thread_local! {
    /// The context that this thread serves; null on every other thread.
    static RUNTIME: Cell<*const Runtime> = const { Cell::new(std::ptr::null()) };
    /// The context of this thread ends, and its runtime has.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// The state of a context that lives and dies on its thread. Shared, not mutable: a callback runs requests in the midst of
/// another one.
pub struct Runtime {
    pub context: ContextRef,
    pub(super) caches: Caches,
    pub(super) namespaces: Namespaces,
    pub(super) variables: Option<Variables>,
    /// The environment that replies are built in. Taken while one is.
    pub(super) spare_env: RefCell<Option<OwnedTermEnv>>,
    /// Requests whose replies were left in the environments they were built in, oldest first.
    pub(super) unread: RefCell<VecDeque<UnreadReply>>,
    /// The request that runs on this thread, on top of those whose callbacks led to it: while `handle` has it.
    pub(super) running: Cell<Option<NonNull<Running<'static>>>>,
    pub(super) sampler: Sampler,
    /// The time the last request ended: `now()`.
    pub(super) ended: Cell<u64>,
    /// A panic has left this interpreter in an unknown state: no further request runs.
    pub(super) poisoned: RefCell<Option<String>>,
}

/// Runs `work` with the runtime of the context whose thread this is; `None` on other threads.
pub fn with_runtime<R>(work: impl FnOnce(&Runtime) -> R) -> Option<R> {
    let runtime = RUNTIME.get();
    // SAFETY: non-null only between the two `set`s in `run`, while the runtime lives on this very thread.
    (!runtime.is_null()).then(|| work(unsafe { &*runtime }))
}

/// Returns `true` if the owner of the context waits for this thread: what it runs must not wait.
pub fn is_ending() -> bool {
    ENDING.get()
}

/// Runs `work`, which is attached to another interpreter, as on a thread of that interpreter's own.
pub fn without_runtime<R>(work: impl FnOnce() -> R) -> R {
    /// Also where a panic unwinds.
    struct Restore(*const Runtime);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUNTIME.set(self.0);
        }
    }
    let _restore = Restore(RUNTIME.replace(std::ptr::null()));
    work()
}

fn run(context: ContextRef) -> Result<Ended, Failed> {
    let shared = context.0.clone();
    let mut attached = Attached::new(shared.settings.mode).map_err(Failed::Start)?;
    // Whatever happens, this thread has to end its interpreter and let go of the GIL.
    let runtime = match catch_unwind(AssertUnwindSafe(|| Runtime::new(context))) {
        Ok(Ok(runtime)) => runtime,
        Ok(Err(reason)) => {
            attached.end();
            return Err(Failed::Start(reason));
        }
        Err(panic) => {
            attached.end();
            return Err(Failed::Panicked(panic_text(&*panic)));
        }
    };
    RUNTIME.set(&runtime);
    shared.set_interpreter(attached.interpreter(), attached.thread());
    registry::enter(attached.interpreter(), &runtime.context);
    let served = catch_unwind(AssertUnwindSafe(|| runtime.start().map(|()| runtime.serve(&attached))));
    registry::leave(&runtime.context);
    let poisoned = runtime.poisoned.take();
    let deadline = Instant::now() + END_LIMIT;
    runtime.clear_out(deadline);
    RUNTIME.set(std::ptr::null());
    ENDING.set(true);
    let chore = Chore::begin(&shared, Some(deadline));
    drop(runtime);
    if shared.interp.id != 0 {
        // Cycles of the context's namespace: while the interpreter ends, their destructors cannot be interrupted.
        // SAFETY: attached.
        unsafe { ffi::PyGC_Collect() };
    }
    attached.clear();
    drop(chore);
    // An interrupt holds this lock while it waits for the GIL: let go of ours first.
    attached.detach(|| shared.forget_interpreter());
    let ended = attached.end();
    match (served, poisoned) {
        (Err(panic), _) => Err(Failed::Panicked(panic_text(&*panic))),
        (Ok(Err(reason)), _) => Err(Failed::Start(reason)),
        (Ok(Ok(())), Some(reason)) => Err(Failed::Panicked(reason)),
        (Ok(Ok(())), None) => Ok(ended),
    }
}

impl Runtime {
    fn new(context: ContextRef) -> Result<Runtime, String> {
        let settings = &context.0.settings;
        let caches = Caches::new(settings).map_err(|raised| raised.summary())?;
        context.0.thread_ident.store(caches.thread_ident(), SeqCst);
        gc::watch_collections(&context.0.interp).map_err(|raised| raised.summary())?;
        let variables = Variables::new().map_err(|raised| raised.summary())?;
        let sampler = Sampler::new().map_err(|raised| raised.summary())?;
        Ok(Runtime {
            context,
            caches,
            namespaces: Namespaces::default(),
            variables,
            spare_env: RefCell::default(),
            unread: RefCell::default(),
            running: Cell::new(None),
            sampler,
            ended: Cell::new(0),
            poisoned: RefCell::new(None),
        })
    }

    /// Runs the preload code, which may use all of the package, and tells the owner that the context is there.
    fn start(&self) -> Result<(), String> {
        let shared = self.shared();
        let preload = Chore::begin(shared, None);
        // `stop` may have looked at the stack before this was on it.
        if shared.inbox.queue.is_closed() {
            return Err("it was stopped before it had started".to_owned());
        }
        let preloaded = self.caches.preload(&shared.settings);
        if fork::is_child() {
            fork::leave(preloaded.as_ref().err());
        }
        // Runs code too: that of the exception.
        let preloaded = preloaded.map_err(|raised| self.describe_start(&raised));
        drop(preload);
        preloaded?;
        shared.inbox.stats.ready.store(true, SeqCst);
        let id = self.shared().inbox.id;
        self.shared().notify_owner(|env| (atoms::py_context(), id, atoms::started()).encode(env));
        Ok(())
    }

    /// The exception that the preload code has raised, with its traceback.
    fn describe_start(&self, raised: &Raised) -> String {
        let text = self.caches.helpers.describe_start.call(&[&raised.0]);
        match text.as_ref().map(Obj::as_utf8) {
            Ok(Ok(text)) => text.to_owned(),
            _ => raised.summary(),
        }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.context.0
    }

    /// The request that runs on this thread; none while it runs code that no caller asked for.
    pub fn running(&self) -> Option<&Running<'_>> {
        // SAFETY: `handle` takes it out before it is gone, and whoever asks is called by `handle`.
        self.running.get().map(|running| unsafe { running.as_ref() })
    }

    /// The namespace of a request.
    pub fn namespace(&self, running: &Running<'_>) -> PyResult<Obj> {
        let namespace = running.message().namespace;
        let mut converter = self.converter(Dialect::Elixir, &|| false);
        Ok(operation::resolve_namespace(&self.scene(), &mut converter, namespace).unwrap_or_else(|_| Obj::none()))
    }

    pub(super) fn scene(&self) -> Scene<'_> {
        Scene { context: &self.context, caches: &self.caches, namespaces: &self.namespaces }
    }

    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    pub fn converter<'c>(&'c self, dialect: Dialect, cancelled: &'c dyn Fn() -> bool) -> Converter<'c> {
        Converter {
            types: &self.caches.types,
            owner: &self.context,
            dialect,
            cancelled,
            steps: 0,
            size: 0,
            has_refc_binaries: false,
            room: max_words(),
        }
    }

    fn serve(&self, attached: &Attached) {
        let shared = self.shared().clone();
        let mut spin = Spin::new(shared.settings.spin);
        while !shared.inbox.queue.is_closed() {
            self.drain(&shared, &mut spin);
            self.tidy();
            self.sampler.run(&shared, self.ended.get());
            attached.detach(|| shared.inbox.queue.wait(&mut spin));
        }
    }

    /// Drains the queue for at most `MAX_DRAIN`.
    fn drain(&self, shared: &Shared, spin: &mut Spin) {
        let Some(mut request) = shared.inbox.queue.pop() else { return };
        let mut since = None;
        loop {
            self.handle(&request);
            spin.yields_early = !request.sole_caller;
            drop(request);
            let ended = self.ended.get();
            if ended - *since.get_or_insert(ended) > MAX_DRAIN {
                return;
            }
            match shared.inbox.queue.pop() {
                Some(next) => request = next,
                None => return,
            }
            spin.encourage();
        }
    }

    /// Between batches: forgotten handles, namespaces of dead processes.
    fn tidy(&self) {
        if !self.shared().is_tidy() {
            self.discard(self.garbage(), || Instant::now() + RELEASE_LIMIT);
        }
    }

    /// Objects that nothing can reach any more.
    fn garbage(&self) -> Vec<Obj> {
        let shared = self.shared();
        // SAFETY: this thread is attached to its context's interpreter.
        let mut garbage = unsafe { shared.home.forgotten() };
        let dead = std::mem::take(&mut *lock(&shared.dead_namespaces));
        for pid in &dead {
            garbage.extend(self.namespaces.take(pid));
            garbage.extend(self.variables.as_ref().and_then(|variables| variables.forget(pid)));
        }
        garbage
    }

    /// Drops objects, which may run Python code, until `deadline`, and again after each one that had to be interrupted.
    fn discard(&self, garbage: Vec<Obj>, deadline: impl Fn() -> Instant) {
        let mut garbage = garbage.into_iter();
        while garbage.len() > 0 {
            let chore = Chore::begin(self.shared(), Some(deadline()));
            for object in garbage.by_ref() {
                drop(object);
                if chore.is_over() {
                    break;
                }
            }
        }
    }

    /// Lets go of all objects, before the interpreter ends. No request runs any more.
    fn clear_out(&self, deadline: Instant) {
        let shared = self.shared();
        if shared.interp.id != 0 {
            let _chore = Chore::begin(shared, Some(deadline));
            // Code may have broken what this needs: then the threads are left to themselves.
            let _ = self.caches.end_threads(THREADS_LIMIT);
        }
        let mut garbage = self.garbage();
        garbage.extend(self.namespaces.take_all());
        shared.home.close();
        let interp = &shared.interp;
        if interp.id != 0 {
            interp.ended.store(true, SeqCst);
            // SAFETY: this thread is attached to the interpreter, and the only context's.
            garbage.extend(unsafe { interp.objects.close() });
        }
        self.discard(garbage, || deadline);
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "unknown panic".to_owned(),
    }
}
