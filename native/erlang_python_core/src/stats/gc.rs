//! Statistics of Python's memory and of its garbage collector.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::SECOND;
use crate::sync::lock;

/// A sample of Python's memory statistics.
#[derive(Clone)]
pub struct Sample {
    /// The time it was taken: `now()`.
    pub at: u64,
    /// The statistics of each generation, `gc.get_stats()`.
    pub generations: Vec<Generation>,
    /// The current count of each generation, `gc.get_count()`.
    pub counts: Vec<u64>,
    /// Allocated memory blocks, where Python counts them.
    pub allocated_blocks: Option<u64>,
}

/// The statistics of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// The number of its collections.
    pub collections: u64,
    /// Objects freed.
    pub collected: u64,
    /// Objects found that cannot be freed.
    pub uncollectable: u64,
}

/// The statistics of one interpreter.
#[derive(Default)]
pub struct InterpStats {
    /// Its garbage collections.
    pub gc: Mutex<Collections>,
    /// The last sample.
    sample: Mutex<Option<Sample>>,
    /// The time from which the next sample may be taken.
    next_sample: AtomicU64,
}

/// Garbage collections since the interpreter started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    /// The number of runs.
    pub runs: u64,
    /// Objects freed.
    pub collected: u64,
    /// The total duration, in nanoseconds.
    pub time: u64,
    /// The longest duration, in nanoseconds.
    pub max: u64,
}

impl InterpStats {
    /// Adds one run.
    pub fn collected(&self, run: &GcRun) {
        let mut gc = lock(&self.gc);
        gc.runs += 1;
        gc.collected += run.collected;
        gc.time += run.duration;
        gc.max = gc.max.max(run.duration);
    }

    /// Returns `true` if a new sample is due. The thread that gets `true` takes the sample.
    pub fn claim_sample(&self, now: u64) -> bool {
        let due = self.next_sample.load(Relaxed);
        now >= due && self.next_sample.compare_exchange(due, now + SECOND, Relaxed, Relaxed).is_ok()
    }

    /// Stores a sample that took `cost` nanoseconds. Samples take at most 1 % of the time.
    pub fn put_sample(&self, sample: Sample, cost: u64) {
        self.next_sample.store(sample.at + SECOND.max(cost.saturating_mul(100)), Relaxed);
        *lock(&self.sample) = Some(sample);
    }

    /// The last sample.
    pub fn sample(&self) -> Option<Sample> {
        lock(&self.sample).clone()
    }
}

/// One run of Python's garbage collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GcRun {
    /// The number of the interpreter.
    pub interpreter: u64,
    /// The oldest generation that was collected.
    pub generation: u64,
    /// In nanoseconds.
    pub duration: u64,
    /// Objects freed.
    pub collected: u64,
    /// Objects found that cannot be freed.
    pub uncollectable: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_at_most_once_a_second_and_less_often_when_they_cost() {
        let stats = InterpStats::default();
        let sample = |at| Sample { at, generations: vec![], counts: vec![], allocated_blocks: Some(at) };
        assert!(stats.claim_sample(10) && !stats.claim_sample(11));
        stats.put_sample(sample(10), 5);
        assert!(!stats.claim_sample(10 + SECOND - 1) && stats.claim_sample(10 + SECOND));
        stats.put_sample(sample(2 * SECOND), SECOND / 10);
        assert!(!stats.claim_sample(11 * SECOND) && stats.claim_sample(12 * SECOND));
        assert_eq!(stats.sample().unwrap().allocated_blocks, Some(2 * SECOND));
    }
}
