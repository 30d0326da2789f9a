//! A bounded cache.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, RandomState};

use erlang_python_core::word_map::WordHasher;

use super::object::PyResult;

/// Bound of each cache below; a full one is emptied, which costs the next uses a refill.
const MAX_ENTRIES: usize = 1024;

/// A bounded map that Python code cannot find borrowed: a callback may run requests, which use the caches, in the midst
/// of anything that runs Python.
pub struct Cache<K, V, S = RandomState>(RefCell<HashMap<K, V, S>>);

/// For keys that are words.
pub type Words = BuildHasherDefault<WordHasher>;

impl<K, V, S: Default> Default for Cache<K, V, S> {
    fn default() -> Self {
        Cache(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher + Default> Cache<K, V, S> {
    /// The value of `key`, or the entry that `make` makes.
    pub fn get_or<Q>(&self, key: &Q, make: impl FnOnce() -> PyResult<(K, V)>) -> PyResult<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(known) = self.0.borrow().get(key) {
            return Ok(known.clone());
        }
        let (key, value) = make()?;
        // Dropped after the borrow has ended: dropping Python objects may run Python code.
        let full = self.0.borrow().len() >= MAX_ENTRIES;
        let _old = full.then(|| self.0.take());
        let _replaced = self.0.borrow_mut().insert(key, value.clone());
        Ok(value)
    }
}
