//! Values that have cache lines of their own.

use std::ops::Deref;

/// What different threads write lies on different lines: a write takes the line from all other processors.
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
