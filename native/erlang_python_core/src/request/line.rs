//! The number of requests that a context has, and the line of those that wait for it.
//!
//! Permits are for all contexts. What waits for one busy context must not take them from the others: beside the request
//! that runs, one more is admitted, which may ask for a permit and join the queue. The rest stands in line.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::sync::lock;

/// Requests admitted at once: the one that runs and the next, so that the context never waits for work.
pub const ADMITTED: usize = 2;

/// The counts are one word: requests that are not done, and from this bit on those of them that are admitted.
const ONE_ADMITTED: usize = 1 << 32;

/// The number of requests of one context, and the line of those that wait for it.
pub struct Line<W> {
    counts: AtomicUsize,
    /// Length of the line. An admission under way counts, lest a younger request gets ahead of it.
    standing: AtomicUsize,
    line: Mutex<Standing<W>>,
}

struct Standing<W> {
    fifo: VecDeque<W>,
    closed: bool,
}

/// The decision about a new request.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// Counted and admitted; so many were there before.
    Admitted(usize),
    /// Counted; it is to stand in line, or to leave.
    Behind,
    /// Too many are there.
    Full,
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        let line = Standing { fifo: VecDeque::new(), closed: false };
        Line { counts: AtomicUsize::new(0), standing: AtomicUsize::new(0), line: Mutex::new(line) }
    }
}

impl<W> Line<W> {
    /// Requests that are not done.
    #[inline]
    pub fn load(&self) -> usize {
        self.counts.load(SeqCst) % ONE_ADMITTED
    }

    /// Counts a request in, unless there are `bound`.
    #[inline]
    pub fn enter(&self, bound: usize) -> Entered {
        let mut entered = Entered::Full;
        let step = |counts| {
            let load = counts % ONE_ADMITTED;
            if load >= bound {
                entered = Entered::Full;
                return None;
            }
            if counts / ONE_ADMITTED < ADMITTED && self.standing.load(SeqCst) == 0 {
                entered = Entered::Admitted(load);
                return Some(counts + 1 + ONE_ADMITTED);
            }
            entered = Entered::Behind;
            Some(counts + 1)
        };
        let _ = self.counts.fetch_update(SeqCst, SeqCst, step);
        entered
    }

    /// Counts in a request that needs no admission. Returns `false` if there are `bound` already.
    #[inline]
    pub fn enter_beside(&self, bound: usize) -> bool {
        let before = self.counts.fetch_add(1, SeqCst);
        if before % ONE_ADMITTED < bound {
            return true;
        }
        self.counts.fetch_sub(1, SeqCst);
        false
    }

    /// A request is done. `serve` has to follow if it was admitted.
    #[inline]
    pub fn leave(&self, admitted: bool) {
        self.counts.fetch_sub(if admitted { 1 + ONE_ADMITTED } else { 1 }, SeqCst);
    }

    /// The number of requests in line.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.standing.load(SeqCst)
    }

    /// Returns `true` if there are requests in line.
    #[inline]
    pub fn is_standing(&self) -> bool {
        self.waiting() > 0
    }

    /// Appends a request. `serve` has to follow. Gives it back when the line is closed.
    #[inline]
    pub fn push(&self, waiter: W) -> Result<(), W> {
        let mut line = lock(&self.line);
        if line.closed {
            return Err(waiter);
        }
        line.fifo.push_back(waiter);
        self.standing.store(line.fifo.len(), SeqCst);
        Ok(())
    }

    /// Admits those whose turn it is, oldest first. `admit` is false when a request has left meanwhile. It runs under the lock,
    /// so that they go in order.
    #[inline]
    pub fn serve(&self, mut admit: impl FnMut(&W) -> bool) {
        while self.is_standing() {
            let mut line = lock(&self.line);
            if line.fifo.is_empty() || !self.reserve() {
                return;
            }
            let waiter = line.fifo.pop_front();
            if !waiter.as_ref().is_some_and(&mut admit) {
                self.counts.fetch_sub(ONE_ADMITTED, SeqCst);
            }
            self.standing.store(line.fifo.len(), SeqCst);
            // Its end may lead here again: not under the lock.
            drop(line);
            drop(waiter);
        }
    }

    fn reserve(&self) -> bool {
        let step = |counts| (counts / ONE_ADMITTED < ADMITTED).then_some(counts + ONE_ADMITTED);
        self.counts.fetch_update(SeqCst, SeqCst, step).is_ok()
    }

    /// Takes those out for which `keep` is false. It runs under the lock: keep it short.
    #[inline]
    pub fn sweep(&self, mut keep: impl FnMut(&W) -> bool) -> Vec<W> {
        if !self.is_standing() {
            return Vec::new();
        }
        let mut line = lock(&self.line);
        let (kept, gone) = std::mem::take(&mut line.fifo).into_iter().partition(|waiter| keep(waiter));
        line.fifo = kept;
        self.standing.store(line.fifo.len(), SeqCst);
        Vec::from(gone)
    }

    /// Refuses further requests and hands back those in line.
    #[inline]
    pub fn close(&self) -> Vec<W> {
        let mut line = lock(&self.line);
        line.closed = true;
        self.standing.store(0, SeqCst);
        Vec::from(std::mem::take(&mut line.fifo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Arc;

    fn admitted(line: &Line<u32>) -> Vec<u32> {
        let mut admitted = Vec::new();
        line.serve(|waiter| {
            admitted.push(*waiter);
            true
        });
        admitted
    }

    #[test]
    fn two_are_admitted_and_the_rest_stand_in_line() {
        let line = Line::default();
        assert_eq!(line.enter(9), Entered::Admitted(0));
        assert_eq!(line.enter(9), Entered::Admitted(1));
        for waiter in 0..3 {
            assert_eq!(line.enter(9), Entered::Behind);
            line.push(waiter).unwrap();
        }
        assert!(admitted(&line).is_empty());
        line.leave(true);
        assert_eq!(admitted(&line), [0]);
        line.leave(true);
        line.leave(true);
        assert_eq!(admitted(&line), [1, 2]);
        assert_eq!((line.load(), line.is_standing()), (2, false));
    }

    #[test]
    fn nobody_gets_ahead_of_the_line() {
        let line = Line::default();
        while line.enter(4) != Entered::Behind {}
        line.push(7).unwrap();
        line.leave(true);
        assert_eq!(line.enter(4), Entered::Behind);
    }

    #[test]
    fn the_bound_counts_all() {
        let line: Line<u32> = Line::default();
        assert!(line.enter_beside(2));
        assert_eq!(line.enter(2), Entered::Admitted(1));
        assert_eq!(line.enter(2), Entered::Full);
        assert!(!line.enter_beside(2));
        line.leave(false);
        assert_eq!(line.load(), 1);
    }

    #[test]
    fn who_has_left_is_passed_over() {
        let line = Line::default();
        while line.enter(9) != Entered::Behind {}
        line.push(1).unwrap();
        assert_eq!(line.enter(9), Entered::Behind);
        line.push(2).unwrap();
        line.leave(false);
        line.leave(true);
        let mut asked = Vec::new();
        line.serve(|waiter| {
            asked.push(*waiter);
            *waiter == 2
        });
        assert_eq!(asked, [1, 2]);
        assert_eq!(line.load(), 2);
    }

    #[test]
    fn a_closed_line_takes_nobody() {
        let line = Line::default();
        while line.enter(9) != Entered::Behind {}
        line.push(1).unwrap();
        assert_eq!(line.close(), [1]);
        assert_eq!(line.push(2), Err(2));
        assert!(!line.is_standing());
    }

    #[test]
    fn nobody_is_left_standing_under_contention() {
        const ROUNDS: u32 = crate::rounds(2_000) as u32;
        let line: Arc<Line<u32>> = Arc::default();
        let running = Arc::new(AtomicUsize::new(0));
        let served = Arc::new(Mutex::new(HashSet::new()));
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (line, running, served) = (line.clone(), running.clone(), served.clone());
                std::thread::spawn(move || {
                    // Whoever is admitted is done at once, and makes room for the next.
                    let finish = |first: Option<u32>| {
                        let mut admitted: Vec<u32> = first.into_iter().collect();
                        while let Some(waiter) = admitted.pop() {
                            assert!(running.load(SeqCst) <= ADMITTED);
                            assert!(served.lock().unwrap().insert(waiter));
                            running.fetch_sub(1, SeqCst);
                            line.leave(true);
                            line.serve(|next| {
                                running.fetch_add(1, SeqCst);
                                admitted.push(*next);
                                true
                            });
                        }
                    };
                    for number in 0..ROUNDS {
                        let waiter = thread * ROUNDS + number;
                        if line.enter(usize::MAX) == Entered::Behind {
                            line.push(waiter).unwrap();
                            let mut admitted = Vec::new();
                            line.serve(|next| {
                                running.fetch_add(1, SeqCst);
                                admitted.push(*next);
                                true
                            });
                            admitted.into_iter().for_each(|next| finish(Some(next)));
                        } else {
                            running.fetch_add(1, SeqCst);
                            finish(Some(waiter));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(served.lock().unwrap().len(), 8 * ROUNDS as usize);
        assert_eq!((line.load(), line.is_standing()), (0, false));
    }
}
