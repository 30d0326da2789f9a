//! The growth of a number over the last one to two seconds.

use super::SECOND;

/// The growth of a number since one of two marks, which are at least one period apart.
pub struct Window {
    older: (u64, u64),
    newer: (u64, u64),
}

impl Window {
    const PERIOD: u64 = SECOND;

    /// Sets both marks.
    pub fn new(now: u64, value: u64) -> Self {
        Window { older: (now, value), newer: (now, value) }
    }

    /// Sets a new mark if the newer one is at least a period old.
    pub fn mark(&mut self, now: u64, value: u64) {
        if now.saturating_sub(self.newer.0) >= Self::PERIOD {
            self.older = self.newer;
            self.newer = (now, value);
        }
    }

    /// Like `mark`, but starts again after a pause without marks: older growth says nothing about the present.
    pub fn roll(&mut self, now: u64, value: u64) {
        if now.saturating_sub(self.newer.0) > 2 * Self::PERIOD {
            *self = Window::new(now, value);
        } else {
            self.mark(now, value);
        }
    }

    /// The growth per nanosecond.
    pub fn rate(&self, now: u64, value: u64) -> f64 {
        let (at, old) = if now.saturating_sub(self.newer.0) >= Self::PERIOD { self.newer } else { self.older };
        match now.saturating_sub(at) {
            0 => 0.0,
            time => value.saturating_sub(old) as f64 / time as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut window = Window::new(0, 0);
        // Busy all the time.
        assert_eq!(window.rate(SECOND / 2, SECOND / 2), 1.0);
        window.roll(SECOND, SECOND);
        window.roll(2 * SECOND, 2 * SECOND);
        assert_eq!(window.rate(2 * SECOND, 2 * SECOND), 1.0);
        // Idle from then on, without a roll.
        assert_eq!(window.rate(2 * SECOND + SECOND / 2, 2 * SECOND), 2.0 / 3.0);
        assert_eq!(window.rate(3 * SECOND, 2 * SECOND), 0.0);
        // Busy again, after a long pause.
        window.roll(60 * SECOND, 2 * SECOND);
        assert_eq!(window.rate(60 * SECOND + 10, 2 * SECOND + 10), 1.0);
    }
}
