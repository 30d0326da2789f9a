//! Events on their way to a process.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::sync::lock;

/// Events on their way to a process: bounded, and the process is told once, however many there are.
pub struct Outbox<T>(Mutex<Pending<T>>);

struct Pending<T> {
    events: VecDeque<T>,
    /// The process knows that there is something, and has not yet found the box empty.
    told: bool,
}

impl<T> Outbox<T> {
    const MAX: usize = 1_024;
    /// A scheduler makes terms of them.
    const AT_ONCE: usize = 256;

    pub const fn new() -> Self {
        Outbox(Mutex::new(Pending { events: VecDeque::new(), told: false }))
    }

    /// Adds an event, in place of the oldest when the box is full: whether the process has to be told.
    pub fn push(&self, event: T) -> bool {
        let mut inner = lock(&self.0);
        if inner.events.len() == Self::MAX {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
        !std::mem::replace(&mut inner.told, true)
    }

    /// Takes the oldest events. Whoever finds the box empty is told of the next.
    pub fn take(&self) -> Vec<T> {
        let mut inner = lock(&self.0);
        if inner.events.is_empty() {
            inner.told = false;
        }
        let count = inner.events.len().min(Self::AT_ONCE);
        inner.events.drain(..count).collect()
    }

    /// There is a new process, which has been told nothing.
    pub fn reset(&self) {
        let mut inner = lock(&self.0);
        inner.events.clear();
        inner.told = false;
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_is_bounded_and_tells_once() {
        let outbox = Outbox::new();
        assert!(outbox.push(0));
        for n in 1..=Outbox::<usize>::MAX {
            assert!(!outbox.push(n));
        }
        let events: Vec<usize> = (0..4).flat_map(|_| outbox.take()).collect();
        assert_eq!(events, (1..=Outbox::<usize>::MAX).collect::<Vec<_>>());
        // Not yet found empty: whoever takes them looks again.
        assert!(!outbox.push(7));
        assert_eq!(outbox.take(), vec![7]);
        assert!(outbox.take().is_empty());
        assert!(outbox.push(8));
        outbox.reset();
        assert!(outbox.push(9));
    }
}
