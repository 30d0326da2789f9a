//! Values on cache lines of their own.

use std::ops::Deref;

/// Aligns `T` to its own cache line, to avoid false sharing.
#[repr(align(64))]
#[derive(Default)]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
