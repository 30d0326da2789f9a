//! What contexts and interpreters tell about themselves: counters, time spent, how long requests ran, garbage collection.
//!
//! Written on the hot path with relaxed loads and stores of cache lines that no other thread writes, and read whenever
//! somebody takes a snapshot: no lock is between the two.

pub mod busy;
pub mod counters;
pub mod gc;
pub mod histogram;
pub mod outbox;
pub mod registry;
pub mod timing;
pub mod window;

use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, Mutex};
use std::time::Instant;

use self::busy::Busy;
use self::counters::Counters;
use self::histogram::Histogram;
use self::window::Window;
use crate::sync::lock;

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since the first call in this VM, never 0.
#[inline]
pub fn now() -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    EPOCH.elapsed().as_nanos() as u64 + 1
}

/// Of one context. A cache line of its own keeps what its thread writes apart from what others do.
#[repr(align(64))]
pub struct ContextStats {
    pub busy: Busy,
    pub latency: Histogram,
    pub counters: Counters,
    /// About the last second or two of `busy`.
    window: Mutex<Window>,
    pub created: u64,
    /// Takes requests: its start is over.
    pub ready: AtomicBool,
}

impl ContextStats {
    fn new(now: u64) -> Self {
        ContextStats {
            busy: Busy::default(),
            latency: Histogram::default(),
            counters: Counters::default(),
            window: Mutex::new(Window::new(now, 0)),
            created: now,
            ready: AtomicBool::new(false),
        }
    }

    /// Called about every tick of the watchdog while anything happens.
    pub fn roll(&self, now: u64) {
        lock(&self.window).roll(now, self.busy.total(now));
    }

    /// The part of the last one to two seconds in which there was a request.
    pub fn busy_share(&self, now: u64) -> f64 {
        lock(&self.window).rate(now, self.busy.total(now)).clamp(0.0, 1.0)
    }
}

pub fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

pub fn millis(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}
