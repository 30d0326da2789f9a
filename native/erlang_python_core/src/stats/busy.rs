//! The time that a thread has spent working.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// The time that a thread has spent working. Only that thread writes it.
#[derive(Default)]
pub struct Busy {
    /// While idle: twice the time spent so far, in nanoseconds. While working: twice that time minus the start of the
    /// work, plus one. One word, so that a reader never sees half of a change.
    total: AtomicI64,
    /// The start of the work. Stale while idle.
    since: AtomicU64,
}

impl Busy {
    /// The thread begins to work.
    #[inline]
    pub fn begin(&self, now: u64) {
        self.since.store(now, Relaxed);
        let total = self.total.load(Relaxed) >> 1;
        self.total.store(((total - now as i64) << 1) | 1, Relaxed);
    }

    /// The thread is idle again.
    #[inline]
    pub fn end(&self, now: u64) {
        let total = self.total.load(Relaxed) >> 1;
        self.total.store((total + now as i64) << 1, Relaxed);
    }

    /// The working time until now, in nanoseconds.
    #[inline]
    pub fn total(&self, now: u64) -> u64 {
        let packed = self.total.load(Relaxed);
        let total = if packed & 1 == 1 { (packed >> 1) + now as i64 } else { packed >> 1 };
        // Negative if the thread began after the reader read the clock.
        u64::try_from(total).unwrap_or(0)
    }

    /// The time since the work began, in nanoseconds. `None` while idle.
    #[inline]
    pub fn running(&self, now: u64) -> Option<u64> {
        (self.total.load(Relaxed) & 1 == 1).then(|| now.saturating_sub(self.since.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_adds_up_and_grows_while_running() {
        let busy = Busy::default();
        assert_eq!((busy.total(50), busy.running(50)), (0, None));
        busy.begin(100);
        assert_eq!((busy.total(130), busy.running(130)), (30, Some(30)));
        busy.end(150);
        assert_eq!((busy.total(900), busy.running(900)), (50, None));
        busy.begin(1_000);
        assert_eq!((busy.total(1_001), busy.total(999)), (51, 49));
    }
}
