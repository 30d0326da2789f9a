//! CPython inside this process: start-up, interpreters, the threads of contexts, interrupts.

pub mod caches;
pub mod context;
pub mod echo;
pub mod execute;
pub mod failure;
pub mod holder;
pub mod host;
pub mod interpreter;
mod interrupt;
mod memory;
pub mod observe;
pub mod os;
pub mod python;
pub mod request;
pub mod snapshot;
mod symbols;
pub mod thread;
pub mod watchdog;

/// Stack of threads that run Python, in bytes. Reserved, not resident: only touched pages cost memory.
pub const STACK_SIZE: usize = 32 * 1024 * 1024;

/// What the running CPython can do.
pub struct Capabilities {
    /// Own-GIL sub-interpreters: CPython 3.12 and later.
    pub own_gil: bool,
}

pub fn capabilities() -> Capabilities {
    Capabilities { own_gil: symbols::symbols().new_interpreter.is_some() }
}

/// Interrupts the request that a context runs now, if any. One that was given up is being interrupted already.
pub fn interrupt_running(context: &context::Shared) -> bool {
    match context.running() {
        Some(request) if request.life.is_running() => {
            interrupt::deliver(request);
            true
        }
        _ => false,
    }
}
