//! Decides whether a caller polls for its outcome before it waits for a message.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Adaptive back-off for polling. After `LIMIT` failed polls (a successful one subtracts `WORTH`) callers stop polling,
/// except for one probe in `PROBE` calls. All callers of one context share it; a lost update does no harm.
#[derive(Default)]
pub struct PollBackoff<const LIMIT: u32>(AtomicU32);

/// The number of calls without polling before one polls again: calls may have become short.
const PROBE: u32 = 64;
/// The number of failed polls that one successful poll cancels.
const WORTH: u32 = 8;

impl<const LIMIT: u32> PollBackoff<LIMIT> {
    /// Returns `true` if the caller should poll this time.
    #[inline]
    pub fn pays(&self) -> bool {
        let count = self.0.load(Relaxed);
        if count < LIMIT {
            return true;
        }
        let probe = count >= LIMIT + PROBE;
        self.0.store(if probe { LIMIT - 1 } else { count + 1 }, Relaxed);
        probe
    }

    /// Records a poll that found the outcome.
    #[inline]
    pub fn hit(&self) {
        let count = self.0.load(Relaxed);
        if count != 0 {
            self.0.store(count.min(LIMIT).saturating_sub(WORTH), Relaxed);
        }
    }

    /// Records a poll that found nothing.
    #[inline]
    pub fn miss(&self) {
        self.lose(1);
    }

    /// Records an outcome that took too long to poll for: four in a row stop polling.
    #[inline]
    pub fn give_up(&self) {
        self.lose(LIMIT / 4);
    }

    fn lose(&self, misses: u32) {
        let count = self.0.load(Relaxed);
        if count < LIMIT {
            self.0.store((count + misses).min(LIMIT), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_stops_and_is_probed_again() {
        let backoff = PollBackoff::<6>::default();
        for _ in 0..6 {
            assert!(backoff.pays());
            backoff.miss();
        }
        assert_eq!((0..PROBE).filter(|_| backoff.pays()).count(), 0);
        assert!(backoff.pays());
        backoff.miss();
        assert!(!backoff.pays());
        backoff.hit();
        assert!(backoff.pays() && backoff.pays());
    }

    #[test]
    fn a_hit_cancels_some_misses() {
        let backoff = PollBackoff::<64>::default();
        for _ in 0..100 {
            (0..WORTH).for_each(|_| backoff.miss());
            backoff.hit();
        }
        assert!(backoff.pays());
        (0..64).for_each(|_| backoff.miss());
        assert!(!backoff.pays());
        let backoff = PollBackoff::<64>::default();
        (0..4).for_each(|_| backoff.give_up());
        assert!(!backoff.pays());
    }
}
