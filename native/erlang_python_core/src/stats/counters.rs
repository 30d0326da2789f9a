//! Event counters of one context, read from any thread.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// The counters, and their values at a moment.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// No counter orders any other memory.
        #[derive(Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64),+
        }

        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $(pub $name: u64),+
        }

        impl Counts {
            pub const ZERO: Counts = Counts { $($name: 0),+ };
        }

        impl Counters {
            pub fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed)),+ }
            }
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Counts) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counters! {
    /// Requests that ran. Written by the context's thread only.
    calls,
    /// Requests of `calls` that returned no value.
    errors,
    /// Requests that timed out.
    timeouts,
    /// Interrupts of Python code.
    interrupts,
    /// Requests whose caller died.
    orphans,
    /// Requests refused at once.
    rejected,
    /// Requests that timed out waiting for a permit.
    expired,
    /// Calls from Python to functions of the BEAM.
    callbacks,
    /// Calls of `callbacks` that failed.
    callback_errors,
    /// Times the context was found stuck.
    stuck_count,
}

impl Counters {
    #[inline]
    pub fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Like `bump`, for a counter that only one thread writes: no locked instruction.
    #[inline]
    pub fn bump_own(counter: &AtomicU64) {
        add_own(counter, 1);
    }

    /// Undoes `bump_own`.
    #[inline]
    pub fn take_back(counter: &AtomicU64) {
        add_own(counter, 1_u64.wrapping_neg());
    }
}

/// Adds to a counter that only the calling thread writes.
#[inline]
pub fn add_own(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}
