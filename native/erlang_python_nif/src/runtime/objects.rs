//! Python objects that Elixir holds on to.
//!
//! Each interpreter has a table of them, and a handle knows its place there. So an interpreter that ends can let go of all its
//! objects, whoever still has handles of them: an object that outlived its interpreter would keep all of that interpreter's
//! memory.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::ffi;
use rustler::{Resource, ResourceArc};

use super::context::Interp;
use crate::python::object::Obj;
use erlang_python_core::sync::errands;
use erlang_python_core::sync::lock;

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

/// A Python object that Elixir holds on to.
pub struct ObjectHandle {
    home: Arc<Home>,
    slot: Slot,
}

#[rustler::resource_impl]
impl Resource for ObjectHandle {}

/// Handles that Elixir has not forgotten.
pub static HANDLES: AtomicUsize = AtomicUsize::new(0);

impl ObjectHandle {
    /// `None` when the interpreter is about to end.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter of `home`, to which `object` belongs.
    pub unsafe fn new(home: Arc<Home>, object: Obj) -> Option<ResourceArc<ObjectHandle>> {
        // SAFETY: promised by the caller.
        let slot = unsafe { home.interp.objects.insert(object) }?;
        HANDLES.fetch_add(1, Ordering::Relaxed);
        Some(ResourceArc::new(ObjectHandle { home, slot }))
    }

    /// The object, if it is of `interp` and still there.
    ///
    /// # Safety
    /// The calling thread is attached to `interp`.
    pub unsafe fn object(&self, interp: &Arc<Interp>) -> Option<Obj> {
        if !Arc::ptr_eq(&self.home.interp, interp) {
            return None;
        }
        // SAFETY: promised by the caller.
        unsafe { interp.objects.get(self.slot) }
    }
}

impl Drop for ObjectHandle {
    /// Runs on schedulers: only submits.
    fn drop(&mut self) {
        HANDLES.fetch_sub(1, Ordering::Relaxed);
        let Home { interp, bin } = &*self.home;
        if !interp.ended.load(Ordering::Acquire) {
            if !bin.add(self.slot) {
                interp.orphans.add(self.slot);
            }
            errands::nudge();
        }
    }
}
