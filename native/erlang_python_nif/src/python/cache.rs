//! A bounded cache.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, RandomState};

use erlang_python_core::word_map::WordHasher;

use super::object::PyResult;

/// The bound of each cache. A full cache is emptied and fills again.
const MAX_ENTRIES: usize = 1024;

/// A bounded map that is never borrowed while Python code runs. Any Python code may make a callback, whose requests use
/// the same cache.
pub struct Cache<K, V, S = RandomState>(RefCell<HashMap<K, V, S>>);

/// The hasher for keys that are words, or source text.
pub type Words = BuildHasherDefault<WordHasher>;

impl<K, V, S: Default> Default for Cache<K, V, S> {
    fn default() -> Self {
        Cache(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone, S: BuildHasher + Default> Cache<K, V, S> {
    /// The value of `key`. Calls `make` for the entry if there is none.
    pub fn get_or<Q>(&self, key: &Q, make: impl FnOnce() -> PyResult<(K, V)>) -> PyResult<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(known) = self.0.borrow().get(key) {
            return Ok(known.clone());
        }
        let (key, value) = make()?;
        // Dropped after the borrow has ended, because dropping Python objects may run Python code.
        let full = self.0.borrow().len() >= MAX_ENTRIES;
        let _old = full.then(|| self.0.take());
        let _replaced = self.0.borrow_mut().insert(key, value.clone());
        Ok(value)
    }
}
