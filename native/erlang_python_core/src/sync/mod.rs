//! Primitives by which threads hand data to each other.

pub mod errands;
pub mod handover;
pub mod padded;
pub mod poll_backoff;
pub mod queue;
pub mod reply_slot;
pub mod shim;
pub mod spin;

use std::sync::{Mutex, MutexGuard};

/// Locks a mutex, even if it is poisoned: the data under every mutex of this project is consistent between any two
/// statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
