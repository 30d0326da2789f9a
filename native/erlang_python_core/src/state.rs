//! State shared by Elixir, Erlang and Python threads: a concurrent map with counters that lose no update.
//!
//! The map is sharded by key, with one short lock per operation. Values other than integers are opaque here and shared
//! by reference, so that no lock is held while a value is converted.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use num_bigint::BigInt;

use crate::sync::lock;

const SHARDS: usize = 64;

/// A stored value.
pub enum Value<T> {
    /// An integer of up to 64 bits.
    Int(i64),
    /// A larger integer.
    Big(Arc<BigInt>),
    /// Any other value.
    Other(Arc<T>),
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        match self {
            Value::Int(int) => Value::Int(*int),
            Value::Big(big) => Value::Big(big.clone()),
            Value::Other(other) => Value::Other(other.clone()),
        }
    }
}

/// A value with a known size.
pub trait Weigh {
    /// The approximate size, in bytes.
    fn bytes(&self) -> usize;
}

impl<T: Weigh> Weigh for Value<T> {
    fn bytes(&self) -> usize {
        match self {
            Value::Int(_) => size_of::<i64>(),
            Value::Big(big) => big.bits() as usize / 8 + 1,
            Value::Other(other) => other.bytes(),
        }
    }
}

/// Why an operation failed.
#[derive(Debug, PartialEq, Eq)]
pub enum StateError {
    /// The bound on entries is reached.
    Full,
    /// `incr` was called on a value that is not an integer.
    NotAnInteger,
}

type Shard<T> = HashMap<Box<[u8]>, Value<T>>;

/// A concurrent map from byte strings to values, with a bound on its entries.
pub struct State<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
    hasher: RandomState,
    len: AtomicUsize,
    max: AtomicUsize,
    /// The approximate size of keys and values.
    bytes: AtomicI64,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        State {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            max: AtomicUsize::new(usize::MAX),
            bytes: AtomicI64::new(0),
        }
    }
}

impl<T: Weigh> State<T> {
    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<Value<T>> {
        self.shard(key).get(key).cloned()
    }

    /// Stores a value. The old value is dropped after the lock is released, because that may take long.
    pub fn put(&self, key: &[u8], value: Value<T>) -> Result<(), StateError> {
        let bytes = value.bytes();
        let mut shard = self.shard(key);
        if let Some(slot) = shard.get_mut(key) {
            let old = std::mem::replace(slot, value);
            drop(shard);
            self.grow(bytes, old.bytes());
            drop(old);
            return Ok(());
        }
        self.reserve()?;
        shard.insert(key.into(), value);
        self.grow(key.len() + bytes, 0);
        Ok(())
    }

    /// Calls `weigh`, which changes the size of `value`, if that still is the value of `key`. Updates the total size.
    pub fn reweigh(&self, key: &[u8], value: &Arc<T>, weigh: impl FnOnce()) {
        let shard = self.shard(key);
        if let Some(Value::Other(current)) = shard.get(key)
            && Arc::ptr_eq(current, value)
        {
            let before = value.bytes();
            weigh();
            self.grow(value.bytes(), before);
        }
    }

    /// Deletes an entry. Returns `true` if there was one.
    pub fn delete(&self, key: &[u8]) -> bool {
        let old = self.shard(key).remove(key);
        if let Some(old) = &old {
            self.len.fetch_sub(1, SeqCst);
            self.grow(0, key.len() + old.bytes());
        }
        old.is_some()
    }

    /// Adds to an integer, which starts at 0, and returns the sum.
    pub fn incr(&self, key: &[u8], by: &BigInt) -> Result<Value<T>, StateError> {
        let mut shard = self.shard(key);
        let small = i64::try_from(by).ok();
        let new = match shard.get_mut(key) {
            // The common case allocates nothing.
            Some(Value::Int(old)) => match small.and_then(|by| old.checked_add(by)) {
                Some(sum) => {
                    *old = sum;
                    return Ok(Value::Int(sum));
                }
                None => integer(BigInt::from(*old) + by),
            },
            Some(Value::Big(old)) => integer(&**old + by),
            Some(Value::Other(_)) => return Err(StateError::NotAnInteger),
            None => {
                self.reserve()?;
                integer(by.clone())
            }
        };
        match shard.entry(key.into()) {
            Entry::Occupied(mut slot) => {
                let old = slot.insert(new.clone());
                self.grow(new.bytes(), old.bytes());
            }
            Entry::Vacant(slot) => {
                slot.insert(new.clone());
                self.grow(key.len() + new.bytes(), 0);
            }
        }
        Ok(new)
    }

    /// All keys. Each shard is read at a moment of its own.
    pub fn keys(&self) -> Vec<Box<[u8]>> {
        self.shards.iter().flat_map(|shard| lock(shard).keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// All keys with the approximate size of each entry, in bytes.
    pub fn sizes(&self) -> Vec<(Box<[u8]>, usize)> {
        let sizes = |shard: &Mutex<Shard<T>>| -> Vec<_> {
            lock(shard).iter().map(|(key, value)| (key.clone(), key.len() + value.bytes())).collect()
        };
        self.shards.iter().flat_map(sizes).collect()
    }

    /// Deletes all entries.
    pub fn clear(&self) {
        for shard in &self.shards {
            let old = std::mem::take(&mut *lock(shard));
            self.len.fetch_sub(old.len(), SeqCst);
            self.grow(0, old.iter().map(|(key, value)| key.len() + value.bytes()).sum());
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len.load(SeqCst)
    }

    /// The approximate size of all keys and values, in bytes.
    pub fn bytes(&self) -> usize {
        // Below 0 for a moment, if an entry is deleted before it was counted.
        usize::try_from(self.bytes.load(Relaxed)).unwrap_or(0)
    }

    fn grow(&self, by: usize, less: usize) {
        self.bytes.fetch_add(by as i64 - less as i64, Relaxed);
    }

    /// Returns `true` if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bound on entries.
    pub fn max(&self) -> usize {
        self.max.load(SeqCst)
    }

    /// Sets the bound on entries. Existing entries stay.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, SeqCst);
    }

    fn reserve(&self) -> Result<(), StateError> {
        let max = self.max.load(SeqCst);
        self.len
            .fetch_update(SeqCst, SeqCst, |len| (len < max).then_some(len + 1))
            .map(drop)
            .map_err(|_| StateError::Full)
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard<T>> {
        lock(&self.shards[self.hasher.hash_one(key) as usize % SHARDS])
    }
}

/// The smallest representation of an integer.
pub fn integer<T>(number: BigInt) -> Value<T> {
    match i64::try_from(&number) {
        Ok(small) => Value::Int(small),
        Err(_) => Value::Big(Arc::new(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for String {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    fn int(value: Option<Value<String>>) -> Option<i64> {
        match value {
            Some(Value::Int(int)) => Some(int),
            _ => None,
        }
    }

    #[test]
    fn put_get_delete() {
        let state = State::default();
        assert!(state.get(b"k").is_none());
        state.put(b"k", Value::Other(Arc::new("v".to_owned()))).unwrap();
        assert!(matches!(state.get(b"k"), Some(Value::Other(text)) if *text == "v"));
        assert!(state.delete(b"k"));
        assert!(!state.delete(b"k"));
        assert_eq!(state.len(), 0);
    }

    #[test]
    fn counters_start_at_zero_and_grow_past_64_bits() {
        let state: State<String> = State::default();
        state.incr(b"n", &BigInt::from(i64::MAX)).unwrap();
        let sum = state.incr(b"n", &BigInt::from(1)).unwrap();
        assert!(matches!(sum, Value::Big(big) if *big == BigInt::from(i64::MAX) + 1));
        let back = state.incr(b"n", &BigInt::from(-1)).unwrap();
        assert_eq!(int(Some(back)), Some(i64::MAX));
    }

    #[test]
    fn bytes_follow_what_is_stored() {
        let state = State::default();
        state.put(b"key", Value::Other(Arc::new("four".to_owned()))).unwrap();
        assert_eq!(state.bytes(), 7);
        state.put(b"key", Value::Other(Arc::new("seven77".to_owned()))).unwrap();
        assert_eq!(state.bytes(), 10);
        assert_eq!(state.sizes(), vec![(Box::from(*b"key"), 10)]);
        state.incr(b"n", &BigInt::from(1)).unwrap();
        state.incr(b"n", &BigInt::from(1)).unwrap();
        assert_eq!(state.bytes(), 10 + 1 + 8);
        state.incr(b"n", &(BigInt::from(1) << 160)).unwrap();
        assert_eq!(state.bytes(), 10 + 1 + 21);
        assert!(state.delete(b"key"));
        assert_eq!(state.bytes(), 22);
        state.clear();
        assert_eq!(state.bytes(), 0);
    }

    /// A value whose weight is known late.
    struct Late(AtomicUsize);

    impl Weigh for Late {
        fn bytes(&self) -> usize {
            self.0.load(SeqCst)
        }
    }

    #[test]
    fn bytes_follow_a_value_weighed_late() {
        let state = State::default();
        let value = Arc::new(Late(AtomicUsize::new(2)));
        state.put(b"key", Value::Other(value.clone())).unwrap();
        assert_eq!(state.bytes(), 3 + 2);
        state.reweigh(b"key", &value, || value.0.store(100, SeqCst));
        assert_eq!(state.bytes(), 3 + 100);
        assert_eq!(state.sizes(), vec![(Box::from(*b"key"), 103)]);
        let other = Arc::new(Late(AtomicUsize::new(4)));
        state.put(b"key", Value::Other(other)).unwrap();
        state.reweigh(b"key", &value, || panic!("no longer the value of the key"));
        assert_eq!(state.bytes(), 3 + 4);
        assert!(state.delete(b"key"));
        assert_eq!(state.bytes(), 0);
    }

    #[test]
    fn only_integers_count() {
        let state = State::default();
        state.put(b"k", Value::Other(Arc::new("v".to_owned()))).unwrap();
        assert!(matches!(state.incr(b"k", &BigInt::from(1)), Err(StateError::NotAnInteger)));
    }

    #[test]
    fn the_bound_holds_for_new_keys_only() {
        let state: State<String> = State::default();
        state.set_max(1);
        state.put(b"a", Value::Int(1)).unwrap();
        assert_eq!(state.put(b"b", Value::Int(1)), Err(StateError::Full));
        assert!(matches!(state.incr(b"c", &BigInt::from(1)), Err(StateError::Full)));
        state.put(b"a", Value::Int(2)).unwrap();
        assert_eq!(int(state.get(b"a")), Some(2));
        state.clear();
        state.put(b"b", Value::Int(1)).unwrap();
        assert_eq!(state.keys(), vec![Box::from(*b"b")]);
    }

    #[test]
    fn no_update_is_lost() {
        const ROUNDS: usize = crate::rounds(10_000);
        let state: Arc<State<String>> = Arc::default();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let state = state.clone();
                std::thread::spawn(move || (0..ROUNDS).for_each(|_| drop(state.incr(b"n", &BigInt::from(1)).ok())))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(int(state.get(b"n")), Some(8 * ROUNDS as i64));
    }
}
