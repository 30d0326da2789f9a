//! The times of one request.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counters::add_own;
use super::now;

/// When one request was submitted, taken up and done: `now()`, 0 for not yet.
#[derive(Default)]
pub struct Timing {
    /// 0 where nobody asked for it.
    submitted: u64,
    started: AtomicU64,
    ended: AtomicU64,
    /// Nanoseconds that its Python code waited for functions of the BEAM.
    waited: AtomicU64,
}

impl Timing {
    /// `wanted`: whether anybody will ask.
    #[inline]
    pub fn new(wanted: bool) -> Self {
        Timing { submitted: if wanted { now() } else { 0 }, ..Timing::default() }
    }

    #[inline]
    pub fn start(&self, now: u64) {
        self.started.store(now, Relaxed);
    }

    #[inline]
    pub fn end(&self, now: u64) {
        self.ended.store(now, Relaxed);
    }

    /// Runs `work`, which waits for the BEAM.
    #[inline]
    pub fn waiting<R>(&self, work: impl FnOnce() -> R) -> R {
        let started = now();
        let result = work();
        add_own(&self.waited, now() - started);
        result
    }

    /// Nanoseconds in the queue, and in Python, until now.
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
