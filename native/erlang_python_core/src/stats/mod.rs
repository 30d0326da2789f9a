//! Statistics of contexts and interpreters: counters, working time, latency, garbage collection.
//!
//! The hot path writes them with relaxed loads and stores, on cache lines that no other thread writes. A snapshot reads
//! them without a lock.

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

/// The time since the first call in this VM, in nanoseconds. Never 0.
#[inline]
pub fn now() -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    EPOCH.elapsed().as_nanos() as u64 + 1
}

/// The statistics of one context, on cache lines of their own.
#[repr(align(64))]
pub struct ContextStats {
    /// The working time of its thread.
    pub busy: Busy,
    /// The durations of its requests.
    pub latency: Histogram,
    /// Its event counters.
    pub counters: Counters,
    /// The growth of `busy` over the last one to two seconds.
    window: Mutex<Window>,
    /// The time of its creation: `now()`.
    pub created: u64,
    /// Its start is complete, and it takes requests.
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

    /// Moves the window of `busy_share`. Called at each tick of the watchdog.
    pub fn roll(&self, now: u64) {
        lock(&self.window).roll(now, self.busy.total(now));
    }

    /// The share of the last one to two seconds in which a request ran, from 0.0 to 1.0.
    pub fn busy_share(&self, now: u64) -> f64 {
        lock(&self.window).rate(now, self.busy.total(now)).clamp(0.0, 1.0)
    }
}

/// Nanoseconds as microseconds.
pub fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

/// Nanoseconds as whole milliseconds.
pub fn millis(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}
