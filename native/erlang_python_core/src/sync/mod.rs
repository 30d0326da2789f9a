//! What threads hand to each other.

pub mod answer;
pub mod errands;
pub mod handover;
pub mod padded;
pub mod patience;
pub mod queue;
pub mod shim;
pub mod spin;

use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic elsewhere: what the mutexes of this project guard is consistent between any two statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
