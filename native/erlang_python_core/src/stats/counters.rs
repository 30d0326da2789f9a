//! The event counters of one context, which any thread may read.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// Defines the counters and the struct of their values at one moment.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// The event counters of one context. No counter orders any other memory.
        #[derive(Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64),+
        }

        /// The values of the counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64),+
        }

        impl Counts {
            /// All counters at 0.
            pub const ZERO: Counts = Counts { $($name: 0),+ };
        }

        impl Counters {
            /// Reads all counters.
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
    /// Requests that ran. Only the context's thread writes it.
    calls,
    /// Requests that ran and returned no value.
    errors,
    /// Requests that timed out.
    timeouts,
    /// Interrupts of Python code.
    interrupts,
    /// Requests whose caller died.
    orphans,
    /// Requests that were refused at once.
    rejected,
    /// Requests that timed out waiting for a permit.
    expired,
    /// Calls from Python to functions of the BEAM.
    callbacks,
    /// Calls to functions of the BEAM that failed.
    callback_errors,
    /// The number of times that the context got stuck.
    stuck_count,
}

impl Counters {
    /// Adds 1.
    #[inline]
    pub fn bump(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Adds 1 to a counter that only the calling thread writes, without a locked instruction.
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
