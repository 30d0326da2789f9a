//! A slot in which the thread that asked a question finds the reply: one question at a time, each with a number of its
//! own.
//!
//! The thread that has the reply stores it without a lock, and the asker reads one word to see it. The container of a
//! reply stays in the slot and is reused for the next one, by the thread that allocated it.

use std::sync::atomic::Ordering::SeqCst;

use super::shim::{AtomicU64, UnsafeCell, yield_now};

/// No question is open.
const CLOSED: u64 = 0;
/// A question is open. The upper bits are its number.
const OPEN: u64 = 1;
/// A thread stores the reply.
const FILLING: u64 = 2;
/// The reply is in the slot.
const FILLED: u64 = 3;
/// The bits of the state; the rest is the number of the question.
const TAG: u64 = 3;

/// A slot for the reply to one question at a time.
pub struct ReplySlot<T> {
    state: AtomicU64,
    content: UnsafeCell<Option<T>>,
}

// SAFETY: the asker owns the content, except in the state FILLING, which only one thread enters. The state transitions
// order the accesses of the two. `T: Send` because the content moves between them.
unsafe impl<T: Send> Sync for ReplySlot<T> {}

impl<T> Default for ReplySlot<T> {
    fn default() -> Self {
        ReplySlot { state: AtomicU64::new(CLOSED), content: UnsafeCell::new(None) }
    }
}

// SeqCst: either the asker sees a reply before it parks, or the replying thread sees afterwards that the asker is
// parked.
impl<T> ReplySlot<T> {
    /// Opens the question `id`. Called by the asker, after `close`.
    #[inline]
    pub fn open(&self, id: u64) {
        self.state.store(id << 2 | OPEN, SeqCst);
    }

    /// Returns `true` from `open` until `close`.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state.load(SeqCst) != CLOSED
    }

    /// Returns `true` if the reply is in the slot.
    #[inline]
    pub fn is_filled(&self) -> bool {
        self.state.load(SeqCst) & TAG == FILLED
    }

    /// Stores the reply to the question `id`. Returns `false` if that question is not open or already has its reply.
    /// `fill` gets the content that `keep` stored.
    #[inline]
    pub fn put(&self, id: u64, fill: impl FnOnce(Option<T>) -> T) -> bool {
        if self.state.compare_exchange(id << 2 | OPEN, FILLING, SeqCst, SeqCst).is_err() {
            return false;
        }
        // SAFETY: the state is FILLING, and this thread set it.
        self.content.with_mut(|content| unsafe { *content = Some(fill((*content).take())) });
        self.state.store(id << 2 | FILLED, SeqCst);
        true
    }

    /// Closes the question and returns its reply, if there is one.
    ///
    /// # Safety
    /// The slot has one asker, and it calls this.
    pub unsafe fn close(&self) -> Option<T> {
        loop {
            let state = self.state.load(SeqCst);
            match state & TAG {
                FILLED => {
                    self.state.store(CLOSED, SeqCst);
                    // SAFETY: the slot is closed, so no thread fills it; this is the only asker.
                    return self.content.with_mut(|content| unsafe { (*content).take() });
                }
                // The other thread is about to finish.
                FILLING => yield_now(),
                _ => {
                    if self.state.compare_exchange(state, CLOSED, SeqCst, SeqCst).is_ok() {
                        return None;
                    }
                }
            }
        }
    }

    /// Stores `content` to be reused by the next reply.
    ///
    /// # Safety
    /// As for `close`. The slot is closed.
    pub unsafe fn keep(&self, content: T) {
        // SAFETY: the caller is the asker, and no thread fills a closed slot.
        self.content.with_mut(|slot| unsafe { *slot = Some(content) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close<T>(slot: &ReplySlot<T>) -> Option<T> {
        // SAFETY: each test asks from one thread.
        unsafe { slot.close() }
    }

    #[test]
    fn only_what_is_asked_is_filled_and_once() {
        let slot = ReplySlot::default();
        assert!(!slot.is_open() && !slot.put(1, |_| 10));
        slot.open(2);
        assert!(slot.is_open() && !slot.is_filled());
        assert!(!slot.put(1, |_| 10));
        assert!(slot.put(2, |_| 20) && slot.is_filled());
        assert!(!slot.put(2, |_| 21));
        assert_eq!(close(&slot), Some(20));
        assert!(!slot.put(2, |_| 22) && !slot.is_open());
    }

    #[test]
    fn a_closed_question_gets_no_reply_and_kept_content_stays() {
        let slot = ReplySlot::default();
        // SAFETY: closed, one thread.
        unsafe { slot.keep(7) };
        slot.open(1);
        assert_eq!(close(&slot), None);
        assert!(!slot.put(1, |_| 10));
        slot.open(2);
        assert!(slot.put(2, |kept| kept.unwrap() + 1));
        assert_eq!(close(&slot), Some(8));
    }

    #[test]
    fn a_reply_is_taken_or_refused_but_never_lost() {
        const ROUNDS: u64 = crate::rounds(20_000) as u64;
        let slot = ReplySlot::default();
        let asked = AtomicU64::new(0);
        let (taken, put) = std::thread::scope(|scope| {
            let replier = scope.spawn(|| {
                let mut put = 0;
                for id in 1..=ROUNDS {
                    wait_for(|| asked.load(SeqCst) >= id);
                    put += u64::from(slot.put(id, |_| id));
                }
                put
            });
            let mut taken = 0;
            for id in 1..=ROUNDS {
                slot.open(id);
                asked.store(id, SeqCst);
                // Every third question is closed at once.
                if !id.is_multiple_of(3) {
                    wait_for(|| slot.is_filled());
                }
                if let Some(reply) = close(&slot) {
                    assert_eq!(reply, id);
                    taken += 1;
                }
            }
            (taken, replier.join().unwrap())
        });
        assert!(taken == put && taken >= ROUNDS / 3 * 2);
    }

    fn wait_for(ready: impl Fn() -> bool) {
        while !ready() {
            yield_now();
        }
    }
}
