//! The names that a request sees.

use std::sync::Arc;

use rustler::sys::ErlNifTerm;
use rustler::{Encoder, Env, LocalPid, Term};

use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;

/// Names that a request sees, kept beside its message, which may be freed before a nested request asks.
#[derive(Clone)]
pub enum Namespace {
    Context,
    Process(LocalPid),
    /// The handle of an environment.
    Env(Arc<Kept>),
}

impl Namespace {
    pub fn from_term(term: Term<'_>) -> Namespace {
        if atoms::context() == term {
            return Namespace::Context;
        }
        term.decode().map_or_else(|_| Namespace::Env(Arc::new(Kept::new(term))), Namespace::Process)
    }

    pub fn to_term<'a>(&self, env: Env<'a>) -> Term<'a> {
        match self {
            Namespace::Context => atoms::context().to_term(env),
            Namespace::Process(pid) => pid.encode(env),
            Namespace::Env(kept) => kept.term().in_env(env),
        }
    }
}

/// A term in an environment of its own, only read.
pub struct Kept {
    env: OwnedTermEnv,
    term: ErlNifTerm,
}

// SAFETY: the term is only copied from, which several threads may do at once.
unsafe impl Sync for Kept {}

impl Kept {
    fn new(term: Term<'_>) -> Kept {
        let env = OwnedTermEnv::new();
        let term = env.copy(term).as_c_arg();
        Kept { env, term }
    }

    fn term(&self) -> Term<'_> {
        // SAFETY: the term lives in this environment.
        unsafe { Term::new(self.env.env(), self.term) }
    }
}
