//! Whether it pays to look for an answer for a moment before going to sleep until it is sent.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Learns from how it went: after some looks in vain, only one answer in many is still looked for. Shared by all who
/// call one context; a lost update does no harm.
#[derive(Default)]
pub struct Patience(AtomicU32);

/// Looks in vain, in a row, after which it is given up.
const GIVE_UP: u32 = 6;
/// Then one of so many is tried again: calls may have become short.
const PROBE: u32 = 64;

impl Patience {
    /// Whether to look this time.
    #[inline]
    pub fn pays(&self) -> bool {
        let count = self.0.load(Relaxed);
        if count < GIVE_UP {
            return true;
        }
        let probe = count >= GIVE_UP + PROBE;
        self.0.store(if probe { GIVE_UP - 1 } else { count + 1 }, Relaxed);
        probe
    }

    #[inline]
    pub fn paid(&self) {
        if self.0.load(Relaxed) != 0 {
            self.0.store(0, Relaxed);
        }
    }

    pub fn in_vain(&self) {
        let count = self.0.load(Relaxed);
        if count < GIVE_UP {
            self.0.store(count + 1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_and_tried_again() {
        let patience = Patience::default();
        for _ in 0..GIVE_UP {
            assert!(patience.pays());
            patience.in_vain();
        }
        assert_eq!((0..PROBE).filter(|_| patience.pays()).count(), 0);
        assert!(patience.pays());
        patience.in_vain();
        assert!(!patience.pays());
        patience.paid();
        assert!(patience.pays() && patience.pays());
    }
}
