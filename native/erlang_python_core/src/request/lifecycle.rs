//! The life of one request, held in one atomic.
//!
//! ```text
//! waiting -> queued -> running -> delivering -> delivered
//!    |          |       |   ^ \
//!    |          |       |   |  serving
//!    +----------+-------+----> cancelled
//! ```
//!
//! Whoever moves a request to `delivering` sends its one reply; whoever moves it to `cancelled` promises that
//! no message will ever be sent. Both are final, so a caller that cancels knows whether to expect a message. While a
//! request is `serving`, a message that asks its caller to run a function is on its way or was received: then the caller
//! cannot cancel, only the watchdog can end the request.
//!
//! Two tokens stand for what a thread may do: [`Running`] for the one thread that runs the request, [`Delivery`] for the one
//! that sends its reply. Neither leaves its thread.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use crate::sync::shim::AtomicU8;

/// The phase of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Waits for a permit.
    Waiting = 0,
    /// Has a permit, waits for its context.
    Queued = 1,
    /// Its Python code runs.
    Running = 2,
    /// Its reply is being sent.
    Delivering = 3,
    /// Nobody wants its reply.
    Cancelled = 4,
    /// It runs, and waits for a function of the BEAM that its caller runs.
    Serving = 5,
    /// Its reply has been sent.
    Delivered = 6,
}

impl Phase {
    fn from_u8(value: u8) -> Phase {
        match value {
            0 => Phase::Waiting,
            1 => Phase::Queued,
            2 => Phase::Running,
            3 => Phase::Delivering,
            5 => Phase::Serving,
            6 => Phase::Delivered,
            _ => Phase::Cancelled,
        }
    }
}

/// The life of one request.
pub struct Lifecycle(AtomicU8);

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle(AtomicU8::new(Phase::Waiting as u8))
    }
}

impl Lifecycle {
    /// The current phase.
    #[inline]
    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.0.load(Ordering::Acquire))
    }

    // AcqRel: what the previous owner of the request wrote (its environment, its permit) is visible to the next.
    fn step(&self, from: Phase, to: Phase) -> bool {
        self.0.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// A permit was granted. Returns `false` when the request was cancelled or failed meanwhile.
    #[inline]
    pub fn queue(&self) -> bool {
        self.step(Phase::Waiting, Phase::Queued)
    }

    /// The calling thread runs the request. `None` when it was cancelled or failed meanwhile.
    #[inline]
    pub fn start(&self) -> Option<Running<'_>> {
        self.step(Phase::Queued, Phase::Running).then_some(Running(self, PhantomData))
    }

    /// Claims the right, and the duty, to send an error in place of the reply, whatever the phase. Returns the previous phase,
    /// and `None` when the request has already ended.
    #[inline]
    pub fn fail(&self) -> Option<(Phase, Delivery<'_>)> {
        let before = self.end(Phase::Delivering, true)?;
        Some((before, Delivery(self, PhantomData)))
    }

    /// `Some(previous)`: no message will ever be sent. `None`: one is on its way, or the request was cancelled before.
    #[inline]
    pub fn cancel(&self) -> Option<Phase> {
        self.end(Phase::Cancelled, false)
    }

    /// Like `cancel`, for callers that receive no message anyway: dead ones, and those that serve no functions.
    #[inline]
    pub fn end_unread(&self) -> Option<Phase> {
        self.end(Phase::Cancelled, true)
    }

    /// Cancels only while no permit was granted yet.
    #[inline]
    pub fn cancel_waiting(&self) -> bool {
        self.step(Phase::Waiting, Phase::Cancelled)
    }

    /// Returns `true` if the request has ended, or its reply is on its way.
    #[inline]
    pub fn is_over(&self) -> bool {
        matches!(self.phase(), Phase::Delivering | Phase::Delivered | Phase::Cancelled)
    }

    /// Returns `true` if the request runs, its callbacks included.
    #[inline]
    pub fn is_running(&self) -> bool {
        matches!(self.phase(), Phase::Running | Phase::Serving)
    }

    fn end(&self, to: Phase, serving_too: bool) -> Option<Phase> {
        let mut from = self.phase();
        loop {
            match from {
                Phase::Delivering | Phase::Delivered | Phase::Cancelled => return None,
                Phase::Serving if !serving_too => return None,
                _ => {}
            }
            match self.0.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(from),
                Err(now) => from = Phase::from_u8(now),
            }
        }
    }
}

/// The calling thread runs a request.
#[must_use]
pub struct Running<'a>(&'a Lifecycle, PhantomData<*const ()>);

impl<'a> Running<'a> {
    /// Claims the right, and the duty, to send the reply. `None` when the request was cancelled or failed meanwhile.
    #[inline]
    pub fn deliver(self) -> Option<Delivery<'a>> {
        self.0.step(Phase::Running, Phase::Delivering).then_some(Delivery(self.0, PhantomData))
    }

    /// The request asks its caller to run a function. False when it was cancelled or failed meanwhile.
    #[inline]
    pub fn serve(&self) -> bool {
        self.0.step(Phase::Running, Phase::Serving)
    }

    /// The function is done. False when the request was ended meanwhile.
    #[inline]
    pub fn resume(&self) -> bool {
        self.0.step(Phase::Serving, Phase::Running)
    }
}

/// The calling thread sends the one reply of a request.
#[must_use]
pub struct Delivery<'a>(&'a Lifecycle, PhantomData<*const ()>);

impl Delivery<'_> {
    /// The reply was sent: it is in its receiver's mailbox.
    #[inline]
    pub fn delivered(self) {
        self.0.step(Phase::Delivering, Phase::Delivered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_usual_life() {
        let life = Lifecycle::default();
        assert!(life.queue());
        let delivery = life.start().and_then(Running::deliver).unwrap();
        assert_eq!(life.phase(), Phase::Delivering);
        delivery.delivered();
        assert_eq!(life.phase(), Phase::Delivered);
        assert_eq!(life.cancel(), None);
        assert!(life.fail().is_none());
    }

    #[test]
    fn a_cancelled_request_never_starts_nor_delivers() {
        let life = Lifecycle::default();
        assert_eq!(life.cancel(), Some(Phase::Waiting));
        assert!(!life.queue() && life.start().is_none());

        let life = Lifecycle::default();
        life.queue();
        let running = life.start().unwrap();
        assert_eq!(life.cancel(), Some(Phase::Running));
        assert!(running.deliver().is_none());
    }

    #[test]
    fn a_serving_request_cannot_be_cancelled_by_its_caller() {
        let life = Lifecycle::default();
        assert!(life.queue());
        let running = life.start().unwrap();
        assert!(running.serve());
        assert_eq!(life.cancel(), None);
        assert!(life.is_running());
        assert!(running.resume() && running.serve());
        assert_eq!(life.fail().map(|(before, _)| before), Some(Phase::Serving));
        assert!(!running.resume() && running.deliver().is_none());
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
        for _ in 0..crate::rounds(2_000) {
            let life = Arc::new(Lifecycle::default());
            life.queue();
            let running = life.start().unwrap();
            let other = life.clone();
            let canceller = std::thread::spawn(move || other.cancel().is_some());
            let delivered = running.deliver().is_some();
            assert_ne!(delivered, canceller.join().unwrap());
        }
    }
}
