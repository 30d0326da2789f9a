//! Tries everything that threads share in all orders in which the threads may run, with up to three preemptions:
//! `RUSTFLAGS="--cfg loom" cargo test -p erlang_python_core --test loom --release`.
#![cfg(loom)]

use std::sync::Arc as Item;
use std::sync::atomic::{AtomicUsize as Plain, Ordering::SeqCst};

use erlang_python_core::request::lifecycle::{Lifecycle, Phase, Running};
use erlang_python_core::request::permits::{Acquired, Grantee, Permits};
use erlang_python_core::sync::errands::Errands;
use erlang_python_core::sync::handover::{Handover, Seen};
use erlang_python_core::sync::queue::Queue;
use erlang_python_core::sync::reply_slot::ReplySlot;
use erlang_python_core::sync::shim::AtomicBool;
use erlang_python_core::sync::spin::Spin;
use loom::sync::Arc;
use loom::thread;

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[test]
fn handed_over_content_is_taken_or_returned() {
    model(|| {
        let slot = Arc::new(Handover::new(true));
        let giver = {
            let slot = slot.clone();
            thread::spawn(move || {
                // SAFETY: the only giver.
                let given = unsafe { slot.give(7) };
                given.is_ok()
            })
        };
        let seen = match slot.take(|n| *n) {
            Seen::Given(n) => Some(n),
            Seen::Sent => unreachable!("the taker still polls"),
            Seen::Nothing if slot.stop_polling() => None,
            Seen::Nothing => match slot.take(|n| *n) {
                Seen::Given(n) => Some(n),
                other => panic!("neither sent nor given: {other:?}"),
            },
        };
        assert_eq!(seen, giver.join().unwrap().then_some(7));
    });
}

#[test]
fn a_reply_in_time_is_taken() {
    model(|| {
        let slot = Arc::new(ReplySlot::default());
        slot.open(1);
        let other = {
            let slot = slot.clone();
            thread::spawn(move || slot.put(1, |_| 7))
        };
        // SAFETY: the only asker.
        let reply = unsafe { slot.close() };
        assert_eq!(reply, other.join().unwrap().then_some(7));
        assert!(!slot.put(1, |_| 8));
    });
}

#[test]
fn a_request_ends_once() {
    model(|| {
        let life = Arc::new(Lifecycle::default());
        assert!(life.queue());
        let context = {
            let life = life.clone();
            thread::spawn(move || life.start().and_then(Running::deliver).is_some())
        };
        let watchdog = {
            let life = life.clone();
            thread::spawn(move || life.fail().is_some())
        };
        let cancelled = life.cancel().is_some();
        let ends = [context.join().unwrap(), watchdog.join().unwrap(), cancelled];
        assert_eq!(ends.iter().filter(|ended| **ended).count(), 1, "{ends:?}");
        assert_eq!(life.phase() == Phase::Cancelled, cancelled);
    });
}

/// A waiter that counts its grants and releases each permit at once.
struct Asker(Arc<Permits<Asker>>, Item<Plain>);

impl Grantee for Asker {
    fn grant(&self) -> bool {
        self.1.fetch_add(1, SeqCst);
        self.0.release();
        true
    }

    fn gone(&self) -> bool {
        false
    }
}

#[test]
fn every_waiter_gets_a_permit() {
    model(|| {
        let permits: Arc<Permits<Asker>> = Arc::new(Permits::new(1));
        let granted = Item::new(Plain::new(0));
        let ask = move |permits: &Arc<Permits<Asker>>, granted: &Item<Plain>| {
            if permits.acquire(true, || Asker(permits.clone(), granted.clone())) == Acquired::Now {
                granted.fetch_add(1, SeqCst);
                permits.release();
            }
        };
        let other = {
            let (permits, granted) = (permits.clone(), granted.clone());
            thread::spawn(move || ask(&permits, &granted))
        };
        ask(&permits, &granted);
        other.join().unwrap();
        assert_eq!((granted.load(SeqCst), permits.used(), permits.waiting()), (2, 0, 0));
    });
}

#[test]
fn a_push_wakes_the_consumer() {
    model(|| {
        let queue: Arc<Queue<usize>> = Arc::new(Queue::default());
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(Item::new(1)).unwrap();
                queue.push(Item::new(2)).unwrap();
            })
        };
        let mut spin = Spin::new(std::time::Duration::ZERO);
        let mut seen = Vec::new();
        while seen.len() < 2 {
            match queue.pop() {
                Some(item) => seen.push(*item),
                None => queue.wait(&mut spin),
            }
        }
        assert_eq!(seen, [1, 2]);
        producer.join().unwrap();
    });
}

#[test]
fn an_item_pushed_while_the_queue_closes_is_returned_once() {
    model(|| {
        let queue: Arc<Queue<usize>> = Arc::new(Queue::default());
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                let refused = |n| usize::from(queue.push(Item::new(n)).is_err());
                refused(1) + refused(2)
            })
        };
        let rest = queue.close().len();
        let refused = producer.join().unwrap();
        assert_eq!(rest + refused, 2);
        assert!(queue.pop().is_none() && queue.is_closed());
    });
}

#[test]
fn a_sweep_loses_no_item_and_wakes_the_consumer() {
    model(|| {
        let queue: Arc<Queue<usize>> = Arc::new(Queue::default());
        queue.push(Item::new(1)).unwrap();
        let sweeper = {
            let queue = queue.clone();
            thread::spawn(move || queue.sweep(|_| true).len())
        };
        let mut spin = Spin::new(std::time::Duration::ZERO);
        let item = loop {
            match queue.pop() {
                Some(item) => break *item,
                None => queue.wait(&mut spin),
            }
        };
        assert_eq!((item, sweeper.join().unwrap()), (1, 0));
        assert!(queue.is_empty());
    });
}

#[test]
fn a_nudge_wakes_the_thread_that_falls_asleep() {
    model(|| {
        let errands = Arc::new(Errands::new());
        let begun = Arc::new(AtomicBool::new(false));
        let receiver = errands.open().unwrap();
        let other = {
            let (errands, begun) = (errands.clone(), begun.clone());
            thread::spawn(move || {
                begun.store(true, SeqCst);
                errands.nudge();
            })
        };
        while !begun.load(SeqCst) {
            if let Some(errand) = errands.sleep(&receiver, || begun.load(SeqCst)) {
                errand();
            }
        }
        other.join().unwrap();
    });
}
