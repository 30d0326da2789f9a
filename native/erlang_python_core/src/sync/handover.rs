//! A slot in which one thread leaves content for another that polls, so that neither of them pays for a message.
//!
//! The taker decides whether it polls. While it does, `give` leaves the content in the slot. Otherwise `give` returns
//! the content, and the giver has to send it. The taker only reads the content. It stays in the slot, and the giver
//! gets it back: the thread that allocated it also frees it.

use std::sync::atomic::Ordering;

use super::shim::{AtomicU8, UnsafeCell};

/// The taker does not poll, or the content was sent. The next content has to be sent, too.
const SENT: u8 = 0;
/// The taker polls.
const POLLING: u8 = 1;
/// The content is in the slot and belongs to the taker.
const GIVEN: u8 = 2;
/// The taker has read the content.
const TAKEN: u8 = 3;

/// The result of one poll.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<R> {
    /// The content, as `read` returned it.
    Given(R),
    /// The slot is empty so far.
    Nothing,
    /// The slot stays empty: the content was sent or will be sent.
    Sent,
}

/// A slot with one giver and one taker.
pub struct Handover<T> {
    state: AtomicU8,
    content: UnsafeCell<Option<T>>,
}

// SAFETY: only the giver touches the content, except in the state GIVEN, in which only the taker does. Release on
// entering and on leaving that state and Acquire on seeing either order the accesses of the two. `T: Send` because the
// content moves between them.
unsafe impl<T: Send> Sync for Handover<T> {}

impl<T> Handover<T> {
    /// An empty slot. `polling`: whether the taker polls from the start.
    #[inline]
    pub fn new(polling: bool) -> Self {
        Handover { state: AtomicU8::new(if polling { POLLING } else { SENT }), content: UnsafeCell::new(None) }
    }

    /// Leaves `content` for the taker, or returns it if the taker does not poll.
    ///
    /// # Safety
    /// There is one giver at a time.
    pub unsafe fn give(&self, content: T) -> Result<(), T> {
        if self.state.load(Ordering::Acquire) != POLLING {
            return Err(content);
        }
        // SAFETY: the state is not GIVEN, so the content belongs to the giver, of which there is one.
        let before = self.content.with_mut(|slot| unsafe { (*slot).replace(content) });
        match self.state.compare_exchange(POLLING, GIVEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                drop(before);
                Ok(())
            }
            // The taker has stopped polling meanwhile.
            // SAFETY: as above: the state is still not GIVEN.
            Err(_) => Err(self.content.with_mut(|slot| unsafe { (*slot).take() }).expect("stored by this call")),
        }
    }

    /// Returns content that the taker has read, to be reused. `None` if there is none, or if the taker has not read it
    /// yet.
    ///
    /// # Safety
    /// There is one giver at a time, and it calls this.
    pub unsafe fn reclaim(&self) -> Option<T> {
        if self.state.load(Ordering::Acquire) == GIVEN {
            return None;
        }
        // SAFETY: the state is not GIVEN, and only the giver sets it.
        self.content.with_mut(|slot| unsafe { (*slot).take() })
    }

    /// Notifies a polling taker that the content was sent instead.
    #[inline]
    pub fn sent(&self) {
        // Fails if the taker has stopped polling meanwhile, which has the same effect.
        let _ = self.state.compare_exchange(POLLING, SENT, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Returns `true` while the taker has to go on polling: nothing was given or sent yet.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == POLLING
    }

    /// Reads the content if there is any. The state is loaded once: a second load could see a later state.
    #[inline]
    pub fn take<R>(&self, read: impl FnOnce(&T) -> R) -> Seen<R> {
        match self.state.load(Ordering::Acquire) {
            GIVEN => {}
            POLLING => return Seen::Nothing,
            _ => return Seen::Sent,
        }
        // SAFETY: the state is GIVEN, so the content belongs to the taker.
        let result = self.content.with(|slot| unsafe { (*slot).as_ref().map(read) });
        let result = result.expect("stored by the giver");
        self.state.store(TAKEN, Ordering::Release);
        Seen::Given(result)
    }

    /// The taker polls from now on.
    #[inline]
    pub fn start_polling(&self) {
        self.state.store(POLLING, Ordering::Release);
    }

    /// The taker polls no longer, so that the next content is sent. Returns `false` if there is content to take first.
    #[inline]
    pub fn stop_polling(&self) -> bool {
        match self.state.compare_exchange(POLLING, SENT, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(now) => now != GIVEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn give<T>(slot: &Handover<T>, content: T) -> Result<(), T> {
        // SAFETY: each test gives from one thread.
        unsafe { slot.give(content) }
    }

    #[test]
    fn a_taker_that_does_not_poll_gets_nothing() {
        let slot = Handover::new(false);
        assert_eq!(give(&slot, 1), Err(1));
        assert_eq!(slot.take(|n| *n), Seen::Sent);
        assert!(slot.stop_polling());
    }

    #[test]
    fn content_is_taken_once_and_returns_to_the_giver() {
        let slot = Handover::new(true);
        assert_eq!(give(&slot, 7), Ok(()));
        assert_eq!(give(&slot, 8), Err(8));
        // SAFETY: one giver.
        assert_eq!(unsafe { slot.reclaim() }, None);
        assert!(!slot.stop_polling());
        assert_eq!(slot.take(|n| *n), Seen::Given(7));
        assert_eq!(slot.take(|n| *n), Seen::Sent);
        // SAFETY: one giver.
        assert_eq!(unsafe { slot.reclaim() }, Some(7));
    }

    #[test]
    fn a_polling_taker_learns_that_the_content_was_sent() {
        let slot = Handover::new(true);
        assert!(slot.is_open());
        slot.sent();
        assert!(!slot.is_open() && slot.stop_polling());
        assert_eq!(give(&slot, 1), Err(1));
    }

    #[test]
    fn polling_again_empties_the_slot() {
        let slot = Handover::new(true);
        assert_eq!(give(&slot, 1), Ok(()));
        assert_eq!(slot.take(|n| *n), Seen::Given(1));
        assert_eq!(give(&slot, 2), Err(2));
        slot.start_polling();
        assert_eq!(slot.take(|n| *n), Seen::Nothing);
        assert_eq!(give(&slot, 3), Ok(()));
        assert_eq!(slot.take(|n| *n), Seen::Given(3));
    }

    #[test]
    fn nothing_is_lost_between_polls() {
        const ROUNDS: usize = crate::rounds(100_000);
        let slot = Handover::new(false);
        let (ready, sent) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    wait_for(|| ready.load(Ordering::Acquire) == round);
                    if give(&slot, round).is_err() {
                        sent.store(round, Ordering::Release);
                    }
                }
            });
            for round in 1..=ROUNDS {
                slot.start_polling();
                ready.store(round, Ordering::Release);
                // Few polls, so that both ends are common.
                let seen = (0..round % 50).map(|_| slot.take(|n| *n)).find(|seen| *seen != Seen::Nothing);
                match seen {
                    Some(seen) => assert_eq!(seen, Seen::Given(round)),
                    None if slot.stop_polling() => wait_for(|| sent.load(Ordering::Acquire) == round),
                    None => assert_eq!(slot.take(|n| *n), Seen::Given(round)),
                }
            }
        });
    }

    fn wait_for(ready: impl Fn() -> bool) {
        while !ready() {
            std::thread::yield_now();
        }
    }
}
