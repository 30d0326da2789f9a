//! Handles: terms that stand for Python objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use erlang_python_core::sync::errands;
use rustler::{Resource, ResourceArc};

use crate::python::object::Obj;
use crate::python::objects::{Home, Interp, Slot};

/// A handle of a Python object, which keeps the object alive.
pub struct ObjectHandle {
    home: Arc<Home>,
    slot: Slot,
}

#[rustler::resource_impl]
impl Resource for ObjectHandle {}

/// The number of handles that exist.
pub static HANDLES: AtomicUsize = AtomicUsize::new(0);

impl ObjectHandle {
    /// A handle of `object`. `None` if the interpreter is about to end.
    ///
    /// # Safety
    /// The calling thread is attached to the interpreter of `home`, to which `object` belongs.
    pub unsafe fn new(home: Arc<Home>, object: Obj) -> Option<ResourceArc<ObjectHandle>> {
        // SAFETY: promised by the caller.
        let slot = unsafe { home.interp.objects.insert(object) }?;
        HANDLES.fetch_add(1, Ordering::Relaxed);
        Some(ResourceArc::new(ObjectHandle { home, slot }))
    }

    /// The object. `None` if it belongs to another interpreter or was released.
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
    /// Only marks the slot: the VM drops handles on schedulers.
    fn drop(&mut self) {
        HANDLES.fetch_sub(1, Ordering::Relaxed);
        if self.home.forget(self.slot) {
            errands::nudge();
        }
    }
}
