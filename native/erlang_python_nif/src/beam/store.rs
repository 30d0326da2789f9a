//! Terms that belong to no process: the shared state.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use erlang_python_core::state::{State, StateError, Value, Weigh};
use rustler::sys::{ErlNifTerm, ErlNifTermType as Type};
use rustler::types::map::MapIterator;
use rustler::types::tuple::get_tuple;
use rustler::{Binary, Term};

use super::env::OwnedTermEnv;
use super::immediate;

/// A term of its own, only read once it is stored.
pub struct Stored {
    env: OwnedTermEnv,
    term: ErlNifTerm,
    /// Of a term too large to be weighed at once, what was seen of it so far.
    bytes: AtomicUsize,
}

impl Weigh for Stored {
    fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }
}

// SAFETY: a stored term is never changed, and only copied from, which several threads may do at once.
unsafe impl Sync for Stored {}

/// Parts of a term that are weighed while its owner waits, on a scheduler or with the GIL held.
const WEIGHED_AT_ONCE: usize = 2_000;

impl Stored {
    fn new(env: OwnedTermEnv, term: ErlNifTerm) -> Self {
        Stored { env, term, bytes: AtomicUsize::new(0) }
    }

    pub fn term(&self) -> Term<'_> {
        // SAFETY: the term lives in this environment.
        unsafe { Term::new(self.env.env(), self.term) }
    }
}

/// Stores a term of `env`. Returns about how many bytes it takes, or `None` for a large one.
///
/// Copying a term costs no more than sending it; weighing a large one takes several times as long, so that happens on a
/// thread of its own, after the value can be read.
pub fn put(key: &[u8], env: OwnedTermEnv, term: ErlNifTerm) -> Result<Option<usize>, StateError> {
    let stored = Arc::new(Stored::new(env, term));
    let (bytes, whole) = weigh(stored.term(), WEIGHED_AT_ONCE);
    stored.bytes.store(bytes, Relaxed);
    STATE.put(key, Value::Other(stored.clone()))?;
    if !whole {
        let key = Box::<[u8]>::from(key);
        // Without a thread to be had, the statistics show what was seen so far.
        let _ = std::thread::Builder::new().name("py_weigh".into()).spawn(move || {
            let (bytes, _whole) = weigh(stored.term(), usize::MAX);
            STATE.reweigh(&key, &stored, || stored.bytes.store(bytes, Relaxed));
        });
    }
    Ok(whole.then_some(bytes))
}

/// Bytes that a term takes in the BEAM, about, and whether all of it was looked at: at most `limit` parts are. Parts that
/// are shared count each time.
fn weigh(term: Term<'_>, limit: usize) -> (usize, bool) {
    const WORD: usize = size_of::<usize>();
    // Not recursive: a term may be nested deeper than any stack.
    let mut pending = vec![term];
    let mut bytes = 0;
    let mut seen = 0;
    while let Some(term) = pending.pop() {
        seen += 1;
        if seen > limit {
            return (bytes, false);
        }
        bytes += match immediate::type_of(term) {
            Some(Type::ERL_NIF_TERM_TYPE_ATOM) => WORD,
            Some(Type::ERL_NIF_TERM_TYPE_INTEGER) if term.decode::<i64>().is_ok() => WORD,
            Some(Type::ERL_NIF_TERM_TYPE_BITSTRING) => {
                4 * WORD + term.decode::<Binary>().map_or(0, |binary| binary.len())
            }
            Some(Type::ERL_NIF_TERM_TYPE_TUPLE) => {
                let items = get_tuple(term).unwrap_or_default();
                pending.extend(&items);
                WORD * (items.len() + 1)
            }
            Some(Type::ERL_NIF_TERM_TYPE_MAP) => {
                let size = term.map_size().unwrap_or(0);
                if size > limit.saturating_sub(seen) {
                    return (bytes + WORD * (size * 2 + 3), false);
                }
                MapIterator::new(term).into_iter().flatten().for_each(|(key, value)| pending.extend([key, value]));
                WORD * (size * 2 + 3)
            }
            Some(Type::ERL_NIF_TERM_TYPE_LIST) => match term.list_get_cell() {
                Ok((head, tail)) => {
                    pending.extend([tail, head]);
                    2 * WORD
                }
                Err(_) => 0,
            },
            // Of a type that OTP has added: its size is to be had in no other way, and this may take long.
            None if limit < usize::MAX => return (bytes, false),
            None => term.to_binary().as_slice().len(),
            _ => 4 * WORD,
        };
    }
    (bytes, true)
}

/// The state shared by Elixir, Erlang and Python.
pub static STATE: LazyLock<State<Stored>> = LazyLock::new(State::default);
