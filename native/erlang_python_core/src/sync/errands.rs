//! Work that a thread leaves to the watchdog: schedulers must not block or send messages, contexts must not wait.

use std::sync::atomic::Ordering::SeqCst;
#[cfg(not(loom))]
use std::time::Instant;

use super::shim::{AtomicBool, OnceLock, Receiver, Sender, channel};

pub type Errand = Box<dyn FnOnce() + Send>;

/// Many threads post errands, one runs them, which sleeps when nothing happens.
pub struct Errands {
    sender: OnceLock<Sender<Errand>>,
    asleep: AtomicBool,
}

/// Those of the watchdog.
#[cfg(not(loom))]
pub static WATCHDOG: Errands = Errands::new();

/// Posts an errand for the watchdog. Dropped when it was never started.
#[cfg(not(loom))]
pub fn post(errand: impl FnOnce() + Send + 'static) {
    WATCHDOG.post(errand);
}

/// Makes sure that the watchdog ticks. Costs one atomic load when it does.
#[cfg(not(loom))]
#[inline]
pub fn nudge() {
    WATCHDOG.nudge();
}

impl Errands {
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Errands { sender: OnceLock::new(), asleep: AtomicBool::new(false) }
    }

    #[cfg(loom)]
    pub fn new() -> Self {
        Errands { sender: OnceLock::new(), asleep: AtomicBool::new(false) }
    }

    /// For the thread that runs the errands: `None` when there is one already.
    pub fn open(&self) -> Option<Receiver<Errand>> {
        let (sender, receiver) = channel();
        self.sender.set(sender).ok().map(|()| receiver)
    }

    pub fn post(&self, errand: impl FnOnce() + Send + 'static) {
        if let Some(sender) = self.sender.get() {
            // Fails only when the receiver is gone, which lives forever.
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

    /// Sleeps until there is an errand, or somebody nudges. `None`, at once, when something happens already: whoever began
    /// before the thread said that it sleeps has not nudged it.
    pub fn sleep(&self, errands: &Receiver<Errand>, happens: impl FnOnce() -> bool) -> Option<Errand> {
        self.asleep.store(true, SeqCst);
        let errand = if happens() { None } else { errands.recv().ok() };
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
    fn errands_are_run_in_order_by_the_one_who_opened() {
        let errands = Errands::new();
        errands.post(|| unreachable!("nobody runs errands yet"));
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
    fn whoever_begins_while_the_thread_falls_asleep_wakes_it() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        static ERRANDS: Errands = Errands::new();
        const ROUNDS: usize = 2_000;
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
            assert!(Instant::now() < deadline, "it sleeps though all has begun");
            std::thread::yield_now();
        }
        sleeper.join().unwrap();
    }
}
