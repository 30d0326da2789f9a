//! A histogram of durations.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::counters::add_own;
use super::micros;

/// Durations in buckets, four for each power of two. Only one thread writes it.
pub struct Histogram {
    buckets: [AtomicU64; Histogram::BUCKETS],
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), max: AtomicU64::new(0) }
    }
}

/// A summary of all recorded durations, in microseconds. A percentile is the upper bound of its bucket.
#[derive(Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The number of durations.
    pub count: u64,
    /// The median.
    pub p50_us: Option<f64>,
    /// The 99th percentile.
    pub p99_us: Option<f64>,
    /// The longest duration.
    pub max_us: Option<f64>,
}

impl Histogram {
    /// Enough for 2^42 nanoseconds, which is more than an hour. Longer durations count as that.
    const BUCKETS: usize = 4 * 42;

    /// Adds a duration.
    #[inline]
    pub fn record(&self, nanoseconds: u64) {
        add_own(&self.buckets[Self::bucket(nanoseconds)], 1);
        if nanoseconds > self.max.load(Relaxed) {
            self.max.store(nanoseconds, Relaxed);
        }
    }

    #[inline]
    fn bucket(value: u64) -> usize {
        if value < 4 {
            return value as usize;
        }
        let exponent = 63 - value.leading_zeros() as usize;
        let quarter = (value >> (exponent - 2)) as usize & 3;
        (4 * (exponent - 1) + quarter).min(Self::BUCKETS - 1)
    }

    /// The smallest value above a bucket.
    fn bound(bucket: usize) -> u64 {
        let (exponent, quarter) = (bucket / 4, bucket as u64 % 4);
        if exponent == 0 { quarter + 1 } else { (4 + quarter + 1) << (exponent - 1) }
    }

    /// Summarizes the histogram.
    pub fn latency(&self) -> Latency {
        let buckets: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let count = buckets.iter().sum();
        let max = self.max.load(Relaxed);
        let at = |share: f64| (count > 0).then(|| micros(Self::percentile(&buckets, count, share).min(max)));
        Latency { count, p50_us: at(0.5), p99_us: at(0.99), max_us: (count > 0).then(|| micros(max)) }
    }

    fn percentile(buckets: &[u64], count: u64, share: f64) -> u64 {
        let wanted = ((count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= wanted
        });
        Self::bound(found.unwrap_or(Self::BUCKETS - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_within_the_bounds_of_its_bucket() {
        for value in (0..2_000).chain([1 << 20, (1 << 20) + 1, 1 << 41, 123_456_789]) {
            let bucket = Histogram::bucket(value);
            assert!(value < Histogram::bound(bucket), "{value} in {bucket}");
            assert!(bucket == 0 || value >= Histogram::bound(bucket - 1), "{value} in {bucket}");
            // A quarter of a power of two: the error of a percentile.
            assert!(Histogram::bound(bucket) as f64 <= 1.25 * value as f64 + 1.0);
        }
        assert_eq!(Histogram::bucket(u64::MAX), Histogram::BUCKETS - 1);
    }

    #[test]
    fn percentiles() {
        let histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency { count: 0, p50_us: None, p99_us: None, max_us: None });
        (0..98).for_each(|_| histogram.record(1_000));
        (0..2).for_each(|_| histogram.record(1_000_000));
        let latency = histogram.latency();
        assert_eq!((latency.count, latency.max_us), (100, Some(1_000.0)));
        assert!((1.0..=1.25).contains(&latency.p50_us.unwrap()));
        assert_eq!(latency.p99_us, Some(1_000.0));
    }
}
