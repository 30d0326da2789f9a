//! Python objects that Elixir has handles of.
//!
//! Each interpreter has a table of its objects, and a handle has the number of a slot there. So an ending interpreter
//! can release all its objects, even those that still have handles. An object that outlived its interpreter would keep
//! all memory of the interpreter.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use erlang_python_core::stats::gc::InterpStats;
use erlang_python_core::sync::lock;
use pyo3::ffi;

use super::object::Obj;

/// The objects of one interpreter. The GIL of the interpreter guards the table: callers hold it, and no method runs
/// Python code while it uses the slots.
#[derive(Default)]
pub struct Objects(UnsafeCell<Slots>);

// SAFETY: every method requires that the caller is attached to the interpreter of the table, so it holds the GIL, which
// one thread holds at a time.
unsafe impl Send for Objects {}
// SAFETY: as above.
unsafe impl Sync for Objects {}

#[derive(Default)]
struct Slots {
    /// Owned references, null in free slots.
    objects: Vec<*mut ffi::PyObject>,
    /// The numbers of the free slots.
    free: Vec<u32>,
    /// `close` was called.
    closed: bool,
}

/// The size up to which an empty table keeps its memory, in slots.
const KEPT: usize = 1024;

/// The number of a slot in the table of an interpreter.
#[derive(Clone, Copy)]
pub struct Slot(u32);

impl Objects {
    /// Stores `object`. `None` if the interpreter is about to end.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter of this table.
    pub unsafe fn insert(&self, object: Obj) -> Option<Slot> {
        // SAFETY: promised by the caller. Nothing below runs Python code, which could release the GIL.
        let slots = unsafe { &mut *self.0.get() };
        if slots.closed {
            return None;
        }
        let index = match slots.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(slots.objects.len()).ok()?;
                slots.objects.push(std::ptr::null_mut());
                index
            }
        };
        slots.objects[index as usize] = object.into_ptr();
        Some(Slot(index))
    }

    /// The object in `slot`. `None` if it was released.
    ///
    /// # Safety
    /// As for `insert`.
    pub unsafe fn get(&self, slot: Slot) -> Option<Obj> {
        // SAFETY: promised by the caller. The table owns its references, so they are live.
        unsafe {
            let slots = &*self.0.get();
            let object = *slots.objects.get(slot.0 as usize)?;
            (!object.is_null()).then(|| Obj::borrowed(object))
        }
    }

    /// Takes the object out of `slot`. The caller drops it, which may run Python code.
    ///
    /// # Safety
    /// As for `insert`. The handle of this slot was dropped.
    unsafe fn remove(&self, slot: Slot) -> Option<Obj> {
        // SAFETY: promised by the caller. The table owned the reference and hands it over.
        unsafe {
            let slots = &mut *self.0.get();
            let object = std::mem::replace(slots.objects.get_mut(slot.0 as usize)?, std::ptr::null_mut());
            slots.free.push(slot.0);
            if slots.free.len() == slots.objects.len() && slots.free.len() > KEPT {
                *slots = Slots::default();
            }
            Obj::from_owned(object)
        }
    }

    /// Takes all objects out. `insert` fails from now on.
    ///
    /// # Safety
    /// As for `insert`.
    pub unsafe fn close(&self) -> Vec<Obj> {
        // SAFETY: promised by the caller. The table owned the references and hands them over.
        unsafe {
            let slots = std::mem::replace(&mut *self.0.get(), Slots { closed: true, ..Slots::default() });
            slots.objects.into_iter().filter_map(|object| Obj::from_owned(object)).collect()
        }
    }
}

/// Slots without a handle, which wait for a thread of their interpreter to release the objects.
pub struct ReleaseBin {
    /// There are slots. Read between requests, where a lock would cost time.
    full: AtomicBool,
    /// `None` after `close`.
    slots: Mutex<Option<Vec<Slot>>>,
}

impl Default for ReleaseBin {
    fn default() -> Self {
        ReleaseBin { full: AtomicBool::new(false), slots: Mutex::new(Some(Vec::new())) }
    }
}

impl ReleaseBin {
    /// Adds a slot. Returns `false` after `close`.
    fn add(&self, slot: Slot) -> bool {
        let mut slots = lock(&self.slots);
        let Some(open) = slots.as_mut() else { return false };
        open.push(slot);
        self.full.store(true, Ordering::Release);
        true
    }

    /// Returns `true` if there is no slot.
    pub fn is_empty(&self) -> bool {
        !self.full.load(Ordering::Acquire)
    }

    fn take(&self) -> Vec<Slot> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut slots = lock(&self.slots);
        self.full.store(false, Ordering::Release);
        slots.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) -> Vec<Slot> {
        let slots = lock(&self.slots).take();
        self.full.store(false, Ordering::Release);
        slots.unwrap_or_default()
    }
}

/// An interpreter, as far as objects and statistics are concerned.
#[derive(Default)]
pub struct Interp {
    /// 0 for the main interpreter. Others count up and are never reused.
    pub id: u64,
    /// Objects that Elixir has handles of.
    pub objects: Objects,
    /// Objects without a handle whose context has ended.
    pub orphans: ReleaseBin,
    /// Set once the interpreter has ended.
    pub ended: AtomicBool,
    /// Statistics of its memory and its garbage collector.
    pub stats: InterpStats,
    /// Its garbage collector reports each run.
    pub watched: AtomicBool,
}

impl Interp {
    /// The main interpreter.
    pub fn main() -> Arc<Interp> {
        static MAIN: OnceLock<Arc<Interp>> = OnceLock::new();
        MAIN.get_or_init(Arc::default).clone()
    }

    /// A new interpreter for an own-GIL context.
    pub fn own() -> Arc<Interp> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Interp { id: NEXT.fetch_add(1, Ordering::Relaxed), ..Interp::default() })
    }
}

/// Releases the objects that one context has made handles of: in that context or, once it has ended, in another context
/// of the same interpreter.
pub struct Home {
    /// The interpreter of the context.
    pub interp: Arc<Interp>,
    bin: ReleaseBin,
}

impl Home {
    /// The home of a new context.
    pub fn new(interp: Arc<Interp>) -> Arc<Home> {
        Arc::new(Home { interp, bin: ReleaseBin::default() })
    }

    /// Returns `true` if there is nothing to release, neither of this context nor of one that has ended.
    pub fn is_tidy(&self) -> bool {
        self.bin.is_empty() && self.interp.orphans.is_empty()
    }

    /// Takes the objects that have no handle any more. The caller drops them, which may run Python code.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter of this home.
    pub unsafe fn forgotten(&self) -> Vec<Obj> {
        let slots = [self.bin.take(), self.interp.orphans.take()].concat();
        // SAFETY: promised by the caller. A slot gets into a bin when its handle is dropped.
        slots.into_iter().filter_map(|slot| unsafe { self.interp.objects.remove(slot) }).collect()
    }

    /// The context ends, and other contexts release its objects from now on.
    pub fn close(&self) {
        for slot in self.bin.close() {
            self.interp.orphans.add(slot);
        }
    }

    /// The handle of the object in `slot` was dropped, on any thread. Returns `true` if a context has to be woken to
    /// release the object.
    pub fn forget(&self, slot: Slot) -> bool {
        if self.interp.ended.load(Ordering::Acquire) {
            return false;
        }
        if !self.bin.add(slot) {
            self.interp.orphans.add(slot);
        }
        true
    }
}
