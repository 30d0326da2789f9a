//! Python objects that Elixir holds on to.
//!
//! Each interpreter has a table of them, and a handle knows its place there. So an interpreter that ends can let go of all its
//! objects, whoever still has handles of them: an object that outlived its interpreter would keep all of that interpreter's
//! memory.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use erlang_python_core::stats::gc::InterpStats;
use erlang_python_core::sync::lock;
use pyo3::ffi;

use super::object::Obj;

/// The objects of one interpreter. Whoever is attached to it holds its GIL, which guards the table: no method runs Python code
/// while it uses the slots.
#[derive(Default)]
pub struct Objects(UnsafeCell<Slots>);

// SAFETY: every method demands that the caller is attached to the one interpreter of the table, hence one thread at a time.
unsafe impl Send for Objects {}
// SAFETY: as above.
unsafe impl Sync for Objects {}

#[derive(Default)]
struct Slots {
    /// Owned references; null where there is none.
    objects: Vec<*mut ffi::PyObject>,
    free: Vec<u32>,
    closed: bool,
}

/// A larger table that is empty gives its memory back, in slots.
const KEPT: usize = 1024;

/// A place in the table of an interpreter.
#[derive(Clone, Copy)]
pub struct Slot(u32);

impl Objects {
    /// Keeps `object`. `None` when the interpreter is about to end.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter of this table.
    pub unsafe fn insert(&self, object: Obj) -> Option<Slot> {
        // SAFETY: promised by the caller; nothing below runs Python code.
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

    /// The object at `slot`; `None` when it was let go.
    ///
    /// # Safety
    /// As for `insert`.
    pub unsafe fn get(&self, slot: Slot) -> Option<Obj> {
        // SAFETY: promised by the caller; what is in the table is live.
        unsafe {
            let slots = &*self.0.get();
            let object = *slots.objects.get(slot.0 as usize)?;
            (!object.is_null()).then(|| Obj::borrowed(object))
        }
    }

    /// Takes the object at `slot` out, to be dropped by the caller: that may run Python code.
    ///
    /// # Safety
    /// As for `insert`; the handle of this slot is gone.
    unsafe fn remove(&self, slot: Slot) -> Option<Obj> {
        // SAFETY: promised by the caller; the table owned the reference.
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

    /// Takes all objects out, and keeps none from now on.
    ///
    /// # Safety
    /// As for `insert`.
    pub unsafe fn close(&self) -> Vec<Obj> {
        // SAFETY: promised by the caller; the table owned the references.
        unsafe {
            let slots = std::mem::replace(&mut *self.0.get(), Slots { closed: true, ..Slots::default() });
            slots.objects.into_iter().filter_map(|object| Obj::from_owned(object)).collect()
        }
    }
}

/// Slots whose handles Elixir forgot, waiting for a thread of their interpreter to release the objects.
pub struct ReleaseBin {
    /// There are some. Looked at between requests, where taking a lock would count.
    full: AtomicBool,
    /// `None` when nobody will empty it any more.
    slots: Mutex<Option<Vec<Slot>>>,
}

impl Default for ReleaseBin {
    fn default() -> Self {
        ReleaseBin { full: AtomicBool::new(false), slots: Mutex::new(Some(Vec::new())) }
    }
}

impl ReleaseBin {
    /// Whether it took the slot.
    fn add(&self, slot: Slot) -> bool {
        let mut slots = lock(&self.slots);
        let Some(open) = slots.as_mut() else { return false };
        open.push(slot);
        self.full.store(true, Ordering::Release);
        true
    }

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

/// The interpreter that objects belong to.
#[derive(Default)]
pub struct Interp {
    /// 0 is the main interpreter; others count up and are never reused.
    pub id: u64,
    /// Objects that Elixir has handles of.
    pub objects: Objects,
    /// Forgotten ones of contexts that have ended.
    pub orphans: ReleaseBin,
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

    /// That of an own-GIL context.
    pub fn own() -> Arc<Interp> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Interp { id: NEXT.fetch_add(1, Ordering::Relaxed), ..Interp::default() })
    }
}

/// Where the objects that one context made a handle of are released: by that context, or, once it has ended, by another one of
/// the same interpreter.
pub struct Home {
    pub interp: Arc<Interp>,
    bin: ReleaseBin,
}

impl Home {
    pub fn new(interp: Arc<Interp>) -> Arc<Home> {
        Arc::new(Home { interp, bin: ReleaseBin::default() })
    }

    /// Whether there is nothing to release: no object of this context, nor of one that has ended.
    pub fn is_tidy(&self) -> bool {
        self.bin.is_empty() && self.interp.orphans.is_empty()
    }

    /// Objects that nobody has a handle of any more, to be dropped by the caller: that may run Python code.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter of this home.
    pub unsafe fn forgotten(&self) -> Vec<Obj> {
        let slots = [self.bin.take(), self.interp.orphans.take()].concat();
        // SAFETY: promised by the caller; a slot gets into a bin when its handle is dropped.
        slots.into_iter().filter_map(|slot| unsafe { self.interp.objects.remove(slot) }).collect()
    }

    /// The context ends: what is forgotten from now on is for other contexts.
    pub fn close(&self) {
        for slot in self.bin.close() {
            self.interp.orphans.add(slot);
        }
    }
}

impl Home {
    /// Nobody has a handle of the object at `slot` any more. On any thread: whether a context has to be woken to release it.
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
