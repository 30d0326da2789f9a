//! The queue in front of one context thread: many producers, one consumer, bounded by its owner.
//!
//! The consumer spins for a short, adaptive time before it parks. Waking a parked thread costs a system call in the
//! producer and a reschedule of the consumer, which together take several times as long as a short call.

use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::padded::Padded;
use super::shim::{AtomicBool, AtomicPtr, AtomicUsize, Mutex, Parker, lock, park};
use super::spin::Spin;

/// A queue with many producers and one consumer, which may park.
pub struct Queue<T> {
    front: Padded<Front<T>>,
    items: Padded<Mutex<Items<T>>>,
    consumer: Parker,
}

/// The fields that a push to an empty queue and the consumer touch. They share one cache line, because a short call
/// waits for its transfer.
struct Front<T> {
    /// One item, stored without the lock and older than all items behind it. Null if there is none, `closed()` after
    /// `close`.
    slot: AtomicPtr<T>,
    /// The number of items behind the lock.
    behind: AtomicUsize,
    /// The consumer is parked or about to park.
    parked: AtomicBool,
    /// Set by `wake`: the consumer has something to do besides items.
    nudged: AtomicBool,
    /// The number of nested items pushed so far.
    arrivals: AtomicUsize,
}

struct Items<T> {
    /// Items that go first, see `push_nested`.
    nested: VecDeque<Arc<T>>,
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
        let items = Items { nested: VecDeque::new(), deque: VecDeque::new(), closed: false };
        Queue { front: Padded(front), items: Padded(Mutex::new(items)), consumer: Parker::default() }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        drop(self.front.take());
    }
}

// SeqCst throughout: either the consumer sees a push before it parks, or the producer sees `parked` after its push.
impl<T> Front<T> {
    /// Marks a closed queue. No item has this address.
    fn closed() -> *mut T {
        ptr::without_provenance_mut(1)
    }

    /// Marks a slot whose item is being inspected. No item has this address.
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
            // SAFETY: the exchange failed, so the reference count behind the pointer is still ours.
            Err(_) => Err(unsafe { Arc::from_raw(item) }),
        }
    }

    fn take(&self) -> Option<Arc<T>> {
        self.replace(ptr::null_mut())
    }

    /// Takes the item out of the slot and leaves `other` in its place.
    fn replace(&self, other: *mut T) -> Option<Arc<T>> {
        let item = self.slot.load(SeqCst);
        let taken = Self::is_item(item) && self.slot.compare_exchange(item, other, SeqCst, SeqCst).is_ok();
        // SAFETY: `put` left one reference count in the slot, and the exchange gave it to this call only.
        taken.then(|| unsafe { Arc::from_raw(item) })
    }

    /// Takes the item out of the slot if `keep` returns `false`. Runs under the lock, as `close` does, so that no other
    /// call marks the slot busy or closed. The slot stays taken meanwhile, so that no younger item gets ahead.
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

    /// Takes the item out of the slot and closes the slot.
    fn close(&self) -> Option<Arc<T>> {
        let item = self.slot.swap(Self::closed(), SeqCst);
        // SAFETY: as in `replace`: the swap gave the item's reference count to this call only.
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
    /// Appends `item` and wakes the consumer if it is parked. Returns the item if the queue is closed.
    pub fn push(&self, item: Arc<T>) -> Result<(), Arc<T>> {
        match self.front.put(item) {
            Ok(()) => {
                self.unpark();
                Ok(())
            }
            Err(item) => self.push_behind(item, |items| &mut items.deque),
        }
    }

    /// Like `push`, but ahead of all items that `push` appends. `pop_nested` may pick it out of turn.
    pub fn push_nested(&self, item: Arc<T>) -> Result<(), Arc<T>> {
        let pushed = self.push_behind(item, |items| &mut items.nested);
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

    /// Takes the next item. Called by the consumer only.
    pub fn pop(&self) -> Option<Arc<T>> {
        if self.front.behind.load(SeqCst) == 0 {
            return self.front.take();
        }
        let mut items = lock(&self.items);
        let nested = items.nested.pop_front();
        let item = nested.or_else(|| self.front.take()).or_else(|| items.deque.pop_front());
        self.front.behind.store(items.len(), SeqCst);
        item
    }

    /// Takes the oldest nested item that `wanted` accepts.
    pub fn pop_nested(&self, wanted: impl Fn(&Arc<T>) -> bool) -> Option<Arc<T>> {
        if self.front.behind.load(SeqCst) == 0 {
            return None;
        }
        let mut items = lock(&self.items);
        let index = items.nested.iter().position(wanted)?;
        let item = items.nested.remove(index);
        self.front.behind.store(items.len(), SeqCst);
        item
    }

    /// The number of nested items pushed so far: a consumer that sees another number tries `pop_nested` again.
    pub fn arrivals(&self) -> usize {
        self.front.arrivals.load(SeqCst)
    }

    /// Closes the queue and returns the items that were not taken. Further pushes fail.
    pub fn close(&self) -> Vec<Arc<T>> {
        let mut items = lock(&self.items);
        items.closed = true;
        let mut rest: Vec<Arc<T>> = items.nested.drain(..).collect();
        rest.extend(self.front.close());
        rest.extend(items.deque.drain(..));
        self.front.behind.store(0, SeqCst);
        drop(items);
        self.wake();
        rest
    }

    /// Returns `true` after `close`.
    pub fn is_closed(&self) -> bool {
        self.front.is_closed()
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.front.len()
    }

    /// Returns `true` if the consumer is parked: waking it takes longer than a short item.
    pub fn is_parked(&self) -> bool {
        self.front.parked.load(SeqCst)
    }

    /// Returns `true` if there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Visits the waiting items and takes out those for which `keep` returns `false`. Runs under the lock: keep it
    /// short.
    pub fn sweep(&self, mut keep: impl FnMut(&Arc<T>) -> bool) -> Vec<Arc<T>> {
        let mut gone = Vec::new();
        if self.is_empty() {
            return gone;
        }
        let mut items = lock(&self.items);
        let Items { nested, deque, .. } = &mut *items;
        let mut sweep = |lane: &mut VecDeque<Arc<T>>| {
            for item in std::mem::take(lane) {
                if keep(&item) { lane.push_back(item) } else { gone.push(item) }
            }
        };
        sweep(nested);
        sweep(deque);
        gone.extend(self.front.sweep(keep));
        self.front.behind.store(items.len(), SeqCst);
        drop(items);
        // The consumer may have found nothing while the slot was marked busy.
        if !self.is_empty() {
            self.unpark();
        }
        gone
    }

    /// Makes the consumer return from `wait`, even if there is no item.
    pub fn wake(&self) {
        self.front.nudged.store(true, SeqCst);
        self.unpark();
    }

    /// Makes a parked consumer check again what it waits for.
    pub fn unpark(&self) {
        if self.front.parked.load(SeqCst) && self.front.parked.swap(false, SeqCst) {
            self.consumer.unpark();
        }
    }

    /// Blocks until there is an item, or `wake` or `close` is called. Called by the consumer only.
    pub fn wait(&self, spin: &mut Spin) {
        self.wait_for(spin, || !self.is_empty() || self.is_nudged());
        if self.is_nudged() {
            self.front.nudged.store(false, SeqCst);
        }
    }

    /// Blocks until `ready`, which is checked again after each `unpark`, `wake` and push. The thread that makes it true
    /// has to call one of these afterwards. Called by the consumer only.
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
        self.nested.len() + self.deque.len()
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
        // The slot is free, but the items behind the lock are older.
        queue.push(Arc::new(10)).unwrap();
        assert_eq!(std::iter::from_fn(|| pop(&queue)).collect::<Vec<_>>(), (2..11).collect::<Vec<_>>());
        assert!(queue.is_empty());
    }

    #[test]
    fn a_sweep_takes_out_unwanted_items_and_keeps_the_order() {
        let queue = queue(0..6);
        queue.push_nested(Arc::new(6)).unwrap();
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
        queue.push_nested(Arc::new(3)).unwrap();
        assert!(!queue.is_closed());
        assert_eq!(values(queue.close()), vec![3, 1, 2]);
        assert_eq!(queue.push(Arc::new(4)), Err(Arc::new(4)));
        assert_eq!(queue.push_nested(Arc::new(4)), Err(Arc::new(4)));
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
        const ITEMS: i32 = crate::rounds(20_000) as i32;
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
    fn nested_items_go_first_and_can_be_picked_out_of_turn() {
        let queue = queue([1]);
        queue.push_nested(Arc::new(2)).unwrap();
        queue.push_nested(Arc::new(3)).unwrap();
        assert_eq!(queue.pop_nested(|item| **item == 3), Some(Arc::new(3)));
        assert_eq!(queue.pop_nested(|item| **item == 1), None);
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
