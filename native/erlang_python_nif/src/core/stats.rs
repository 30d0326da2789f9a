//! What contexts and interpreters tell about themselves: counters, time spent, how long requests ran, garbage collection.
//!
//! Written on the hot path with relaxed loads and stores of cache lines that no other thread writes, and read whenever
//! somebody takes a snapshot: no lock is between the two.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;

use super::counters::{Counters, Counts, add_own};

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
    pub fn total(&self, now: u64) -> u64 {
        let packed = self.total.load(Relaxed);
        let total = if packed & 1 == 1 { (packed >> 1) + now as i64 } else { packed >> 1 };
        // The thread may have begun after the reader looked at the clock.
        u64::try_from(total).unwrap_or(0)
    }

    /// Nanoseconds since it began what it is doing; `None` when it does nothing.
    pub fn running(&self, now: u64) -> Option<u64> {
        (self.total.load(Relaxed) & 1 == 1).then(|| now.saturating_sub(self.since.load(Relaxed)))
    }
}

/// The growth of a number over about the last period: two marks, at least one period apart.
pub struct Window {
    older: (u64, u64),
    newer: (u64, u64),
}

impl Window {
    const PERIOD: u64 = SECOND;

    pub fn new(now: u64, value: u64) -> Self {
        Window { older: (now, value), newer: (now, value) }
    }

    /// Sets a new mark when the newer one is a period old.
    pub fn mark(&mut self, now: u64, value: u64) {
        if now.saturating_sub(self.newer.0) >= Self::PERIOD {
            self.older = self.newer;
            self.newer = (now, value);
        }
    }

    /// Like `mark`, where marks are set all the time but for pauses: what was before a pause tells nothing about the present.
    pub fn roll(&mut self, now: u64, value: u64) {
        if now.saturating_sub(self.newer.0) > 2 * Self::PERIOD {
            *self = Window::new(now, value);
        } else {
            self.mark(now, value);
        }
    }

    /// Growth for each nanosecond.
    pub fn rate(&self, now: u64, value: u64) -> f64 {
        let (at, old) = if now.saturating_sub(self.newer.0) >= Self::PERIOD { self.newer } else { self.older };
        match now.saturating_sub(at) {
            0 => 0.0,
            time => value.saturating_sub(old) as f64 / time as f64,
        }
    }
}

/// Durations in buckets that grow by powers of two, four to each. Written by one thread only.
pub struct Histogram {
    buckets: [AtomicU64; Histogram::BUCKETS],
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), max: AtomicU64::new(0) }
    }
}

/// Of all durations recorded, in microseconds. The percentiles are upper bounds of their buckets.
#[derive(Debug, PartialEq, Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub max_us: Option<f64>,
}

impl Histogram {
    /// Enough for 2^42 nanoseconds, more than an hour; longer ones count as that.
    const BUCKETS: usize = 4 * 42;

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

    /// The smallest value beyond a bucket.
    fn bound(bucket: usize) -> u64 {
        let (exponent, quarter) = (bucket / 4, bucket as u64 % 4);
        if exponent == 0 { quarter + 1 } else { (4 + quarter + 1) << (exponent - 1) }
    }

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

pub fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

pub fn millis(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}

/// The statistics of all contexts, ended ones included.
pub struct Registry(Mutex<Members>);

struct Members {
    living: Vec<Arc<ContextStats>>,
    ended: Counts,
}

impl Registry {
    pub const fn new() -> Self {
        Registry(Mutex::new(Members { living: Vec::new(), ended: Counts::ZERO }))
    }

    pub fn add(&self) -> Arc<ContextStats> {
        let stats = Arc::new(ContextStats::new(now()));
        lock(&self.0).living.push(stats.clone());
        stats
    }

    /// The context is gone; what it counted stays in the totals.
    pub fn retire(&self, stats: &Arc<ContextStats>) {
        let mut members = lock(&self.0);
        let before = members.living.len();
        members.living.retain(|other| !Arc::ptr_eq(other, stats));
        if members.living.len() < before {
            members.ended += stats.counters.counts();
        }
    }

    pub fn totals(&self) -> Counts {
        let members = lock(&self.0);
        members.living.iter().fold(members.ended, |mut sum, stats| {
            sum += stats.counters.counts();
            sum
        })
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

/// When one request was submitted, taken up and done: `now()`, 0 for not yet.
#[derive(Default)]
pub struct Timing {
    /// 0 where nobody asked for it.
    submitted: u64,
    started: AtomicU64,
    ended: AtomicU64,
    /// Nanoseconds that its Python code waited for functions of the BEAM.
    waited: AtomicU64,
}

impl Timing {
    /// `wanted`: whether anybody will ask.
    #[inline]
    pub fn new(wanted: bool) -> Self {
        Timing { submitted: if wanted { now() } else { 0 }, ..Timing::default() }
    }

    #[inline]
    pub fn start(&self, now: u64) {
        self.started.store(now, Relaxed);
    }

    #[inline]
    pub fn end(&self, now: u64) {
        self.ended.store(now, Relaxed);
    }

    /// Runs `work`, which waits for the BEAM.
    pub fn waiting<R>(&self, work: impl FnOnce() -> R) -> R {
        let started = now();
        let result = work();
        add_own(&self.waited, now() - started);
        result
    }

    /// Nanoseconds in the queue, and in Python, until now.
    pub fn times(&self, now: u64) -> (u64, u64) {
        let at = |moment: &AtomicU64| match moment.load(Relaxed) {
            0 => now,
            moment => moment,
        };
        let (started, ended) = (at(&self.started), at(&self.ended));
        let ran = ended.saturating_sub(started).saturating_sub(self.waited.load(Relaxed));
        (started.saturating_sub(self.submitted), ran)
    }
}

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

/// Events on their way to a process: bounded, and the process is told once, however many there are.
pub struct Outbox<T>(Mutex<Pending<T>>);

struct Pending<T> {
    events: VecDeque<T>,
    /// The process knows that there is something, and has not yet found the box empty.
    told: bool,
}

impl<T> Outbox<T> {
    const MAX: usize = 1_024;
    /// A scheduler makes terms of them.
    const AT_ONCE: usize = 256;

    pub const fn new() -> Self {
        Outbox(Mutex::new(Pending { events: VecDeque::new(), told: false }))
    }

    /// Adds an event, in place of the oldest when the box is full: whether the process has to be told.
    pub fn push(&self, event: T) -> bool {
        let mut inner = lock(&self.0);
        if inner.events.len() == Self::MAX {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
        !std::mem::replace(&mut inner.told, true)
    }

    /// Takes the oldest events. Whoever finds the box empty is told of the next.
    pub fn take(&self) -> Vec<T> {
        let mut inner = lock(&self.0);
        if inner.events.is_empty() {
            inner.told = false;
        }
        let count = inner.events.len().min(Self::AT_ONCE);
        inner.events.drain(..count).collect()
    }

    /// There is a new process, which has been told nothing.
    pub fn reset(&self) {
        let mut inner = lock(&self.0);
        inner.events.clear();
        inner.told = false;
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that panics half-way runs under these locks.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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

    #[test]
    fn buckets_hold_what_they_say() {
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

    #[test]
    fn the_window_tells_of_the_last_moments_only() {
        let mut window = Window::new(0, 0);
        // Busy all the time.
        assert_eq!(window.rate(SECOND / 2, SECOND / 2), 1.0);
        window.roll(SECOND, SECOND);
        window.roll(2 * SECOND, 2 * SECOND);
        assert_eq!(window.rate(2 * SECOND, 2 * SECOND), 1.0);
        // Idle from then on, and nobody rolls.
        assert_eq!(window.rate(2 * SECOND + SECOND / 2, 2 * SECOND), 2.0 / 3.0);
        assert_eq!(window.rate(3 * SECOND, 2 * SECOND), 0.0);
        // Busy again, after a long pause.
        window.roll(60 * SECOND, 2 * SECOND);
        assert_eq!(window.rate(60 * SECOND + 10, 2 * SECOND + 10), 1.0);
    }

    #[test]
    fn totals_keep_what_ended_contexts_counted() {
        let registry = Registry::new();
        let (one, two) = (registry.add(), registry.add());
        Counters::bump(&one.counters.calls);
        Counters::bump_own(&two.counters.calls);
        Counters::bump(&two.counters.errors);
        registry.retire(&two);
        registry.retire(&two);
        assert_eq!(registry.totals(), Counts { calls: 2, errors: 1, ..Counts::default() });
    }

    #[test]
    fn a_request_has_its_times() {
        let timing = Timing { submitted: 10, ..Timing::default() };
        assert_eq!(timing.times(30), (20, 0));
        timing.start(50);
        assert_eq!(timing.times(70), (40, 20));
        timing.waited.store(15, Relaxed);
        timing.end(100);
        assert_eq!(timing.times(500), (40, 35));
        assert!(Timing::new(true).submitted > 0);
    }

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

    #[test]
    fn an_outbox_is_bounded_and_tells_once() {
        let outbox = Outbox::new();
        assert!(outbox.push(0));
        for n in 1..=Outbox::<usize>::MAX {
            assert!(!outbox.push(n));
        }
        let events: Vec<usize> = (0..4).flat_map(|_| outbox.take()).collect();
        assert_eq!(events, (1..=Outbox::<usize>::MAX).collect::<Vec<_>>());
        // Not yet found empty: whoever takes them looks again.
        assert!(!outbox.push(7));
        assert_eq!(outbox.take(), vec![7]);
        assert!(outbox.take().is_empty());
        assert!(outbox.push(8));
        outbox.reset();
        assert!(outbox.push(9));
    }
}
