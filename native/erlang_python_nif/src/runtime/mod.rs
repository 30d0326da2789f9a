//! The threads of contexts: what they run, and what interrupts it.

pub mod caches;
mod chore;
pub mod context;
pub mod echo;
pub mod exit;
mod extensions;
pub mod failure;
pub mod gc;
pub mod interrupt;
pub mod names;
mod namespaces;
pub mod operation;
pub mod process;
pub mod registry;
pub mod run;
pub mod snapshot;
pub mod thread;
mod variables;
pub mod watchdog;

/// The capabilities of the running CPython.
pub struct Capabilities {
    /// Own-GIL sub-interpreters: CPython 3.12 and later.
    pub own_gil: bool,
}

pub fn capabilities() -> Capabilities {
    Capabilities { own_gil: crate::python::symbols::symbols().new_interpreter.is_some() }
}

/// Keeps this library in memory when the VM closes it, for its threads go on: a new version of the module that loaded it
/// makes the VM do so.
pub fn stay_mapped() {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address of a function of this library; `info` is read only on success, and its name lives as long as the
    // library. The library is open, so that no initializer runs.
    unsafe {
        let here = stay_mapped as fn() as *const libc::c_void;
        if libc::dladdr(here, info.as_mut_ptr()) != 0 {
            let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
            libc::dlopen(info.assume_init().dli_fname, flags);
        }
    }
}
