//! Where a process finds again what it looks for between turns, without holding a handle on it: making one, and having the
//! VM collect it, costs a tenth of a short call.

use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use crate::sync::lock;
use crate::sync::padded::Padded;
use crate::word_map::WordHasher;

/// Numbers of parts, see `sweep`.
pub const PARTS: usize = 16;

/// Processes share a place by chance; who finds it taken uses a handle.
const PLACES: usize = 1024;

pub struct Pending<K, T>([Place<K, T>; PLACES]);

/// What a process, by its key, looks for. Locked by that process, others only try.
type Place<K, T> = Padded<Mutex<Option<(K, T)>>>;

impl<K: Copy + Eq + Hash, T> Pending<K, T> {
    #[allow(clippy::new_without_default)]
    #[inline]
    pub const fn new() -> Self {
        Pending([const { Padded(Mutex::new(None)) }; PLACES])
    }

    /// Leaves `value` for `key`, or hands it back when the place is taken.
    #[inline]
    pub fn put(&self, key: K, value: T) -> Result<(), T> {
        match self.place(key).try_lock() {
            Ok(mut place) if place.is_none() => {
                *place = Some((key, value));
                Ok(())
            }
            _ => Err(value),
        }
    }

    /// Has `look` look at what was left for `key`. Where it says `true` the value is taken out and returned too. `None` when
    /// nothing is left for it (any more).
    #[inline]
    pub fn look<R>(&self, key: K, look: impl FnOnce(&T) -> (R, bool)) -> Option<(R, Option<T>)> {
        let mut place = lock(self.place(key));
        let value = place.as_ref().filter(|(owner, _)| *owner == key).map(|(_, value)| value)?;
        let (result, done) = look(value);
        let taken = if done { place.take().map(|(_, value)| value) } else { None };
        Some((result, taken))
    }

    /// Drops what nobody will look for any more, in the part of that number of all places. Passes over places in use.
    #[inline]
    pub fn sweep(&self, part: usize, wanted: impl Fn(&T) -> bool) {
        for place in self.0.iter().skip(part % PARTS).step_by(PARTS) {
            let Ok(mut place) = place.try_lock() else { continue };
            let left = place.take_if(|(_, value)| !wanted(value));
            drop(place);
            drop(left);
        }
    }

    fn place(&self, key: K) -> &Place<K, T> {
        let mut hasher = WordHasher::default();
        key.hash(&mut hasher);
        &self.0[hasher.finish() as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: usize = 0x123;

    #[test]
    fn it_is_there_until_it_is_taken() {
        let pending = Pending::new();
        assert_eq!(pending.put(KEY, "value"), Ok(()));
        assert_eq!(pending.look(KEY, |value| (value.len(), false)), Some((5, None)));
        assert_eq!(pending.look(KEY, |value| (value.len(), true)), Some((5, Some("value"))));
        assert_eq!(pending.look(KEY, |value| (value.len(), true)), None);
    }

    #[test]
    fn a_place_is_for_one() {
        let pending = Pending::new();
        assert_eq!(pending.put(KEY, 1), Ok(()));
        let other = (KEY + 1..).find(|key| std::ptr::eq(pending.place(KEY), pending.place(*key))).unwrap();
        assert_eq!(pending.put(other, 2), Err(2));
        assert_eq!(pending.look(other, |n| (*n, true)), None);
        assert_eq!(pending.look(KEY, |n| (*n, true)), Some((1, Some(1))));
        assert_eq!(pending.put(other, 2), Ok(()));
    }

    #[test]
    fn what_is_not_wanted_is_swept() {
        let pending = Pending::new();
        let kept: Vec<usize> = (0..100).filter(|n| pending.put(*n, *n).is_ok()).collect();
        (0..PARTS).for_each(|part| pending.sweep(part, |n| n % 2 == 0));
        let left = kept.iter().filter(|n| pending.look(**n, |_| ((), true)).is_some());
        assert!(kept.len() > 50 && left.eq(kept.iter().filter(|n| **n % 2 == 0)));
    }
}
