//! Spinning before a thread parks.

use std::time::{Duration, Instant};

use super::patience::{Spinning, crowded};
use super::shim::yield_now;

/// After so long the thread that is waited for may be waiting for this very processor: yield it between looks. Not sooner,
/// because work that comes during the system call waits for its end.
const POLITE_AFTER: Duration = Duration::from_micros(5);

/// How long to spin before parking. A spin that was in vain halves the next one, a useful one restores it.
pub struct Spin {
    max: Duration,
    pub(super) misses: u32,
    /// Those who push have other work meanwhile: let them do it.
    pub generous: bool,
}

impl Spin {
    /// After this many vain spins in a row none is tried until an item is found waiting.
    const GIVE_UP: u32 = 6;

    pub fn new(max: Duration) -> Self {
        Spin { max, misses: 0, generous: false }
    }

    /// Work was found without spinning or parking for it: the next spin is likely to pay.
    pub fn encourage(&mut self) {
        self.misses = self.misses.saturating_sub(1);
    }

    /// Whether it became ready. Never inlined: counts of instructions leave out what threads spin.
    #[inline(never)]
    pub fn run(&mut self, ready: impl Fn() -> bool) -> bool {
        // To loom each look is one more order to try.
        if cfg!(loom) {
            return false;
        }
        if self.misses >= Self::GIVE_UP {
            // Probe now and then: the pace of the callers may have changed.
            self.misses -= 1;
            return false;
        }
        let budget = self.max / (1 << self.misses);
        // The clock is asked only when there is time for it.
        let mut start = None;
        let mut spinning = None;
        let looks = if self.generous { 8 } else { 32 };
        loop {
            for _ in 0..looks {
                if ready() {
                    self.misses = 0;
                    return true;
                }
                std::hint::spin_loop();
            }
            let spent = start.get_or_insert_with(Instant::now).elapsed();
            if spent >= budget {
                self.misses += 1;
                return false;
            }
            let long = spent >= POLITE_AFTER;
            if long {
                spinning.get_or_insert_with(Spinning::begin);
            }
            if long || self.generous || crowded() {
                yield_now();
            }
        }
    }
}
