//! Events on their way to a process.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::sync::lock;

/// A bounded buffer of events. The process is notified once, however many events there are.
pub struct Outbox<T>(Mutex<Buffer<T>>);

struct Buffer<T> {
    events: VecDeque<T>,
    /// The process was notified and has not yet found the buffer empty.
    notified: bool,
}

impl<T> Outbox<T> {
    /// The maximum number of events.
    const MAX: usize = 1_024;
    /// The maximum number of events taken at once: a scheduler turns them into terms.
    const AT_ONCE: usize = 256;

    /// An empty buffer.
    pub const fn new() -> Self {
        Outbox(Mutex::new(Buffer { events: VecDeque::new(), notified: false }))
    }

    /// Adds an event and drops the oldest one if the buffer is full. Returns `true` if the process has to be notified.
    pub fn push(&self, event: T) -> bool {
        let mut inner = lock(&self.0);
        if inner.events.len() == Self::MAX {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
        !std::mem::replace(&mut inner.notified, true)
    }

    /// Takes the oldest events. After it returned none, the next event notifies the process again.
    pub fn take(&self) -> Vec<T> {
        let mut inner = lock(&self.0);
        if inner.events.is_empty() {
            inner.notified = false;
        }
        let count = inner.events.len().min(Self::AT_ONCE);
        inner.events.drain(..count).collect()
    }

    /// Empties the buffer for a new process.
    pub fn reset(&self) {
        let mut inner = lock(&self.0);
        inner.events.clear();
        inner.notified = false;
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
    fn an_outbox_is_bounded_and_notifies_once() {
        let outbox = Outbox::new();
        assert!(outbox.push(0));
        for n in 1..=Outbox::<usize>::MAX {
            assert!(!outbox.push(n));
        }
        let events: Vec<usize> = (0..4).flat_map(|_| outbox.take()).collect();
        assert_eq!(events, (1..=Outbox::<usize>::MAX).collect::<Vec<_>>());
        // The buffer was not found empty yet, so the process takes again without a notification.
        assert!(!outbox.push(7));
        assert_eq!(outbox.take(), vec![7]);
        assert!(outbox.take().is_empty());
        assert!(outbox.push(8));
        outbox.reset();
        assert!(outbox.push(9));
    }
}
