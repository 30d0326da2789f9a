//! The queue in front of one context thread: many producers, one consumer, bounded by its owner.
//!
//! The consumer spins for a short, adaptive time before it parks: waking a parked thread costs a system call on
//! the producer's side and a reschedule on the consumer's, several times the price of a short call.

use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::padded::Padded;
use super::shim::{AtomicBool, AtomicPtr, AtomicUsize, Mutex, Parker, lock, park};
use super::spin::Spin;

pub struct Queue<T> {
    front: Padded<Front<T>>,
    items: Padded<Mutex<Items<T>>>,
    consumer: Parker,
}

/// What a push to an empty queue and the consumer touch: one cache line, because that is what a short call waits for.
struct Front<T> {
    /// The only item, put there without the lock: older than all items behind it. Null when there is none, `closed()` at
    /// the end.
    slot: AtomicPtr<T>,
    /// Number of items behind the lock.
    behind: AtomicUsize,
    parked: AtomicBool,
    /// Set by `wake`: the consumer has something to do besides items.
    nudged: AtomicBool,
    arrivals: AtomicUsize,
}

struct Items<T> {
    /// Served before all others, see `push_first_class`.
    first_class: VecDeque<Arc<T>>,
    deque: VecDeque<Arc<T>>,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let front = Front {
            slot: AtomicPtr::new(ptr::null_mut()),
            behind: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            arrivals: AtomicUsize::new(0),
        };
        let items = Items { first_class: VecDeque::new(), deque: VecDeque::new(), closed: false };
        Queue { front: Padded(front), items: Padded(Mutex::new(items)), consumer: Parker::default() }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        drop(self.front.take());
    }
}

// SeqCst throughout: either a push is seen before the consumer parks, or the consumer's `parked` is seen after the push;
// never neither.
impl<T> Front<T> {
    /// No item has this address, nor the next.
    fn closed() -> *mut T {
        ptr::without_provenance_mut(1)
    }

    /// The item is being looked at.
    fn busy() -> *mut T {
        ptr::without_provenance_mut(2)
    }

    fn is_item(pointer: *mut T) -> bool {
        !pointer.is_null() && pointer != Self::closed() && pointer != Self::busy()
    }

    /// Puts `item` into the slot if the queue is empty.
    fn put(&self, item: Arc<T>) -> Result<(), Arc<T>> {
        if self.behind.load(SeqCst) != 0 || !self.slot.load(SeqCst).is_null() {
            return Err(item);
        }
        let item = Arc::into_raw(item).cast_mut();
        match self.slot.compare_exchange(ptr::null_mut(), item, SeqCst, SeqCst) {
            Ok(_) => Ok(()),
            // SAFETY: it was not put there, so the count it stands for is still ours.
            Err(_) => Err(unsafe { Arc::from_raw(item) }),
        }
    }

    fn take(&self) -> Option<Arc<T>> {
        self.replace(ptr::null_mut())
    }

    /// Takes the item out and leaves `other` in its place.
    fn replace(&self, other: *mut T) -> Option<Arc<T>> {
        let item = self.slot.load(SeqCst);
        let taken = Self::is_item(item) && self.slot.compare_exchange(item, other, SeqCst, SeqCst).is_ok();
        // SAFETY: `put` left the count of an item there, and only who takes it out gets it.
        taken.then(|| unsafe { Arc::from_raw(item) })
    }

    /// Takes the item out if `keep` does not want it. Under the lock, as `close`: nobody else makes it busy or closes it. Its
    /// place stays taken meanwhile, so that no younger item gets ahead of it.
    fn sweep(&self, keep: impl FnOnce(&Arc<T>) -> bool) -> Option<Arc<T>> {
        let item = self.replace(Self::busy())?;
        if keep(&item) {
            self.slot.store(Arc::into_raw(item).cast_mut(), SeqCst);
            None
        } else {
            self.slot.store(ptr::null_mut(), SeqCst);
            Some(item)
        }
    }

    /// Takes the item and lets no other in.
    fn close(&self) -> Option<Arc<T>> {
        let item = self.slot.swap(Self::closed(), SeqCst);
        // SAFETY: as in `take`.
        Self::is_item(item).then(|| unsafe { Arc::from_raw(item) })
    }

    fn is_closed(&self) -> bool {
        self.slot.load(SeqCst) == Self::closed()
    }

    fn len(&self) -> usize {
        self.behind.load(SeqCst) + usize::from(Self::is_item(self.slot.load(SeqCst)))
    }
}

impl<T> Queue<T> {
    /// Appends `item` and wakes the consumer if it is parked. Gives the item back when the queue is closed.
    pub fn push(&self, item: Arc<T>) -> Result<(), Arc<T>> {
        match self.front.put(item) {
            Ok(()) => {
                self.unpark();
                Ok(())
            }
            Err(item) => self.push_behind(item, |items| &mut items.deque),
        }
    }

    /// Like `push`, but before all items of that kind; `pop_first_class` may pick it out of turn.
    pub fn push_first_class(&self, item: Arc<T>) -> Result<(), Arc<T>> {
        let pushed = self.push_behind(item, |items| &mut items.first_class);
        self.front.arrivals.fetch_add(1, SeqCst);
        self.wake();
        pushed
    }

    fn push_behind(
        &self,
        item: Arc<T>,
        lane: impl FnOnce(&mut Items<T>) -> &mut VecDeque<Arc<T>>,
    ) -> Result<(), Arc<T>> {
        let mut items = lock(&self.items);
        if items.closed {
            return Err(item);
        }
        lane(&mut items).push_back(item);
        self.front.behind.store(items.len(), SeqCst);
        drop(items);
        self.unpark();
        Ok(())
    }

    pub fn pop(&self) -> Option<Arc<T>> {
        if self.front.behind.load(SeqCst) == 0 {
            return self.front.take();
        }
        let mut items = lock(&self.items);
        let first_class = items.first_class.pop_front();
        let item = first_class.or_else(|| self.front.take()).or_else(|| items.deque.pop_front());
        self.front.behind.store(items.len(), SeqCst);
        item
    }

    /// The oldest first-class item that `wanted` accepts.
    pub fn pop_first_class(&self, wanted: impl Fn(&Arc<T>) -> bool) -> Option<Arc<T>> {
        if self.front.behind.load(SeqCst) == 0 {
            return None;
        }
        let mut items = lock(&self.items);
        let index = items.first_class.iter().position(wanted)?;
        let item = items.first_class.remove(index);
        self.front.behind.store(items.len(), SeqCst);
        item
    }

    /// Grows with every first-class item: tells a consumer whether to look again.
    pub fn arrivals(&self) -> usize {
        self.front.arrivals.load(SeqCst)
    }

    /// Refuses further items and hands back those that were not taken.
    pub fn close(&self) -> Vec<Arc<T>> {
        let mut items = lock(&self.items);
        items.closed = true;
        let mut rest: Vec<Arc<T>> = items.first_class.drain(..).collect();
        rest.extend(self.front.close());
        rest.extend(items.deque.drain(..));
        self.front.behind.store(0, SeqCst);
        drop(items);
        self.wake();
        rest
    }

    pub fn is_closed(&self) -> bool {
        self.front.is_closed()
    }

    pub fn len(&self) -> usize {
        self.front.len()
    }

    /// Whether the consumer sleeps: waking it takes longer than a short item.
    pub fn is_parked(&self) -> bool {
        self.front.parked.load(SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits the waiting items, under the lock: keep it short. Takes out those for which `keep` is false.
    pub fn sweep(&self, mut keep: impl FnMut(&Arc<T>) -> bool) -> Vec<Arc<T>> {
        let mut gone = Vec::new();
        if self.is_empty() {
            return gone;
        }
        let mut items = lock(&self.items);
        let Items { first_class, deque, .. } = &mut *items;
        let mut sweep = |lane: &mut VecDeque<Arc<T>>| {
            for item in std::mem::take(lane) {
                if keep(&item) { lane.push_back(item) } else { gone.push(item) }
            }
        };
        sweep(first_class);
        sweep(deque);
        gone.extend(self.front.sweep(keep));
        self.front.behind.store(items.len(), SeqCst);
        drop(items);
        // The consumer may have found nothing while an item was looked at.
        if !self.is_empty() {
            self.unpark();
        }
        gone
    }

    /// Makes the consumer return from `wait` although there may be no item.
    pub fn wake(&self) {
        self.front.nudged.store(true, SeqCst);
        self.unpark();
    }

    /// Has a consumer that is parked ask again what it waits for.
    pub fn unpark(&self) {
        if self.front.parked.load(SeqCst) && self.front.parked.swap(false, SeqCst) {
            self.consumer.unpark();
        }
    }

    /// Blocks the consumer until there is an item, `wake` or `close`. Only ever called by one thread.
    pub fn wait(&self, spin: &mut Spin) {
        self.wait_for(spin, || !self.is_empty() || self.is_nudged());
        if self.is_nudged() {
            self.front.nudged.store(false, SeqCst);
        }
    }

    /// Blocks the consumer until `ready`, which is asked again after each `unpark`, `wake` or push. Whoever makes it true
    /// calls one of them afterwards.
    pub fn wait_for(&self, spin: &mut Spin, ready: impl Fn() -> bool) {
        if ready() || spin.run(&ready) {
            return;
        }
        self.consumer.register();
        loop {
            self.front.parked.store(true, SeqCst);
            if ready() {
                self.front.parked.store(false, SeqCst);
                return;
            }
            park();
        }
    }

    fn is_nudged(&self) -> bool {
        self.front.nudged.load(SeqCst)
    }
}

impl<T> Items<T> {
    fn len(&self) -> usize {
        self.first_class.len() + self.deque.len()
    }
}

#[cfg(test)]
mod tests {
    use std::thread::yield_now;
    use std::time::Duration;

    use super::*;

    fn spin() -> Spin {
        Spin::new(Duration::from_micros(20))
    }

    fn queue(items: impl IntoIterator<Item = i32>) -> Queue<i32> {
        let queue = Queue::default();
        items.into_iter().for_each(|n| queue.push(Arc::new(n)).unwrap());
        queue
    }

    fn pop(queue: &Queue<i32>) -> Option<i32> {
        queue.pop().map(|item| *item)
    }

    fn values(items: Vec<Arc<i32>>) -> Vec<i32> {
        items.into_iter().map(|item| *item).collect()
    }

    #[test]
    fn items_come_out_in_order() {
        let queue = queue(0..10);
        assert_eq!(queue.len(), 10);
        assert_eq!((pop(&queue), pop(&queue)), (Some(0), Some(1)));
        // The slot is free, but others are older.
        queue.push(Arc::new(10)).unwrap();
        assert_eq!(std::iter::from_fn(|| pop(&queue)).collect::<Vec<_>>(), (2..11).collect::<Vec<_>>());
        assert!(queue.is_empty());
    }

    #[test]
    fn a_sweep_takes_out_what_is_not_wanted_and_keeps_the_order() {
        let queue = queue(0..6);
        queue.push_first_class(Arc::new(6)).unwrap();
        let mut seen = Vec::new();
        let all = |item: &Arc<i32>| {
            seen.push(**item);
            true
        };
        assert!(queue.sweep(all).is_empty());
        seen.sort_unstable();
        assert_eq!((seen, queue.len()), ((0..7).collect(), 7));
        let mut gone = values(queue.sweep(|item| **item % 2 == 1));
        gone.sort_unstable();
        assert_eq!((gone, queue.len()), (vec![0, 2, 4, 6], 3));
        queue.push(Arc::new(7)).unwrap();
        assert_eq!(std::iter::from_fn(|| pop(&queue)).collect::<Vec<_>>(), vec![1, 3, 5, 7]);
    }

    #[test]
    fn a_closed_queue_refuses_items_and_returns_the_rest() {
        let queue = queue([1, 2]);
        queue.push_first_class(Arc::new(3)).unwrap();
        assert!(!queue.is_closed());
        assert_eq!(values(queue.close()), vec![3, 1, 2]);
        assert_eq!(queue.push(Arc::new(4)), Err(Arc::new(4)));
        assert_eq!(queue.push_first_class(Arc::new(4)), Err(Arc::new(4)));
        assert!(queue.is_closed() && queue.is_empty() && queue.close().is_empty());
        assert_eq!(pop(&queue), None);
        queue.wait(&mut spin());
    }

    #[test]
    fn items_left_behind_are_dropped_with_the_queue() {
        let items = [Arc::new(1), Arc::new(2)];
        let queue = Queue::default();
        items.iter().for_each(|item| queue.push(item.clone()).unwrap());
        drop(queue);
        assert!(items.iter().all(|item| Arc::strong_count(item) == 1));
    }

    #[test]
    fn no_wake_up_is_lost() {
        const ITEMS: i32 = 20_000;
        let queue = Arc::new(Queue::default());
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                std::thread::spawn(move || (0..ITEMS / 4).for_each(|n| queue.push(Arc::new(n)).unwrap()))
            })
            .collect();
        let taken = Arc::new(AtomicUsize::new(0));
        let watcher = {
            let (queue, taken) = (queue.clone(), taken.clone());
            std::thread::spawn(move || {
                while taken.load(SeqCst) < ITEMS as usize {
                    assert!(queue.sweep(|item| **item < ITEMS).is_empty());
                    yield_now();
                }
            })
        };
        let mut spin = spin();
        while taken.load(SeqCst) < ITEMS as usize {
            queue.wait(&mut spin);
            while queue.pop().is_some() {
                taken.fetch_add(1, SeqCst);
            }
        }
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        watcher.join().unwrap();
        assert!(queue.is_empty());
    }

    #[test]
    fn first_class_items_go_first_and_out_of_turn() {
        let queue = queue([1]);
        queue.push_first_class(Arc::new(2)).unwrap();
        queue.push_first_class(Arc::new(3)).unwrap();
        assert_eq!(queue.pop_first_class(|item| **item == 3), Some(Arc::new(3)));
        assert_eq!(queue.pop_first_class(|item| **item == 1), None);
        assert_eq!((pop(&queue), pop(&queue), pop(&queue)), (Some(2), Some(1), None));
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
