//! The place where the one who asks finds the answer: to one question at a time, each known by its number.
//!
//! Whoever has the answer leaves it without a lock, and the asker need only look at one word. What an answer was kept in
//! goes back and forth: the next one may use it again, on the thread that allocated it.

use std::sync::atomic::Ordering::SeqCst;

use super::shim::{AtomicU64, UnsafeCell, yield_now};

/// Nobody asks.
const CLOSED: u64 = 0;
/// The rest of the word is the number of the question.
const ASKED: u64 = 1;
/// The answer is being put there.
const FILLING: u64 = 2;
const ANSWERED: u64 = 3;
const TAG: u64 = 3;

pub struct AnswerPlace<T> {
    state: AtomicU64,
    content: UnsafeCell<Option<T>>,
}

// SAFETY: the content is the asker's, but for the state FILLING, which one thread enters; the transitions order the two.
// `T: Send` because it moves between them.
unsafe impl<T: Send> Sync for AnswerPlace<T> {}

impl<T> Default for AnswerPlace<T> {
    fn default() -> Self {
        AnswerPlace { state: AtomicU64::new(CLOSED), content: UnsafeCell::new(None) }
    }
}

// SeqCst: an answer is seen before its asker parks, or that it has parked is seen after the answer.
impl<T> AnswerPlace<T> {
    /// Takes an answer to the question `id` from now on. For the asker, after `close`.
    #[inline]
    pub fn open(&self, id: u64) {
        self.state.store(id << 2 | ASKED, SeqCst);
    }

    #[inline]
    pub fn is_open(&self) -> bool {
        self.state.load(SeqCst) != CLOSED
    }

    #[inline]
    pub fn is_answered(&self) -> bool {
        self.state.load(SeqCst) & TAG == ANSWERED
    }

    /// Puts the answer to the question `id` there: false when it is not asked, or was answered. `fill` gets what was kept.
    #[inline]
    pub fn put(&self, id: u64, fill: impl FnOnce(Option<T>) -> T) -> bool {
        if self.state.compare_exchange(id << 2 | ASKED, FILLING, SeqCst, SeqCst).is_err() {
            return false;
        }
        // SAFETY: FILLING, entered by this thread.
        self.content.with_mut(|content| unsafe { *content = Some(fill((*content).take())) });
        self.state.store(id << 2 | ANSWERED, SeqCst);
        true
    }

    /// Takes no answer from now on; the one there is.
    ///
    /// # Safety
    /// There is one asker, and this is it.
    pub unsafe fn close(&self) -> Option<T> {
        loop {
            let state = self.state.load(SeqCst);
            match state & TAG {
                ANSWERED => {
                    self.state.store(CLOSED, SeqCst);
                    // SAFETY: nobody answers any more.
                    return self.content.with_mut(|content| unsafe { (*content).take() });
                }
                // It will be there soon.
                FILLING => yield_now(),
                _ => {
                    if self.state.compare_exchange(state, CLOSED, SeqCst, SeqCst).is_ok() {
                        return None;
                    }
                }
            }
        }
    }

    /// Keeps `content` for the next answer.
    ///
    /// # Safety
    /// As for `close`; and it is closed.
    pub unsafe fn keep(&self, content: T) {
        // SAFETY: promised by the caller.
        self.content.with_mut(|place| unsafe { *place = Some(content) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close<T>(place: &AnswerPlace<T>) -> Option<T> {
        // SAFETY: each test asks from one thread.
        unsafe { place.close() }
    }

    #[test]
    fn only_what_is_asked_is_answered_and_once() {
        let place = AnswerPlace::default();
        assert!(!place.is_open() && !place.put(1, |_| 10));
        place.open(2);
        assert!(place.is_open() && !place.is_answered());
        assert!(!place.put(1, |_| 10));
        assert!(place.put(2, |_| 20) && place.is_answered());
        assert!(!place.put(2, |_| 21));
        assert_eq!(close(&place), Some(20));
        assert!(!place.put(2, |_| 22) && !place.is_open());
    }

    #[test]
    fn a_closed_question_is_not_answered_and_what_is_kept_stays() {
        let place = AnswerPlace::default();
        // SAFETY: closed, one thread.
        unsafe { place.keep(7) };
        place.open(1);
        assert_eq!(close(&place), None);
        assert!(!place.put(1, |_| 10));
        place.open(2);
        assert!(place.put(2, |kept| kept.unwrap() + 1));
        assert_eq!(close(&place), Some(8));
    }

    #[test]
    fn an_answer_is_taken_or_refused_never_lost() {
        const ROUNDS: u64 = 20_000;
        let place = AnswerPlace::default();
        let asked = AtomicU64::new(0);
        let (taken, put) = std::thread::scope(|scope| {
            let answers = scope.spawn(|| {
                let mut put = 0;
                for id in 1..=ROUNDS {
                    wait_for(|| asked.load(SeqCst) >= id);
                    put += u64::from(place.put(id, |_| id));
                }
                put
            });
            let mut taken = 0;
            for id in 1..=ROUNDS {
                place.open(id);
                asked.store(id, SeqCst);
                // Some are given up at once.
                if !id.is_multiple_of(3) {
                    wait_for(|| place.is_answered());
                }
                if let Some(answer) = close(&place) {
                    assert_eq!(answer, id);
                    taken += 1;
                }
            }
            (taken, answers.join().unwrap())
        });
        assert!(taken == put && taken >= ROUNDS / 3 * 2);
    }

    fn wait_for(ready: impl Fn() -> bool) {
        while !ready() {
            yield_now();
        }
    }
}
