//! Event counters of one context, read by `Py.info/1` from any thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Each counter is written by few threads and read by many; no counter orders any other memory.
#[derive(Default)]
pub struct Counters {
    pub calls: AtomicU64,
    pub errors: AtomicU64,
    pub timeouts: AtomicU64,
    pub interrupts: AtomicU64,
    pub orphans: AtomicU64,
}

impl Counters {
    pub fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// `(name, value)` of every counter.
    pub fn snapshot(&self) -> [(&'static str, u64); 5] {
        [
            ("calls", self.calls.load(Relaxed)),
            ("errors", self.errors.load(Relaxed)),
            ("timeouts", self.timeouts.load(Relaxed)),
            ("interrupts", self.interrupts.load(Relaxed)),
            ("orphans", self.orphans.load(Relaxed)),
        ]
    }
}
