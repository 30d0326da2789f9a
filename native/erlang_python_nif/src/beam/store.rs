//! The shared state, which holds terms that belong to no process.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use erlang_python_core::state::{State, StateError, Value, Weigh};
use rustler::sys::{ErlNifTerm, ErlNifTermType as Type};
use rustler::types::map::MapIterator;
use rustler::types::tuple::get_tuple;
use rustler::{Binary, Term};

use super::env::OwnedTermEnv;
use super::immediate;

/// A term in an environment of its own. It is only read once it is stored.
pub struct Stored {
    env: OwnedTermEnv,
    term: ErlNifTerm,
    /// The approximate size. For a term too large to be measured at once, the size of the part measured so far.
    bytes: AtomicUsize,
}

impl Weigh for Stored {
    fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }
}

// SAFETY: a stored term is never changed, only read and copied, which several threads may do at once.
unsafe impl Sync for Stored {}

/// The maximum number of parts of a term that are measured while the caller waits, on a scheduler or with the GIL.
const WEIGHED_AT_ONCE: usize = 2_000;

impl Stored {
    fn new(env: OwnedTermEnv, term: ErlNifTerm) -> Self {
        Stored { env, term, bytes: AtomicUsize::new(0) }
    }

    /// The term.
    pub fn term(&self) -> Term<'_> {
        // SAFETY: the term lives in this environment.
        unsafe { Term::new(self.env.env(), self.term) }
    }
}

/// Stores a term of `env`. Returns its approximate size in bytes, or `None` for a large term.
///
/// Measuring a large term takes several times as long as copying it. So a thread of its own measures it, after it was
/// stored.
pub fn put(key: &[u8], env: OwnedTermEnv, term: ErlNifTerm) -> Result<Option<usize>, StateError> {
    let stored = Arc::new(Stored::new(env, term));
    let (bytes, whole) = weigh(stored.term(), WEIGHED_AT_ONCE);
    stored.bytes.store(bytes, Relaxed);
    STATE.put(key, Value::Other(stored.clone()))?;
    if !whole {
        let key = Box::<[u8]>::from(key);
        // If no thread can be started, the statistics show the part measured so far.
        let _ = std::thread::Builder::new().name("py_weigh".into()).spawn(move || {
            let (bytes, _whole) = weigh(stored.term(), usize::MAX);
            STATE.reweigh(&key, &stored, || stored.bytes.store(bytes, Relaxed));
        });
    }
    Ok(whole.then_some(bytes))
}

/// The approximate size of a term in the BEAM, in bytes, and whether all of it was measured. At most `limit` parts are.
/// Shared parts count each time.
fn weigh(term: Term<'_>, limit: usize) -> (usize, bool) {
    const WORD: usize = size_of::<usize>();
    // Not recursive: a term may be nested deeper than the stack allows.
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
            // A type that OTP has added. Its external format is the only way to its size, and may take long.
            None if limit < usize::MAX => return (bytes, false),
            None => term.to_binary().as_slice().len(),
            _ => 4 * WORD,
        };
    }
    (bytes, true)
}

/// The state shared by Elixir, Erlang and Python.
pub static STATE: LazyLock<State<Stored>> = LazyLock::new(State::default);
