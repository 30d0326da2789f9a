//! The life of one request, held in one atomic.
//!
//! ```text
//! waiting -> queued -> running -> delivering
//!    |          |         |
//!    +----------+---------+----> cancelled
//! ```
//!
//! Whoever moves a request to `delivering` sends its one reply; whoever moves it to `cancelled` promises that
//! no reply will ever be sent. Both are final, so a caller that cancels knows whether to expect a message.

use std::sync::atomic::{AtomicU8, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Waits for a permit.
    Waiting = 0,
    /// Has a permit, waits for its context.
    Queued = 1,
    /// Its Python code runs.
    Running = 2,
    /// Its reply is being sent, or was.
    Delivering = 3,
    /// Nobody wants its reply.
    Cancelled = 4,
}

impl Phase {
    fn from_u8(value: u8) -> Phase {
        match value {
            0 => Phase::Waiting,
            1 => Phase::Queued,
            2 => Phase::Running,
            3 => Phase::Delivering,
            _ => Phase::Cancelled,
        }
    }
}

pub struct Lifecycle(AtomicU8);

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle(AtomicU8::new(Phase::Waiting as u8))
    }
}

impl Lifecycle {
    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.0.load(Ordering::Acquire))
    }

    // AcqRel: what the previous owner of the request wrote (its environment, its permit) is visible to the next.
    fn step(&self, from: Phase, to: Phase) -> bool {
        self.0.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// A permit was granted. False when the request was cancelled or failed meanwhile.
    pub fn queue(&self) -> bool {
        self.step(Phase::Waiting, Phase::Queued)
    }

    /// The context's thread takes the request up. False when it was cancelled or failed meanwhile.
    pub fn start(&self) -> bool {
        self.step(Phase::Queued, Phase::Running)
    }

    /// Claims the right, and the duty, to send the reply of a request that ran.
    pub fn deliver(&self) -> bool {
        self.step(Phase::Running, Phase::Delivering)
    }

    /// Claims the right, and the duty, to send an error in place of the reply, whatever the phase.
    /// `Some(previous)` on success, `None` when the request has already ended.
    pub fn fail(&self) -> Option<Phase> {
        self.end(Phase::Delivering)
    }

    /// `Some(previous)`: no reply will ever be sent. `None`: the reply is on its way, or was cancelled before.
    pub fn cancel(&self) -> Option<Phase> {
        self.end(Phase::Cancelled)
    }

    /// Cancels only while no permit was granted yet.
    pub fn cancel_waiting(&self) -> bool {
        self.step(Phase::Waiting, Phase::Cancelled)
    }

    fn end(&self, to: Phase) -> Option<Phase> {
        // A request only moves forward, so three tries suffice.
        [Phase::Waiting, Phase::Queued, Phase::Running].into_iter().find(|from| self.step(*from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_usual_life() {
        let life = Lifecycle::default();
        assert!(life.queue() && life.start() && life.deliver());
        assert_eq!(life.phase(), Phase::Delivering);
        assert_eq!(life.cancel(), None);
        assert_eq!(life.fail(), None);
    }

    #[test]
    fn a_cancelled_request_never_starts_nor_delivers() {
        let life = Lifecycle::default();
        assert_eq!(life.cancel(), Some(Phase::Waiting));
        assert!(!life.queue() && !life.start() && !life.deliver());

        let life = Lifecycle::default();
        life.queue();
        life.start();
        assert_eq!(life.cancel(), Some(Phase::Running));
        assert!(!life.deliver());
    }

    #[test]
    fn cancel_waiting_spares_a_queued_request() {
        let life = Lifecycle::default();
        life.queue();
        assert!(!life.cancel_waiting());
        assert_eq!(life.phase(), Phase::Queued);
    }

    #[test]
    fn exactly_one_of_deliver_and_cancel_wins() {
        for _ in 0..2_000 {
            let life = Arc::new(Lifecycle::default());
            life.queue();
            life.start();
            let other = life.clone();
            let canceller = std::thread::spawn(move || other.cancel().is_some());
            let delivered = life.deliver();
            assert_ne!(delivered, canceller.join().unwrap());
        }
    }
}
