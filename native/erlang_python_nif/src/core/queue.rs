//! The queue in front of one context thread: many producers, one consumer, bounded by its owner.
//!
//! The consumer spins for a short, adaptive time before it parks: waking a parked thread costs a system call on
//! the producer's side and a reschedule on the consumer's, several times the price of a short call.

use super::patience::Spinning;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

pub struct Queue<T> {
    items: Mutex<Items<T>>,
    /// Number of items, kept beside the lock so that spinning does not take it.
    len: AtomicUsize,
    parked: AtomicBool,
    /// Set by `wake`: the consumer has something to do besides items.
    nudged: AtomicBool,
    closed: AtomicBool,
    arrivals: AtomicUsize,
    consumer: OnceLock<Thread>,
}

struct Items<T> {
    /// Served before all others, see `push_first_class`.
    first_class: VecDeque<T>,
    deque: VecDeque<T>,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            items: Mutex::new(Items { first_class: VecDeque::new(), deque: VecDeque::new(), closed: false }),
            len: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            arrivals: AtomicUsize::new(0),
            consumer: OnceLock::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Appends `item` and wakes the consumer if it is parked. Gives the item back when the queue is closed.
    pub fn push(&self, item: T) -> Result<(), T> {
        self.push_to(item, |items| &mut items.deque)
    }

    /// Like `push`, but before all items of that kind; `pop_first_class` may pick it out of turn.
    pub fn push_first_class(&self, item: T) -> Result<(), T> {
        let pushed = self.push_to(item, |items| &mut items.first_class);
        self.arrivals.fetch_add(1, Ordering::SeqCst);
        self.wake();
        pushed
    }

    fn push_to(&self, item: T, lane: impl FnOnce(&mut Items<T>) -> &mut VecDeque<T>) -> Result<(), T> {
        let mut items = self.lock();
        if items.closed {
            return Err(item);
        }
        lane(&mut items).push_back(item);
        // SeqCst here and in `wait`: either this store is seen before the consumer parks, or the consumer's
        // `parked` is seen here; never neither.
        self.len.store(items.len(), Ordering::SeqCst);
        drop(items);
        self.unpark();
        Ok(())
    }

    pub fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let mut items = self.lock();
        let item = items.first_class.pop_front().or_else(|| items.deque.pop_front());
        self.len.store(items.len(), Ordering::SeqCst);
        item
    }

    /// The oldest first-class item that `wanted` accepts.
    pub fn pop_first_class(&self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut items = self.lock();
        let index = items.first_class.iter().position(wanted)?;
        let item = items.first_class.remove(index);
        self.len.store(items.len(), Ordering::SeqCst);
        item
    }

    /// Grows with every first-class item: tells a consumer whether to look again.
    pub fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::SeqCst)
    }

    /// Refuses further items and hands back those that were not taken.
    pub fn close(&self) -> Vec<T> {
        let mut items = self.lock();
        items.closed = true;
        self.closed.store(true, Ordering::SeqCst);
        let mut rest: Vec<T> = items.first_class.drain(..).collect();
        rest.extend(items.deque.drain(..));
        self.len.store(0, Ordering::SeqCst);
        drop(items);
        self.wake();
        rest
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Whether the consumer sleeps: waking it takes longer than a short item.
    pub fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits the waiting items, oldest first, under the lock: keep it short.
    pub fn for_each(&self, visit: impl FnMut(&T)) {
        let items = self.lock();
        items.first_class.iter().chain(&items.deque).for_each(visit);
    }

    /// Makes the consumer return from `wait` although there may be no item.
    pub fn wake(&self) {
        self.nudged.store(true, Ordering::SeqCst);
        self.unpark();
    }

    fn unpark(&self) {
        if self.parked.load(Ordering::SeqCst)
            && self.parked.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.consumer.get()
        {
            thread.unpark();
        }
    }

    /// Blocks the consumer until there is an item, `wake` or `close`. Only ever called by one thread.
    pub fn wait(&self, spin: &mut Spin) {
        self.wait_for(spin, || !self.is_empty() || self.is_nudged());
        self.nudged.store(false, Ordering::SeqCst);
    }

    /// Blocks the consumer until `ready`, which is asked again after each `wake` or push. Whoever makes it true calls
    /// `wake` afterwards.
    pub fn wait_for(&self, spin: &mut Spin, ready: impl Fn() -> bool) {
        if ready() || spin.run(&ready) {
            return;
        }
        self.consumer.get_or_init(std::thread::current);
        loop {
            self.parked.store(true, Ordering::SeqCst);
            if ready() {
                self.parked.store(false, Ordering::SeqCst);
                return;
            }
            std::thread::park();
        }
    }

    fn is_nudged(&self) -> bool {
        self.nudged.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Items<T>> {
        // No code that can panic runs under this lock, so a poisoned one is still consistent.
        self.items.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> Items<T> {
    fn len(&self) -> usize {
        self.first_class.len() + self.deque.len()
    }
}

/// After so long the thread that is waited for may be waiting for this very processor: yield it between looks. Not sooner,
/// because work that comes during the system call waits for its end.
const POLITE_AFTER: Duration = Duration::from_micros(5);

/// How long to spin before parking. A spin that was in vain halves the next one, a useful one restores it.
pub struct Spin {
    max: Duration,
    misses: u32,
}

impl Spin {
    /// After this many vain spins in a row none is tried until an item is found waiting.
    const GIVE_UP: u32 = 6;

    pub fn new(max: Duration) -> Self {
        Spin { max, misses: 0 }
    }

    /// Work was found without spinning or parking for it: the next spin is likely to pay.
    pub fn encourage(&mut self) {
        self.misses = self.misses.saturating_sub(1);
    }

    fn run(&mut self, ready: impl Fn() -> bool) -> bool {
        if self.misses >= Self::GIVE_UP {
            // Probe now and then: the pace of the callers may have changed.
            self.misses -= 1;
            return false;
        }
        let budget = self.max / (1 << self.misses);
        let start = Instant::now();
        let spinning = Spinning::begin();
        loop {
            for _ in 0..32 {
                if ready() {
                    self.misses = 0;
                    return true;
                }
                std::hint::spin_loop();
            }
            let spent = start.elapsed();
            if spent >= budget {
                self.misses += 1;
                return false;
            }
            if spent >= POLITE_AFTER || spinning.crowded() {
                std::thread::yield_now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn spin() -> Spin {
        Spin::new(Duration::from_micros(20))
    }

    #[test]
    fn items_come_out_in_order() {
        let queue = Queue::default();
        for n in 0..10 {
            queue.push(n).unwrap();
        }
        assert_eq!(queue.len(), 10);
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_closed_queue_refuses_items_and_returns_the_rest() {
        let queue = Queue::default();
        queue.push(1).unwrap();
        assert_eq!(queue.close(), vec![1]);
        assert_eq!(queue.push(2), Err(2));
        assert!(queue.is_closed());
        queue.wait(&mut spin());
    }

    #[test]
    fn no_wake_up_is_lost() {
        let queue = Arc::new(Queue::default());
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                std::thread::spawn(move || (0..5_000).for_each(|n| queue.push(n).unwrap()))
            })
            .collect();
        let (mut taken, mut spin) = (0, spin());
        while taken < 20_000 {
            queue.wait(&mut spin);
            while queue.pop().is_some() {
                taken += 1;
            }
        }
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(queue.is_empty());
    }

    #[test]
    fn first_class_items_go_first_and_out_of_turn() {
        let queue = Queue::default();
        queue.push(1).unwrap();
        queue.push_first_class(2).unwrap();
        queue.push_first_class(3).unwrap();
        assert_eq!(queue.pop_first_class(|item| *item == 3), Some(3));
        assert_eq!(queue.pop_first_class(|item| *item == 1), None);
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(2), Some(1), None));
        assert_eq!(queue.arrivals(), 2);
    }

    #[test]
    fn wake_ends_a_wait_without_items() {
        let queue = Arc::new(Queue::<()>::default());
        let other = queue.clone();
        let waiter = std::thread::spawn(move || other.wait(&mut spin()));
        queue.wake();
        waiter.join().unwrap();
    }
}
