//! The rights that only one thread has to a request: run it, ask its caller, send its reply. Each is a token.

use std::marker::PhantomData;
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::sync::{Arc, MutexGuard};

use erlang_python_core::request::lifecycle::{self, Phase};
use erlang_python_core::sync::lock;
use rustler::{Encoder, Env, Term};

use super::callback::CallbackResult;
use super::outcome::Notice;
use super::{Request, RequestRef};
use crate::beam::env::OwnedTermEnv;

/// The terms that `submit` has copied.
pub struct Message<'a> {
    pub reference: Term<'a>,
    pub operation: Term<'a>,
    pub namespace: Term<'a>,
    /// The processes that the client works for.
    pub callers: Term<'a>,
}

/// # Safety
/// `free_env` is not called meanwhile. The tokens below promise that: whoever runs a request, or delivers its reply, is the
/// one who frees its message.
unsafe fn message(request: &Request) -> Message<'_> {
    // SAFETY: the environment is live by the caller's promise; the lifetime is bound to the request.
    let term = unsafe { Term::new(Env::new(request, request.env.load(Acquire)), request.message) };
    let (reference, operation, namespace, callers) = term.decode().expect("submit builds a quadruple");
    Message { reference, operation, namespace, callers }
}

/// Leaves the term where the caller polls, if `small`, or else sends `{reference, term}`. Returns the environment, emptied,
/// unless the term was left in it. Not from scheduler threads.
///
/// # Safety
/// There is one notifier at a time: a token below.
unsafe fn notify(request: &Request, mut notice: Notice, small: bool) -> Option<OwnedTermEnv> {
    if small {
        // SAFETY: promised by the caller.
        match unsafe { request.handover.give(notice) } {
            Ok(()) => return None,
            Err(back) => notice = back,
        }
    }
    let Notice { mut env, term, .. } = notice;
    // A caller that is dead gets nothing.
    env.send(&request.caller, |env| {
        // SAFETY: the notifier keeps the message from being freed; the term was made in `env`.
        unsafe { (message(request).reference.in_env(env), Term::new(env, term)).encode(env) }
    });
    request.handover.sent();
    Some(env)
}

/// The calling thread runs a request.
pub struct Running<'a> {
    request: &'a RequestRef,
    life: lifecycle::Running<'a>,
}

impl<'a> Running<'a> {
    /// `None` when the request was cancelled or failed meanwhile.
    #[inline]
    pub fn start(request: &'a RequestRef) -> Option<Running<'a>> {
        let life = request.life.start()?;
        Some(Running { request, life })
    }

    pub fn request(&self) -> &'a RequestRef {
        self.request
    }

    #[inline]
    pub fn message(&self) -> Message<'_> {
        // SAFETY: freed by `deliver`, which takes `self`, or after it.
        unsafe { message(self.request) }
    }

    /// The right to ask the caller to run the function of callback `id`. `None` when the request was cancelled or failed
    /// meanwhile.
    pub fn ask(&self, id: u64) -> Option<Asking<'_>> {
        let asking = lock(&self.request.callback.asking);
        if !self.life.serve() {
            return None;
        }
        self.request.callback.expect(id);
        Some(Asking { request: self.request, _asking: asking })
    }

    /// The callback is over. False when the request was ended meanwhile.
    pub fn resume(&self) -> bool {
        self.life.resume()
    }

    /// Takes no result from now on. Returns the one there is, unless an interrupt came before it was read.
    pub fn close_callback(&self) -> Option<CallbackResult> {
        let callback = &self.request.callback;
        // SAFETY: only the thread that runs the request asks, and this is it.
        unsafe { callback.answer.close() }.filter(|_| !callback.interrupted.load(SeqCst))
    }

    /// Has the next result use the memory of this one, which was read: its thread allocated it.
    pub fn keep(&self, answer: CallbackResult) {
        // Converting the value may have run code that made a callback of its own. It has ended, so the slot is free.
        if answer.is_small() {
            // SAFETY: only the thread that runs the request asks, and this is it.
            unsafe { self.request.callback.answer.keep(answer) }
        }
    }

    /// The right, and the duty, to send the reply. `None` when the request was cancelled or failed meanwhile.
    #[inline]
    pub fn deliver(self) -> Option<Delivery<'a>> {
        let Running { request, life } = self;
        let life = life.deliver();
        if life.is_none() && request.life.phase() == Phase::Cancelled {
            request.free_env();
        }
        Some(Delivery { request, life: life? })
    }
}

/// The calling thread asks the caller of a request to run a function. An error that ends the request meanwhile waits until
/// this is dropped.
pub struct Asking<'a> {
    request: &'a RequestRef,
    _asking: MutexGuard<'a, ()>,
}

impl Asking<'_> {
    /// Sends the callback, or leaves it where the caller polls. Not from scheduler threads.
    pub fn notify(&self, notice: Notice, small: bool) {
        // SAFETY: `asking` is held, and a delivery waits for it.
        unsafe { notify(self.request, notice, small) };
    }
}

/// The calling thread sends the one reply of a request.
pub struct Delivery<'a> {
    request: &'a RequestRef,
    life: lifecycle::Delivery<'a>,
}

impl<'a> Delivery<'a> {
    /// Claims the right to send an error in place of a reply, after a callback that the caller is being asked for. Returns
    /// the phase before, and `None` when the request has already ended.
    pub(super) fn of_failure(request: &'a RequestRef) -> Option<(Phase, Delivery<'a>)> {
        let (phase, life) = request.life.fail()?;
        if phase == Phase::Serving {
            drop(lock(&request.callback.asking));
        }
        Some((phase, Delivery { request, life }))
    }

    /// Sends an error in place of a reply. Not from scheduler threads.
    pub(super) fn fail(self, notice: Notice) {
        // SAFETY: the one delivery of the request; `of_failure` has waited for the callback.
        unsafe { notify(self.request, notice, true) };
        self.life.delivered();
    }

    /// Sends the reply of a request that has run, or leaves it where the caller polls, if `small`. Returns the environment,
    /// emptied, or the reply that was left in it. Not from scheduler threads.
    pub fn reply(self, notice: Notice, small: bool) -> Result<OwnedTermEnv, UnreadReply> {
        // SAFETY: the one delivery of the request.
        let env = unsafe { notify(self.request, notice, small) };
        self.life.delivered();
        match env {
            Some(env) => {
                self.request.free_env();
                Ok(env)
            }
            // The caller reads the reply, and frees the message, which it allocated.
            None => Err(UnreadReply { request: self.request.clone(), _thread: PhantomData }),
        }
    }

    /// Ends a request whose reply nobody wants.
    pub fn skip(self) {
        self.life.delivered();
        self.request.free_env();
    }
}

/// A reply that was left where its caller polls, on the thread that has left it.
pub struct UnreadReply {
    request: RequestRef,
    /// It does not leave its thread.
    _thread: PhantomData<*const ()>,
}

impl UnreadReply {
    /// The environment of the reply, emptied, once the caller has read it.
    pub fn reclaim(&self) -> Option<OwnedTermEnv> {
        // SAFETY: made by the one delivery of the request, on this thread: nobody else gives anything any more.
        let mut env = unsafe { self.request.handover.reclaim() }?.env;
        env.clear();
        Some(env)
    }

    /// Returns `true` where nobody else knows the request: its caller has died.
    pub fn is_orphaned(&self) -> bool {
        Arc::strong_count(&self.request) == 1
    }
}
