//! Whether it pays to look for an answer for a moment before going to sleep until it is sent.

use super::padded::Padded;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Learns from how it went: after `LIMIT` looks in vain that few useful ones came between, only one answer in many is still
/// looked for. Shared by all who call one context; a lost update does no harm.
#[derive(Default)]
pub struct Patience<const LIMIT: u32>(AtomicU32);

/// When it is given up, one look of so many is tried again: calls may have become short.
const PROBE: u32 = 64;
/// Looks in vain that a useful one makes up for.
const WORTH: u32 = 8;

impl<const LIMIT: u32> Patience<LIMIT> {
    /// Whether to look this time.
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

    #[inline]
    pub fn paid(&self) {
        let count = self.0.load(Relaxed);
        if count != 0 {
            self.0.store(count.min(LIMIT).saturating_sub(WORTH), Relaxed);
        }
    }

    #[inline]
    pub fn in_vain(&self) {
        self.lose(1);
    }

    /// An answer took so long that looks for it are a waste: a few in a row are enough to give it up.
    #[inline]
    pub fn hopeless(&self) {
        self.lose(LIMIT / 4);
    }

    fn lose(&self, looks: u32) {
        let count = self.0.load(Relaxed);
        if count < LIMIT {
            self.0.store((count + looks).min(LIMIT), Relaxed);
        }
    }
}

/// Threads that spin for long now.
static SPINNING: Padded<AtomicUsize> = Padded(AtomicUsize::new(0));

/// One processor is left for those that the others wait for.
static MAX_SPINNING: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1));

/// The calling thread spins for long while this exists. Short spins are not counted: all would write to one place.
pub struct Spinning(());

impl Spinning {
    #[inline]
    pub fn begin() -> Spinning {
        SPINNING.fetch_add(1, Relaxed);
        Spinning(())
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        SPINNING.fetch_sub(1, Relaxed);
    }
}

/// Whether one more thread that spins would be in the way of those it waits for.
pub fn crowded() -> bool {
    SPINNING.load(Relaxed) >= *MAX_SPINNING
}

/// Spins until `ready`, for at most `budget`; not at all where too many spin.
pub fn spin_until(budget: Duration, ready: impl Fn() -> bool) {
    if !budget.is_zero() && !ready() && !crowded() {
        spin(budget, ready);
    }
}

/// Never inlined: counts of instructions leave out what threads spin.
#[cold]
#[inline(never)]
fn spin(budget: Duration, ready: impl Fn() -> bool) {
    let start = Instant::now();
    loop {
        for _ in 0..16 {
            std::hint::spin_loop();
            if ready() {
                return;
            }
        }
        if start.elapsed() > budget {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_and_tried_again() {
        let patience = Patience::<6>::default();
        for _ in 0..6 {
            assert!(patience.pays());
            patience.in_vain();
        }
        assert_eq!((0..PROBE).filter(|_| patience.pays()).count(), 0);
        assert!(patience.pays());
        patience.in_vain();
        assert!(!patience.pays());
        patience.paid();
        assert!(patience.pays() && patience.pays());
    }

    #[test]
    fn a_useful_look_makes_up_for_some_in_vain() {
        let patience = Patience::<64>::default();
        for _ in 0..100 {
            (0..WORTH).for_each(|_| patience.in_vain());
            patience.paid();
        }
        assert!(patience.pays());
        (0..64).for_each(|_| patience.in_vain());
        assert!(!patience.pays());
        let patience = Patience::<64>::default();
        (0..4).for_each(|_| patience.hopeless());
        assert!(!patience.pays());
    }
}
