//! Publishes Python's memory statistics so that they can be read without the GIL.
//!
//! Each interpreter's garbage collector calls `collection`, which counts, and leaves an event for a process of the BEAM.
//! The thread of a context takes a sample of the rest when it has run out of work, at most about once a second.

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use erlang_python_core::stats::gc::{GcRun, Generation, Sample};
use erlang_python_core::stats::now;
use erlang_python_core::stats::outbox::Outbox;
use erlang_python_core::sync::lock;
use pyo3::ffi;
use rustler::LocalPid;

use super::chore::Chore;
use super::context::Shared;
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;
use crate::python::host::host;
use crate::python::method::Method;
use crate::python::object::{Obj, PyResult, import};
use crate::python::objects::Interp;

/// A sample takes some hundred microseconds, but may have Python collect garbage.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks Python about the memory of its interpreter.
pub struct Sampler {
    function: Obj,
    /// `sys.getallocatedblocks`.
    blocks: Option<Obj>,
    /// `calls` of the context at the last sample: an idle context takes none.
    calls: Cell<u64>,
}

impl Sampler {
    pub fn new() -> PyResult<Sampler> {
        let function = import(&Obj::str("erlang._stats")?)?.attr("sample")?;
        let blocks = import(&Obj::str("sys")?)?.attr("getallocatedblocks").ok();
        // SAFETY: a live object. One that a program has put in its place may run bytecode, see `allocated_blocks`.
        let blocks = blocks.filter(|function| unsafe { ffi::PyCFunction_Check(function.as_ptr()) } != 0);
        Ok(Sampler { function, blocks, calls: Cell::new(0) })
    }

    /// Blocks that objects take. CPython counts those of all interpreters, without stopping the ones that have GILs of their
    /// own, and crashes when one of them frees memory meanwhile: only to be asked while there is no other, and from C, for
    /// bytecode may let go of the GIL and another interpreter start.
    fn allocated_blocks(&self) -> Option<u64> {
        let function = self.blocks.as_ref().filter(|_| host().is_alone())?;
        function.call(&[]).ok()?.as_i64().ok()?.try_into().ok().filter(|blocks| *blocks > 0)
    }

    /// Takes a sample if work has run since the last one and it is time.
    ///
    /// `ended` is the time the last request ended.
    pub fn run(&self, shared: &Arc<Shared>, ended: u64) {
        let stats = &shared.interp.stats;
        let calls = shared.inbox.stats.counters.calls.load(std::sync::atomic::Ordering::Relaxed);
        if calls == self.calls.get() {
            return;
        }
        if !stats.claim_sample(ended) {
            return;
        }
        self.calls.set(calls);
        let started = now();
        let _chore = Chore::begin(shared, Some(Instant::now() + LIMIT));
        // A program may have broken its own `gc` module: then there is no sample.
        if let Some(mut sample) = self.function.call(&[]).ok().and_then(|numbers| read(&numbers)) {
            sample.allocated_blocks = self.allocated_blocks();
            let cost = now() - started;
            stats.put_sample(sample, cost);
        }
    }
}

/// `(counts, then collections, collected, uncollectable of each generation)`: see `erlang/_stats.py`.
fn read(numbers: &Obj) -> Option<Sample> {
    let parts = numbers.tuple_items();
    let numbers = |part: &Obj| -> Option<Vec<u64>> {
        part.tuple_items().iter().map(|number| number.as_i64().ok().and_then(|number| number.try_into().ok())).collect()
    };
    let [counts, generations] = &parts[..] else { return None };
    let generations = numbers(generations)?;
    Some(Sample {
        at: now(),
        allocated_blocks: None,
        counts: numbers(counts)?,
        generations: generations
            .chunks_exact(3)
            .map(|g| Generation { collections: g[0], collected: g[1], uncollectable: g[2] })
            .collect(),
    })
}

const CAPSULE: &CStr = c"erlang_python.interpreter";

static COLLECTION: Method = Method::new(c"collection", collection);

/// Has the garbage collector of the interpreter this thread is attached to report, once for each interpreter.
pub fn watch_collections(interp: &Arc<Interp>) -> PyResult<()> {
    if interp.watched.swap(true, SeqCst) {
        return Ok(());
    }
    // SAFETY: attached. The capsule owns a count of the `Arc`, which `forget_interp` gives back.
    let capsule = unsafe {
        let interp = Arc::into_raw(interp.clone()).cast_mut().cast();
        Obj::checked(ffi::PyCapsule_New(interp, CAPSULE.as_ptr(), Some(forget_interp)))?
    };
    let function = COLLECTION.function(Some(&capsule))?;
    let callbacks = import(&Obj::str("gc")?)?.attr("callbacks")?;
    callbacks.attr("append")?.call(&[&function]).map(drop)
}

/// # Safety
/// Called by Python with the capsule of `watch_collections`, once.
unsafe extern "C" fn forget_interp(capsule: *mut ffi::PyObject) {
    // SAFETY: promised by the caller.
    unsafe {
        let interp = ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<Interp>();
        if !interp.is_null() {
            drop(Arc::from_raw(interp));
        }
    }
}

thread_local! {
    /// The time the collection that runs on this thread began: `now()`. Collections are not nested.
    static BEGAN: Cell<u64> = const { Cell::new(0) };
}

/// `collection(phase, info)`, called by Python's garbage collector. Never fails: there is no caller to report to.
///
/// # Safety
/// Called by Python: attached, with the capsule and `count` live arguments.
unsafe extern "C" fn collection(
    capsule: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: promised by the caller; the interpreter lives as long as the capsule. Comparing text with ASCII raises
    // nothing.
    unsafe {
        // A child has no reporter, and the locks of threads that it does not have.
        if !crate::python::fork::is_child() && count == 2 && ffi::PyUnicode_Check(*args) != 0 {
            if ffi::PyUnicode_CompareWithASCIIString(*args, c"start".as_ptr()) == 0 {
                BEGAN.set(now());
            } else if ffi::PyCapsule_IsValid(capsule, CAPSULE.as_ptr()) != 0 {
                let interp = &*ffi::PyCapsule_GetPointer(capsule, CAPSULE.as_ptr()).cast::<Interp>();
                collected(interp, *args.add(1));
            }
        }
        let none = ffi::Py_None();
        ffi::Py_IncRef(none);
        none
    }
}

/// # Safety
/// Attached; `info` is a live object.
unsafe fn collected(interp: &Interp, info: *mut ffi::PyObject) {
    let began = BEGAN.replace(0);
    // SAFETY: promised by the caller.
    let number = |key: &CStr| unsafe { number(info, key) };
    let (Some(generation), true) = (number(c"generation"), began > 0) else { return };
    let run = GcRun {
        interpreter: interp.id,
        generation,
        duration: now() - began,
        collected: number(c"collected").unwrap_or(0),
        uncollectable: number(c"uncollectable").unwrap_or(0),
    };
    interp.stats.collected(&run);
    report(run);
}

/// # Safety
/// Attached; `info` is a live object.
unsafe fn number(info: *mut ffi::PyObject, key: &CStr) -> Option<u64> {
    // SAFETY: promised by the caller; the item is borrowed and used at once.
    unsafe {
        if ffi::PyDict_Check(info) == 0 {
            return None;
        }
        let item = ffi::PyDict_GetItemString(info, key.as_ptr());
        if item.is_null() || ffi::PyLong_Check(item) == 0 {
            return None;
        }
        let number = ffi::PyLong_AsLongLong(item);
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
        }
        number.try_into().ok()
    }
}

static EVENTS: Outbox<GcRun> = Outbox::new();
/// The process that gets a message when there are events.
static SUBSCRIBER: Mutex<Option<LocalPid>> = Mutex::new(None);

pub fn subscribe(pid: LocalPid) {
    let mut subscriber = lock(&SUBSCRIBER);
    EVENTS.reset();
    *subscriber = Some(pid);
}

pub fn take() -> Vec<GcRun> {
    EVENTS.take()
}

/// Not from scheduler threads: Python runs on none.
fn report(run: GcRun) {
    // The lock is held for the push too: a new subscriber gets a message for it, or the event is dropped with the old ones.
    let subscriber = lock(&SUBSCRIBER).filter(|_| EVENTS.push(run));
    if let Some(subscriber) = subscriber {
        OwnedTermEnv::new().send(&subscriber, |env| atoms::py_events().to_term(env));
    }
}
