//! What Python tells of its memory and its garbage collector.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::SECOND;
use crate::sync::lock;

/// What Python says about its memory, as of `at`.
#[derive(Clone)]
pub struct Sample {
    pub at: u64,
    pub generations: Vec<Generation>,
    pub counts: Vec<u64>,
    pub allocated_blocks: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Generation {
    pub collections: u64,
    pub collected: u64,
    pub uncollectable: u64,
}

/// Of one interpreter.
#[derive(Default)]
pub struct InterpStats {
    pub gc: Mutex<Collections>,
    sample: Mutex<Option<Sample>>,
    next_sample: AtomicU64,
}

/// Garbage collections since the interpreter started, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    pub runs: u64,
    pub collected: u64,
    pub time: u64,
    pub max: u64,
}

impl InterpStats {
    pub fn collected(&self, run: &GcRun) {
        let mut gc = lock(&self.gc);
        gc.runs += 1;
        gc.collected += run.collected;
        gc.time += run.duration;
        gc.max = gc.max.max(run.duration);
    }

    /// Whether it is time for a new sample; the thread that gets `true` takes it.
    pub fn claim_sample(&self, now: u64) -> bool {
        let due = self.next_sample.load(Relaxed);
        now >= due && self.next_sample.compare_exchange(due, now + SECOND, Relaxed, Relaxed).is_ok()
    }

    /// A sample that took `cost` to take. Expensive ones are taken less often.
    pub fn put_sample(&self, sample: Sample, cost: u64) {
        self.next_sample.store(sample.at + SECOND.max(cost.saturating_mul(100)), Relaxed);
        *lock(&self.sample) = Some(sample);
    }

    pub fn sample(&self) -> Option<Sample> {
        lock(&self.sample).clone()
    }
}

/// One run of Python's garbage collector; the duration in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GcRun {
    pub interpreter: u64,
    pub generation: u64,
    pub duration: u64,
    pub collected: u64,
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
