//! The times of one request.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counters::add_own;
use super::now;

/// The moments at which one request was submitted, started and ended: `now()`, 0 for not yet.
#[derive(Default)]
pub struct Timing {
    /// 0 if the times are not wanted.
    submitted: u64,
    started: AtomicU64,
    ended: AtomicU64,
    /// The time that its Python code waited for functions of the BEAM, in nanoseconds.
    waited: AtomicU64,
}

impl Timing {
    /// Starts now. `wanted`: whether `times` will be called.
    #[inline]
    pub fn new(wanted: bool) -> Self {
        Timing { submitted: if wanted { now() } else { 0 }, ..Timing::default() }
    }

    /// Records the start.
    #[inline]
    pub fn start(&self, now: u64) {
        self.started.store(now, Relaxed);
    }

    /// Records the end.
    #[inline]
    pub fn end(&self, now: u64) {
        self.ended.store(now, Relaxed);
    }

    /// Runs `work`, which waits for a function of the BEAM, and records how long it took.
    #[inline]
    pub fn waiting<R>(&self, work: impl FnOnce() -> R) -> R {
        let started = now();
        let result = work();
        add_own(&self.waited, now() - started);
        result
    }

    /// The time in the queue and the time in Python until now, in nanoseconds.
    #[inline]
    pub fn times(&self, now: u64) -> (u64, u64) {
        let at = |moment: &AtomicU64| match moment.load(Relaxed) {
            0 => now,
            moment => moment,
        };
        let (started, ended) = (at(&self.started), at(&self.ended));
        let ran = ended.saturating_sub(started).saturating_sub(self.waited.load(Relaxed));
        (started.saturating_sub(self.submitted), ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_times() {
        let timing = Timing { submitted: 10, ..Timing::default() };
        assert_eq!(timing.times(30), (20, 0));
        timing.start(50);
        assert_eq!(timing.times(70), (40, 20));
        timing.waited.store(15, Relaxed);
        timing.end(100);
        assert_eq!(timing.times(500), (40, 35));
        assert!(Timing::new(true).submitted > 0);
    }
}
