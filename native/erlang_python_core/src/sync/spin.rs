//! Spinning: before a thread parks, and while a caller polls.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::padded::Padded;
use super::shim::yield_now;

/// A thread that has spun for this long yields its processor between polls: the thread that it waits for may need that
/// processor. It does not yield earlier, because work that arrives during the system call waits until the call returns.
const YIELD_AFTER: Duration = Duration::from_micros(5);

/// The time to spin before parking. A failed spin halves the next one, a successful one restores it.
pub struct Spin {
    max: Duration,
    /// Failed spins in a row.
    misses: u32,
    /// The pushing threads have other work meanwhile, so this thread yields its processor from the start.
    pub yields_early: bool,
}

impl Spin {
    /// After this many failed spins in a row the thread parks at once, until it finds an item waiting.
    const GIVE_UP: u32 = 6;

    /// Spins for at most `max`.
    pub fn new(max: Duration) -> Self {
        Spin { max, misses: 0, yields_early: false }
    }

    /// Records that work was found without spinning or parking: the next spin is likely to succeed.
    pub fn encourage(&mut self) {
        self.misses = self.misses.saturating_sub(1);
    }

    /// Spins until `ready`, and returns `true` if it became so in time. Never inlined: instruction counts leave
    /// spinning out.
    #[inline(never)]
    pub fn run(&mut self, ready: impl Fn() -> bool) -> bool {
        // To loom each poll is one more order to try.
        if cfg!(loom) {
            return false;
        }
        if self.misses >= Self::GIVE_UP {
            // Lets a later call probe again: the pace of the callers may have changed.
            self.misses -= 1;
            return false;
        }
        let budget = self.max / (1 << self.misses);
        // Reads the clock only when the first polls have failed.
        let mut start = None;
        let mut spinning = None;
        let polls = if self.yields_early { 8 } else { 32 };
        loop {
            for _ in 0..polls {
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
            let long = spent >= YIELD_AFTER;
            if long {
                spinning.get_or_insert_with(Spinning::begin);
            }
            if long || self.yields_early || crowded() {
                yield_now();
            }
        }
    }
}

/// The number of threads that have spun for longer than `YIELD_AFTER` and still do.
static SPINNING: Padded<AtomicUsize> = Padded(AtomicUsize::new(0));

/// All processors but one, which is left for the threads that the others wait for.
static MAX_SPINNING: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1));

/// Counts the calling thread in `SPINNING` while it exists. Short spins are not counted: they would all write to one
/// cache line.
struct Spinning(());

impl Spinning {
    #[inline]
    fn begin() -> Spinning {
        SPINNING.fetch_add(1, Relaxed);
        Spinning(())
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        SPINNING.fetch_sub(1, Relaxed);
    }
}

/// Returns `true` if one more spinning thread would take a processor from the threads that it waits for.
fn crowded() -> bool {
    SPINNING.load(Relaxed) >= *MAX_SPINNING
}

/// Spins until `ready`, for at most `budget`. Does not spin if too many threads do.
pub fn spin_until(budget: Duration, ready: impl Fn() -> bool) {
    if !budget.is_zero() && !ready() && !crowded() {
        spin(budget, ready);
    }
}

/// Never inlined: instruction counts leave spinning out.
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
