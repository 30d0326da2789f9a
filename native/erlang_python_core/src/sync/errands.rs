//! Work that a thread leaves to the watchdog, because schedulers must not block or send messages and contexts must not
//! wait.

use std::sync::atomic::Ordering::SeqCst;
#[cfg(not(loom))]
use std::time::Instant;

use super::shim::{AtomicBool, OnceLock, Receiver, Sender, channel};

/// A closure that the watchdog runs.
pub type Errand = Box<dyn FnOnce() + Send>;

/// A channel of errands: many threads post them, one runs them. That thread sleeps while there is nothing to do.
pub struct Errands {
    sender: OnceLock<Sender<Errand>>,
    asleep: AtomicBool,
}

/// The errands of the watchdog.
#[cfg(not(loom))]
pub static WATCHDOG: Errands = Errands::new();

/// Posts an errand for the watchdog. The errand is dropped if the watchdog was never started.
#[cfg(not(loom))]
pub fn post(errand: impl FnOnce() + Send + 'static) {
    WATCHDOG.post(errand);
}

/// Wakes the watchdog if it sleeps. Costs one atomic load if it does not.
#[cfg(not(loom))]
#[inline]
pub fn nudge() {
    WATCHDOG.nudge();
}

impl Errands {
    /// No errands, and no thread to run them yet.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Errands { sender: OnceLock::new(), asleep: AtomicBool::new(false) }
    }

    /// No errands, and no thread to run them yet.
    #[cfg(loom)]
    pub fn new() -> Self {
        Errands { sender: OnceLock::new(), asleep: AtomicBool::new(false) }
    }

    /// The receiver for the thread that runs the errands. `None` if another thread has it.
    pub fn open(&self) -> Option<Receiver<Errand>> {
        let (sender, receiver) = channel();
        self.sender.set(sender).ok().map(|()| receiver)
    }

    /// Posts an errand. The errand is dropped if no thread has called `open`.
    pub fn post(&self, errand: impl FnOnce() + Send + 'static) {
        if let Some(sender) = self.sender.get() {
            // Fails only without a receiver, which lives forever.
            let _ = sender.send(Box::new(errand));
        }
    }

    /// Wakes the thread if it sleeps.
    #[inline]
    pub fn nudge(&self) {
        if self.asleep.load(SeqCst) && self.asleep.swap(false, SeqCst) {
            self.post(|| {});
        }
    }

    /// The next errand, or `None` at `deadline`.
    #[cfg(not(loom))]
    pub fn next(errands: &Receiver<Errand>, deadline: Instant) -> Option<Errand> {
        errands.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    /// Sleeps until there is an errand or a nudge. Returns `None` at once if `busy`: a thread that began something
    /// before the flag `asleep` was set has not nudged.
    pub fn sleep(&self, errands: &Receiver<Errand>, busy: impl FnOnce() -> bool) -> Option<Errand> {
        self.asleep.store(true, SeqCst);
        let errand = if busy() { None } else { errands.recv().ok() };
        self.asleep.store(false, SeqCst);
        errand
    }
}

impl Default for Errands {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[test]
    fn errands_run_in_order_on_the_thread_that_opened() {
        let errands = Errands::new();
        errands.post(|| unreachable!("no thread runs errands yet"));
        let receiver = errands.open().unwrap();
        assert!(errands.open().is_none());
        let done = Arc::new(AtomicUsize::new(0));
        for n in 0..3 {
            let done = done.clone();
            errands.post(move || assert_eq!(done.fetch_add(1, SeqCst), n));
        }
        while let Some(errand) = Errands::next(&receiver, Instant::now()) {
            errand();
        }
        assert_eq!(done.load(SeqCst), 3);
    }

    #[test]
    fn a_nudge_wakes_the_thread_even_while_it_falls_asleep() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        static ERRANDS: Errands = Errands::new();
        const ROUNDS: usize = crate::rounds(2_000);
        let receiver = ERRANDS.open().unwrap();
        let sleeper = std::thread::spawn(move || {
            for round in 1..=ROUNDS {
                while BEGUN.load(SeqCst) < round {
                    if let Some(errand) = ERRANDS.sleep(&receiver, || BEGUN.load(SeqCst) >= round) {
                        errand();
                    }
                }
            }
        });
        for _ in 0..ROUNDS {
            BEGUN.fetch_add(1, SeqCst);
            ERRANDS.nudge();
            std::thread::yield_now();
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while !sleeper.is_finished() {
            assert!(Instant::now() < deadline, "it sleeps although everything has begun");
            std::thread::yield_now();
        }
        sleeper.join().unwrap();
    }
}
