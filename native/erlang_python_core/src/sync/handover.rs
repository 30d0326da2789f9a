//! A place where one thread leaves something for another that is looking, which costs neither of them a message.
//!
//! The taker decides whether it looks. While it does, `give` leaves the content here; otherwise `give` hands it back and
//! the giver has to send it. Content that was taken by reading stays here and is the giver's again: what it allocated it
//! also frees, on its own thread.

use std::sync::atomic::Ordering;

use super::shim::{AtomicU8, UnsafeCell};

/// The taker does not look: send it.
const AWAY: u8 = 0;
/// The taker looks.
const LOOKING: u8 = 1;
/// The content is there. Only now it is the taker's.
const GIVEN: u8 = 2;
/// The taker has read it.
const TAKEN: u8 = 3;

/// What the taker sees.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<R> {
    Given(R),
    Nothing,
    /// Nothing, and nothing will be left here: the taker does not look, or the content was sent.
    Away,
}

pub struct Handover<T> {
    state: AtomicU8,
    content: UnsafeCell<Option<T>>,
}

// SAFETY: the content is only touched by the giver, and in the state GIVEN only by the taker; Release on entering that
// state and on leaving it, Acquire on seeing either, order the two. `T: Send` because it moves between them.
unsafe impl<T: Send> Sync for Handover<T> {}

impl<T> Handover<T> {
    #[inline]
    pub fn new(looking: bool) -> Self {
        Handover { state: AtomicU8::new(if looking { LOOKING } else { AWAY }), content: UnsafeCell::new(None) }
    }

    /// Leaves `content` for the taker, or hands it back when the taker does not look.
    ///
    /// # Safety
    /// There is one giver at a time.
    pub unsafe fn give(&self, content: T) -> Result<(), T> {
        if self.state.load(Ordering::Acquire) != LOOKING {
            return Err(content);
        }
        // SAFETY: not GIVEN, so the content is ours, the only giver's.
        let before = self.content.with_mut(|place| unsafe { (*place).replace(content) });
        match self.state.compare_exchange(LOOKING, GIVEN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                drop(before);
                Ok(())
            }
            // The taker has stopped looking meanwhile.
            // SAFETY: as above.
            Err(_) => Err(self.content.with_mut(|place| unsafe { (*place).take() }).expect("put there just now")),
        }
    }

    /// What was taken, back from the taker.
    ///
    /// # Safety
    /// There is one giver at a time, and this is it.
    pub unsafe fn reclaim(&self) -> Option<T> {
        if self.state.load(Ordering::Acquire) == GIVEN {
            return None;
        }
        // SAFETY: not GIVEN, and only we could change that.
        self.content.with_mut(|place| unsafe { (*place).take() })
    }

    /// Tells a taker that looks that the content was sent instead.
    #[inline]
    pub fn sent(&self) {
        // It may have looked away meanwhile, which is as good.
        let _ = self.state.compare_exchange(LOOKING, AWAY, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the taker has to look on: nothing was given yet, nor sent.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == LOOKING
    }

    /// Reads what was given. One look at the state decides: a second one might see what came in between.
    #[inline]
    pub fn take<R>(&self, read: impl FnOnce(&T) -> R) -> Seen<R> {
        match self.state.load(Ordering::Acquire) {
            GIVEN => {}
            LOOKING => return Seen::Nothing,
            _ => return Seen::Away,
        }
        // SAFETY: GIVEN, so the content is the taker's.
        let result = self.content.with(|place| unsafe { (*place).as_ref().map(read) });
        let result = result.expect("the giver has put it there");
        self.state.store(TAKEN, Ordering::Release);
        Seen::Given(result)
    }

    /// The taker looks from now on.
    #[inline]
    pub fn look(&self) {
        self.state.store(LOOKING, Ordering::Release);
    }

    /// The taker looks no longer: the next content will be sent. False when there is something to take.
    #[inline]
    pub fn look_away(&self) -> bool {
        match self.state.compare_exchange(LOOKING, AWAY, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(now) => now != GIVEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn give<T>(place: &Handover<T>, content: T) -> Result<(), T> {
        // SAFETY: each test gives from one thread.
        unsafe { place.give(content) }
    }

    #[test]
    fn who_does_not_look_gets_nothing() {
        let place = Handover::new(false);
        assert_eq!(give(&place, 1), Err(1));
        assert_eq!(place.take(|n| *n), Seen::Away);
        assert!(place.look_away());
    }

    #[test]
    fn content_is_taken_once_and_comes_back_to_the_giver() {
        let place = Handover::new(true);
        assert_eq!(give(&place, 7), Ok(()));
        assert_eq!(give(&place, 8), Err(8));
        // SAFETY: one giver.
        assert_eq!(unsafe { place.reclaim() }, None);
        assert!(!place.look_away());
        assert_eq!(place.take(|n| *n), Seen::Given(7));
        assert_eq!(place.take(|n| *n), Seen::Away);
        // SAFETY: one giver.
        assert_eq!(unsafe { place.reclaim() }, Some(7));
    }

    #[test]
    fn who_looks_is_told_of_what_was_sent() {
        let place = Handover::new(true);
        assert!(place.is_open());
        place.sent();
        assert!(!place.is_open() && place.look_away());
        assert_eq!(give(&place, 1), Err(1));
    }

    #[test]
    fn looking_again_makes_room() {
        let place = Handover::new(true);
        assert_eq!(give(&place, 1), Ok(()));
        assert_eq!(place.take(|n| *n), Seen::Given(1));
        assert_eq!(give(&place, 2), Err(2));
        place.look();
        assert_eq!(place.take(|n| *n), Seen::Nothing);
        assert_eq!(give(&place, 3), Ok(()));
        assert_eq!(place.take(|n| *n), Seen::Given(3));
    }

    #[test]
    fn nothing_is_lost_between_looks() {
        const ROUNDS: usize = 100_000;
        let place = Handover::new(false);
        let (ready, sent) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    wait_for(|| ready.load(Ordering::Acquire) == round);
                    if give(&place, round).is_err() {
                        sent.store(round, Ordering::Release);
                    }
                }
            });
            for round in 1..=ROUNDS {
                place.look();
                ready.store(round, Ordering::Release);
                // Few looks, so that both ends are common.
                let seen = (0..round % 50).map(|_| place.take(|n| *n)).find(|seen| *seen != Seen::Nothing);
                match seen {
                    Some(seen) => assert_eq!(seen, Seen::Given(round)),
                    None if place.look_away() => wait_for(|| sent.load(Ordering::Acquire) == round),
                    None => assert_eq!(place.take(|n| *n), Seen::Given(round)),
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
