//! The limit on concurrent requests: a counting semaphore whose waiters are requests, not threads.
//!
//! A request that finds no free permit joins a FIFO; whoever gives a permit back passes it to the oldest waiter.
//! Nobody polls and no thread blocks.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::SeqCst;

use crate::sync::shim::{AtomicBool, AtomicUsize, Mutex, lock};

/// Something that waits for a permit.
pub trait Grantee {
    /// The permit is yours. False when the waiter no longer wants it; the permit then goes to the next.
    fn grant(&self) -> bool;
    /// Returns `true` if `grant` would be refused: the FIFO drops such waiters.
    fn gone(&self) -> bool;
}

/// The result of `Permits::acquire`.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// A permit was free.
    Now,
    /// The waiter was queued.
    Waiting,
    /// No permit was free, and the caller does not wait.
    Refused,
}

/// A number of permits, and the queue of those that wait for one.
pub struct Permits<W> {
    max: AtomicUsize,
    used: AtomicUsize,
    /// Length of the FIFO, with those to whom a permit is being passed.
    waiting: AtomicUsize,
    given_up: AtomicUsize,
    fifo: Mutex<VecDeque<W>>,
}

impl<W: Grantee> Permits<W> {
    /// `max` permits.
    #[cfg(not(loom))]
    pub const fn new(max: usize) -> Self {
        Permits {
            max: AtomicUsize::new(max),
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            fifo: Mutex::new(VecDeque::new()),
        }
    }

    /// `max` permits.
    #[cfg(loom)]
    pub fn new(max: usize) -> Self {
        Permits {
            max: AtomicUsize::new(max),
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            fifo: Mutex::new(VecDeque::new()),
        }
    }

    /// The limit.
    #[inline]
    pub fn max(&self) -> usize {
        self.max.load(SeqCst)
    }

    /// Permits in use. May exceed `max` for a while after the limit was lowered.
    #[inline]
    pub fn used(&self) -> usize {
        self.used.load(SeqCst)
    }

    /// The length of the FIFO. Waiters that gave up count until they are swept, and those to whom a permit is being passed.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// The number of waiters that have not given up. Walks the FIFO.
    pub fn still_waiting(&self) -> usize {
        lock(&self.fifo).iter().filter(|waiter| !waiter.gone()).count()
    }

    /// Changes the limit. Raising it serves waiters at once; lowering it takes nothing from those that run.
    #[inline]
    pub fn set_max(&self, max: usize) {
        self.max.store(max, SeqCst);
        self.serve();
    }

    /// Takes a permit if one is free and nobody waits for one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.waiting.load(SeqCst) == 0 && self.take()
    }

    /// Takes a permit, or queues `waiter`, or refuses when `wait` is false.
    #[inline]
    pub fn acquire(&self, wait: bool, waiter: impl FnOnce() -> W) -> Acquired {
        if self.try_acquire() {
            return Acquired::Now;
        }
        if !wait {
            return Acquired::Refused;
        }
        let mut fifo = lock(&self.fifo);
        fifo.push_back(waiter());
        self.waiting.fetch_add(1, SeqCst);
        drop(fifo);
        // A permit may have come back between the try and the push; its giver did not see this waiter.
        self.serve();
        Acquired::Waiting
    }

    /// Gives a permit back, to the oldest waiter if there is one.
    #[inline]
    pub fn release(&self) {
        self.used.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.serve();
        }
    }

    /// A waiter gave up (its `gone` is true from now on). Sweeps the FIFO once half of it is of that kind.
    #[inline]
    pub fn note_withdrawn(&self) {
        let given_up = self.given_up.fetch_add(1, SeqCst) + 1;
        if given_up >= 16 && given_up * 2 >= self.waiting() {
            self.remove(|waiter| waiter.gone());
        }
    }

    /// Takes every waiter that `which` selects out of the FIFO.
    #[inline]
    pub fn remove(&self, which: impl Fn(&W) -> bool) -> Vec<W> {
        let mut fifo = lock(&self.fifo);
        self.given_up.store(0, SeqCst);
        let (gone, kept) = std::mem::take(&mut *fifo).into_iter().partition(|w| which(w));
        *fifo = kept;
        self.waiting.fetch_sub(gone.len(), SeqCst);
        Vec::from(gone)
    }

    /// Visits the waiters, under the lock.
    #[inline]
    pub fn for_each_waiting(&self, visit: impl FnMut(&W)) {
        lock(&self.fifo).iter().for_each(visit);
    }

    fn take(&self) -> bool {
        let max = self.max.load(SeqCst);
        self.used.fetch_update(SeqCst, SeqCst, |used| (used < max).then_some(used + 1)).is_ok()
    }

    /// Passes free permits to waiters, oldest first.
    fn serve(&self) {
        while self.waiting.load(SeqCst) > 0 && self.take() {
            let Some(waiter) = lock(&self.fifo).pop_front() else {
                self.used.fetch_sub(1, SeqCst);
                // Another thread serves the last one. Who has come meanwhile may have missed the permit just taken.
                if lock(&self.fifo).is_empty() {
                    return;
                }
                continue;
            };
            // Outside the lock: it may push to a queue or, when it fails, end up here again.
            if !waiter.grant() {
                self.used.fetch_sub(1, SeqCst);
            }
            // Not before: a younger request of the same caller could find a permit and get ahead.
            self.waiting.fetch_sub(1, SeqCst);
        }
    }
}

/// The permit of one request: held at most once, given back at most once, at the latest when it is dropped.
pub struct PermitSlot<W: Grantee + 'static> {
    permits: &'static Permits<W>,
    held: AtomicBool,
}

impl<W: Grantee> PermitSlot<W> {
    /// A slot without a permit.
    #[inline]
    pub fn new(permits: &'static Permits<W>) -> Self {
        PermitSlot { permits, held: AtomicBool::new(false) }
    }

    /// Records that a permit, already counted, belongs to this slot.
    #[inline]
    pub fn hold(&self) {
        self.held.store(true, SeqCst);
    }

    /// Takes back what `hold` said, when the permit went elsewhere.
    #[inline]
    pub fn forget(&self) {
        self.held.store(false, SeqCst);
    }

    /// Gives the permit back, if the slot holds one.
    #[inline]
    pub fn release(&self) {
        if self.held.swap(false, SeqCst) {
            self.permits.release();
        }
    }
}

impl<W: Grantee> Drop for PermitSlot<W> {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Default)]
    struct Caller {
        gone: AtomicBool,
        granted: AtomicBool,
    }

    impl Grantee for Arc<Caller> {
        fn grant(&self) -> bool {
            !self.gone() && !self.granted.swap(true, SeqCst)
        }
        fn gone(&self) -> bool {
            self.gone.load(SeqCst)
        }
    }

    fn permits(max: usize) -> &'static Permits<Arc<Caller>> {
        /// Keeps them reachable: Miri reports other leaked memory as an error.
        static ALL: Mutex<Vec<&Permits<Arc<Caller>>>> = Mutex::new(Vec::new());
        let permits = Box::leak(Box::new(Permits::new(max)));
        lock(&ALL).push(permits);
        permits
    }

    fn wait(permits: &Permits<Arc<Caller>>) -> Arc<Caller> {
        let caller = Arc::new(Caller::default());
        assert_eq!(permits.acquire(true, || caller.clone()), Acquired::Waiting);
        caller
    }

    #[test]
    fn a_full_semaphore_refuses_who_will_not_wait() {
        let permits = permits(1);
        assert!(permits.try_acquire());
        assert_eq!(permits.acquire(false, Default::default), Acquired::Refused);
        permits.release();
        assert_eq!(permits.used(), 0);
    }

    #[test]
    fn permits_pass_to_waiters_in_order() {
        let permits = permits(1);
        assert!(permits.try_acquire());
        let (first, second) = (wait(permits), wait(permits));
        permits.release();
        assert!(first.granted.load(SeqCst) && !second.granted.load(SeqCst));
        permits.release();
        assert!(second.granted.load(SeqCst));
        permits.release();
        assert_eq!((permits.used(), permits.waiting()), (0, 0));
    }

    #[test]
    fn a_waiter_that_gave_up_is_passed_over() {
        let permits = permits(1);
        assert!(permits.try_acquire());
        let (first, second) = (wait(permits), wait(permits));
        first.gone.store(true, SeqCst);
        permits.note_withdrawn();
        permits.release();
        assert!(!first.granted.load(SeqCst) && second.granted.load(SeqCst));
    }

    #[test]
    fn many_waiters_that_gave_up_are_swept() {
        let permits = permits(1);
        assert!(permits.try_acquire());
        for _ in 0..1_000 {
            wait(permits).gone.store(true, SeqCst);
            permits.note_withdrawn();
        }
        assert!(permits.waiting() < 64);
        assert_eq!(permits.still_waiting(), 0);
        wait(permits);
        assert_eq!(permits.still_waiting(), 1);
    }

    #[test]
    fn raising_the_limit_serves_waiters() {
        let permits = permits(0);
        let caller = wait(permits);
        permits.set_max(1);
        assert!(caller.granted.load(SeqCst));
    }

    #[test]
    fn a_slot_gives_its_permit_back_once() {
        let permits = permits(2);
        assert!(permits.try_acquire() && permits.try_acquire());
        let slot = PermitSlot::new(permits);
        slot.hold();
        slot.release();
        slot.release();
        drop(slot);
        assert_eq!(permits.used(), 1);
    }

    #[test]
    fn the_limit_holds_and_nothing_is_lost_under_contention() {
        let permits = permits(3);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(move || {
                    for _ in 0..crate::rounds(2_000) {
                        let caller = Arc::new(Caller::default());
                        if permits.acquire(true, || caller.clone()) == Acquired::Waiting {
                            while !caller.granted.load(SeqCst) {
                                std::thread::yield_now();
                            }
                        }
                        assert!(permits.used() <= 3);
                        permits.release();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((permits.used(), permits.waiting()), (0, 0));
    }
}
