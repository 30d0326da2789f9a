//! Which request a call is nested in.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::sync::lock;
use erlang_python_core::word_map::WordMap;
use rustler::sys::ErlNifTerm;
use rustler::{LocalPid, Term};

use super::RequestRef;
use super::namespace::Namespace;
use crate::beam::env::pid_word;

/// A request that waits for a callback, and the namespace it runs in: calls of the callback that name no context run there.
#[derive(Clone)]
pub struct Parent {
    pub request: RequestRef,
    pub namespace: Namespace,
}

/// Processes that run a function for a request, innermost last: what they call is nested in that request.
static CHAINS: LazyLock<Mutex<WordMap<ErlNifTerm, Vec<Parent>>>> = LazyLock::new(Mutex::default);
/// The number of entries: while it is 0, calls need not take the lock.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// The process `pid` runs a function for `parent` from now on.
pub fn enter(pid: &LocalPid, parent: Parent) {
    lock(&CHAINS).entry(pid_word(pid)).or_default().push(parent);
    ACTIVE.fetch_add(1, SeqCst);
}

/// The function of `request` is done, which `pid` ran, or, for the dispatcher's, some process.
pub fn leave(request: &RequestRef, pid: Option<&LocalPid>) {
    let mut chains = lock(&CHAINS);
    // Dropped after the lock is released.
    let mut removed = Vec::new();
    let mut leave = |requests: &mut Vec<Parent>| {
        removed.extend(requests.extract_if(.., |parent| Arc::ptr_eq(&parent.request, request)));
        !requests.is_empty()
    };
    match pid.map(pid_word) {
        Some(key) => {
            if let Some(requests) = chains.get_mut(&key)
                && !leave(requests)
            {
                chains.remove(&key);
            }
        }
        None => chains.retain(|_, requests| leave(requests)),
    }
    drop(chains);
    ACTIVE.fetch_sub(removed.len(), SeqCst);
}

/// The request that a call of `caller` is nested in: its own, or that of the nearest of `$callers` that has one. A request
/// that has ended is passed over: its caller has the reply, and may call before the entry is gone.
#[inline]
pub fn parent_of(caller: &LocalPid, callers: impl FnOnce() -> Vec<LocalPid>) -> Option<Parent> {
    if ACTIVE.load(SeqCst) == 0 {
        return None;
    }
    let chains = lock(&CHAINS);
    let waits = |parent: &&Parent| parent.request.life.phase() == Phase::Serving;
    let innermost = |pid: &LocalPid| chains.get(&pid_word(pid))?.iter().rev().find(waits).cloned();
    innermost(caller).or_else(|| callers().iter().find_map(innermost))
}

/// A process of the dispatcher runs the function of callback `id`: its calls are nested in `request`, if that still waits for
/// this callback.
pub fn enter_offered(pid: &LocalPid, request: &RequestRef, id: u64) {
    // Under the lock of the chains: the request's own thread withdraws the offer first and clears its entries then.
    let mut chains = lock(&CHAINS);
    let offered = request.callback.accept(id);
    if let Some(namespace) = offered {
        let parent = Parent { request: request.clone(), namespace };
        chains.entry(pid_word(pid)).or_default().push(parent);
        ACTIVE.fetch_add(1, SeqCst);
    }
}

/// Decodes the pids among `$callers`.
pub fn pids(list: Term<'_>) -> Vec<LocalPid> {
    list.into_list_iterator().map(|terms| terms.filter_map(|term| term.decode().ok()).collect()).unwrap_or_default()
}
