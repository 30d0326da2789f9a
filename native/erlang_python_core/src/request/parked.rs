//! Maps a process to its request in flight, so that a caller that polls between turns needs no handle. Making a handle, and
//! having the VM collect it, costs a tenth of a short call.

use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use crate::sync::lock;
use crate::sync::padded::Padded;
use crate::word_map::WordHasher;

/// The number of calls of `sweep` that visit all slots.
pub const SWEEP_STEPS: usize = 16;

/// Two processes may have the same slot: the second one uses a handle.
const SLOTS: usize = 1024;

/// Values of processes, by their keys, each in a slot that the key chooses.
pub struct Parked<K, T>([Slot<K, T>; SLOTS]);

/// The key of a process and its value. Only that process waits for the lock.
type Slot<K, T> = Padded<Mutex<Option<(K, T)>>>;

impl<K: Copy + Eq + Hash, T> Parked<K, T> {
    /// Empty slots.
    #[allow(clippy::new_without_default)]
    #[inline]
    pub const fn new() -> Self {
        Parked([const { Padded(Mutex::new(None)) }; SLOTS])
    }

    /// Parks `value` for `key`, or returns it when the slot is taken.
    #[inline]
    pub fn put(&self, key: K, value: T) -> Result<(), T> {
        match self.slot(key).try_lock() {
            Ok(mut slot) if slot.is_none() => {
                *slot = Some((key, value));
                Ok(())
            }
            _ => Err(value),
        }
    }

    /// Calls `poll` with the value of `key`. Where that returns `true` the value is taken out and returned too. `None` when
    /// there is no value (any more).
    #[inline]
    pub fn poll<R>(&self, key: K, poll: impl FnOnce(&T) -> (R, bool)) -> Option<(R, Option<T>)> {
        let mut slot = lock(self.slot(key));
        let value = slot.as_ref().filter(|(owner, _)| *owner == key).map(|(_, value)| value)?;
        let (result, done) = poll(value);
        let taken = if done { slot.take().map(|(_, value)| value) } else { None };
        Some((result, taken))
    }

    /// Drops values that are not `wanted`, in every `SWEEP_STEPS`th slot from `part` on. Skips slots in use.
    #[inline]
    pub fn sweep(&self, part: usize, wanted: impl Fn(&T) -> bool) {
        for slot in self.0.iter().skip(part % SWEEP_STEPS).step_by(SWEEP_STEPS) {
            let Ok(mut slot) = slot.try_lock() else { continue };
            let left = slot.take_if(|(_, value)| !wanted(value));
            drop(slot);
            drop(left);
        }
    }

    fn slot(&self, key: K) -> &Slot<K, T> {
        let mut hasher = WordHasher::default();
        key.hash(&mut hasher);
        &self.0[hasher.finish() as usize % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: usize = 0x123;

    #[test]
    fn it_is_there_until_it_is_taken() {
        let parked = Parked::new();
        assert_eq!(parked.put(KEY, "value"), Ok(()));
        assert_eq!(parked.poll(KEY, |value| (value.len(), false)), Some((5, None)));
        assert_eq!(parked.poll(KEY, |value| (value.len(), true)), Some((5, Some("value"))));
        assert_eq!(parked.poll(KEY, |value| (value.len(), true)), None);
    }

    #[test]
    fn a_place_is_for_one() {
        let parked = Parked::new();
        assert_eq!(parked.put(KEY, 1), Ok(()));
        let other = (KEY + 1..).find(|key| std::ptr::eq(parked.slot(KEY), parked.slot(*key))).unwrap();
        assert_eq!(parked.put(other, 2), Err(2));
        assert_eq!(parked.poll(other, |n| (*n, true)), None);
        assert_eq!(parked.poll(KEY, |n| (*n, true)), Some((1, Some(1))));
        assert_eq!(parked.put(other, 2), Ok(()));
    }

    #[test]
    fn what_is_not_wanted_is_swept() {
        let parked = Parked::new();
        let kept: Vec<usize> = (0..100).filter(|n| parked.put(*n, *n).is_ok()).collect();
        (0..SWEEP_STEPS).for_each(|part| parked.sweep(part, |n| n % 2 == 0));
        let left = kept.iter().filter(|n| parked.poll(**n, |_| ((), true)).is_some());
        assert!(kept.len() > 50 && left.eq(kept.iter().filter(|n| **n % 2 == 0)));
    }
}
