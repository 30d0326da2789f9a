//! The callback that a request waits for, and what it returned.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use erlang_python_core::sync::lock;
use erlang_python_core::sync::reply_slot::ReplySlot;
use rustler::sys::ErlNifTerm;
use rustler::{Binary, Term};

use super::RequestRef;
use super::namespace::Namespace;
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;
use crate::beam::immediate;

/// Longer binaries are shared by the environments and processes that have them, in bytes (`ERL_ONHEAP_BINARY_LIMIT`).
const MAX_HEAP_BINARY: usize = 64;

/// The result of a function, in an environment of its own.
pub struct CallbackResult {
    env: OwnedTermEnv,
    /// The value if `ok`, else `{error, kind, text, stacktrace}`.
    term: ErlNifTerm,
    pub ok: bool,
}

impl CallbackResult {
    /// Copies `{ok, value}` or an error, into the environment of an earlier answer, if there is one.
    pub fn copy(term: Term<'_>, earlier: Option<CallbackResult>) -> CallbackResult {
        let value = term.decode().ok().filter(|(tag, _)| *tag == atoms::ok());
        let value: Option<(rustler::Atom, Term)> = value;
        let mut env = earlier.map_or_else(OwnedTermEnv::new, |earlier| earlier.env);
        env.clear();
        let (ok, term) = value.map_or((false, term), |(_ok, value)| (true, value));
        let term = env.copy(term).as_c_arg();
        CallbackResult { env, term, ok }
    }

    pub fn term(&self) -> Term<'_> {
        // SAFETY: the term lives in this environment.
        unsafe { Term::new(self.env.env(), self.term) }
    }

    /// Returns `true` if it takes little memory and keeps nothing alive, so that it may be freed later.
    pub(super) fn is_small(&self) -> bool {
        let term = self.term();
        let binary = || Binary::from_term(term).is_ok_and(|binary| binary.len() <= MAX_HEAP_BINARY);
        self.ok && (immediate::small(term).is_some() || term.is_atom() || term.is_float() || binary())
    }
}

/// The callback that a request waits for.
#[derive(Default)]
pub struct CallbackSlot {
    pub(super) answer: ReplySlot<CallbackResult>,
    /// An interrupt came while the request waited.
    pub interrupted: AtomicBool,
    /// Held from the moment a request is `Serving` until its caller has been asked: an error that ends the request meanwhile
    /// comes after the callback, and no callback comes after an error.
    pub(super) asking: Mutex<()>,
    /// The number of the callback, and the namespace for the calls of the process that the dispatcher starts, until that has
    /// entered. Not the request itself, which this is a part of.
    offered: Mutex<Option<(u64, Namespace)>>,
}

impl CallbackSlot {
    pub(super) fn expect(&self, id: u64) {
        self.interrupted.store(false, SeqCst);
        self.answer.open(id);
    }

    /// Returns `true` if the function has run.
    pub fn is_answered(&self) -> bool {
        self.answer.is_filled()
    }

    /// Ends the wait for the result. Returns `true` if there was one. Attached to the interpreter of the request, as is who waits
    /// whenever it opens or closes the place of the answer.
    pub fn interrupt(&self) -> bool {
        let waiting = self.answer.is_open();
        if waiting {
            self.interrupted.store(true, SeqCst);
        }
        waiting
    }

    /// The process that the dispatcher starts for callback `id` may work for this request.
    pub fn offer(&self, id: u64, namespace: Namespace) {
        *lock(&self.offered) = Some((id, namespace));
    }

    /// Takes the offer that was made for callback `id`: that process may be late, and another callback under way.
    pub(super) fn accept(&self, id: u64) -> Option<Namespace> {
        lock(&self.offered).take_if(|(offered, _)| *offered == id).map(|(_, namespace)| namespace)
    }

    /// Undoes `offer`.
    pub fn withdraw(&self) {
        lock(&self.offered).take();
    }
}

/// Takes the result of callback `id`. Returns `false` if the request no longer waits for it.
pub fn answer(request: &RequestRef, id: u64, term: Term<'_>) -> bool {
    let taken = request.callback.answer.put(id, |earlier| CallbackResult::copy(term, earlier));
    if taken {
        request.inbox.queue.unpark();
    }
    taken
}
