//! How long a thread has been at work.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// How long a thread has been at work. Written by that thread only.
#[derive(Default)]
pub struct Busy {
    /// Twice the time spent so far, in nanoseconds; while the thread works: less the moment it began, plus one. One word, so
    /// that a reader never sees half of a change.
    total: AtomicI64,
    /// The moment it began; stale while idle.
    since: AtomicU64,
}

impl Busy {
    #[inline]
    pub fn begin(&self, now: u64) {
        self.since.store(now, Relaxed);
        let total = self.total.load(Relaxed) >> 1;
        self.total.store(((total - now as i64) << 1) | 1, Relaxed);
    }

    #[inline]
    pub fn end(&self, now: u64) {
        let total = self.total.load(Relaxed) >> 1;
        self.total.store((total + now as i64) << 1, Relaxed);
    }

    /// Nanoseconds at work until now.
    #[inline]
    pub fn total(&self, now: u64) -> u64 {
        let packed = self.total.load(Relaxed);
        let total = if packed & 1 == 1 { (packed >> 1) + now as i64 } else { packed >> 1 };
        // The thread may have begun after the reader looked at the clock.
        u64::try_from(total).unwrap_or(0)
    }

    /// Nanoseconds since it began what it is doing; `None` when it does nothing.
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
