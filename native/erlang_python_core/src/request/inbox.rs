//! The part of a context that its callers write: its requests, waiting and running.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::line::Line;
use crate::stats::registry::Member;
use crate::sync::lock;
use crate::sync::padded::Padded;
use crate::sync::poll_backoff::PollBackoff;
use crate::sync::queue::Queue;

/// A request, as its inbox sees it.
pub trait Admit {
    /// Its turn has come: it asks for a permit. False when it no longer waits.
    fn admit(self: &Arc<Self>) -> bool;
    /// Its context is stopped. Called on any thread, schedulers included.
    fn refuse(self: Arc<Self>);
}

/// When the thread is descheduled, many callers fail a poll at the same moment. The limit is high enough that this alone does
/// not stop polling.
pub type CallerBackoff = PollBackoff<64>;

/// The requests of one context, waiting and running.
pub struct Inbox<R> {
    /// The number of the context.
    pub id: u64,
    /// The bound on requests submitted and not done.
    pub max_queue: usize,
    /// The time that its callers, and its thread, poll.
    pub spin: Duration,
    /// The requests that have a permit and wait for the thread.
    pub queue: Queue<R>,
    /// Requests may outlive the context, and count there.
    pub stats: Member,
    load: Padded<Load<R>>,
    /// The running request, last, after those whose callbacks led to it. Also the lock under which an interrupt decides
    /// whom it hits.
    pub stack: Mutex<Vec<Arc<R>>>,
    /// Incremented at the start of each request that is not nested: while it stands still, one request runs.
    pub turn: AtomicU64,
    /// Interrupts have no effect on what runs.
    pub stuck: AtomicBool,
}

/// The part that callers write.
struct Load<R> {
    /// Requests submitted and not done, which `max_queue` bounds, and the line of those that have to wait for this context.
    line: Line<Arc<R>>,
    /// Decides whether callers poll for their outcome before they wait for a message.
    backoff: CallerBackoff,
}

impl<R: Admit> Inbox<R> {
    /// The inbox of a new context.
    pub fn new(id: u64, max_queue: usize, spin: Duration, stats: Member) -> Self {
        Inbox {
            id,
            max_queue,
            spin,
            queue: Queue::default(),
            stats,
            load: Padded(Load { line: Line::default(), backoff: CallerBackoff::default() }),
            stack: Mutex::default(),
            turn: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
        }
    }

    /// The line of requests that wait for this context.
    #[inline]
    pub fn line(&self) -> &Line<Arc<R>> {
        &self.load.line
    }

    /// Puts a request in line.
    pub fn stand_in_line(&self, request: Arc<R>) {
        match self.load.line.push(request) {
            Ok(()) => self.serve_line(),
            Err(refused) => refused.refuse(),
        }
    }

    /// Admits those of the line whose turn it is.
    #[inline]
    pub fn serve_line(&self) {
        if self.load.line.is_standing() {
            self.load.line.serve(R::admit);
        }
    }

    /// Returns `true` if the outcome of a short call is likely to be there in a few microseconds.
    #[inline]
    pub fn is_quick(&self) -> bool {
        !self.spin.is_zero() && !self.queue.is_parked() && self.load.backoff.pays()
    }

    /// The back-off of its callers.
    #[inline]
    pub fn backoff(&self) -> &CallerBackoff {
        &self.load.backoff
    }

    /// The number of requests that wait for the thread: in the queue, and in line before it.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.load.line.waiting()
    }

    /// The number of requests submitted and not done.
    #[inline]
    pub fn load(&self) -> usize {
        self.load.line.load()
    }

    /// Hands a request that has its permit to the context's thread.
    #[inline]
    pub fn enqueue(&self, request: Arc<R>) {
        if let Err(refused) = self.queue.push(request) {
            refused.refuse();
        }
    }

    /// Hands over a request that a callback made: it goes before all others, and a thread that waits for that callback
    /// runs it there and then.
    pub fn enqueue_nested(&self, request: Arc<R>) {
        if let Err(refused) = self.queue.push_nested(request) {
            refused.refuse();
        }
    }

    /// The request that runs, innermost.
    pub fn running(&self) -> Option<Arc<R>> {
        lock(&self.stack).last().cloned()
    }
}
