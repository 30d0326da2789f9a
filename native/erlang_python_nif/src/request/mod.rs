//! One request on its way from a BEAM process to a context thread.

pub mod callback;
pub mod chains;
pub mod flags;
pub mod namespace;
pub mod outcome;
pub mod permits;
pub mod process_permit;
pub mod running;
pub mod tasks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};
use std::time::Instant;

use erlang_python_core::request::inbox::{Admit, Inbox};
use erlang_python_core::request::lifecycle::{Lifecycle, Phase};
use erlang_python_core::request::parked::Parked;
use erlang_python_core::request::permits::{Acquired, PermitSlot};
use erlang_python_core::stats::timing::Timing;
use erlang_python_core::sync::errands;
use erlang_python_core::sync::handover::Handover;
use rustler::sys::{ErlNifEnv, ErlNifTerm};
use rustler::types::tuple::make_tuple;
use rustler::{Encoder, Env, LocalPid, Resource, ResourceArc, Term};

use self::callback::CallbackSlot;
use self::flags::Flags;
use self::outcome::{Event, Notice};
use self::permits::{PERMITS, Waiter};
use self::running::Delivery;
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;

pub type RequestRef = Arc<Request>;

/// The resource by which Elixir knows a request whose outcome was not there at once.
pub struct RequestHandle(pub RequestRef);

#[rustler::resource_impl]
impl Resource for RequestHandle {}

impl RequestHandle {
    pub fn term(env: Env<'_>, request: RequestRef) -> Term<'_> {
        ResourceArc::new(RequestHandle(request)).encode(env)
    }
}

/// Requests whose callers poll for the outcome between turns, by the word of the caller's pid.
pub static POLLING: Parked<ErlNifTerm, RequestRef> = Parked::new();

/// The way of a request to its context.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// It waits until its context has time for it, and has not asked for a permit yet.
    InLine = 0,
    /// It has a permit, or waits for one.
    Admitted = 1,
    /// It needs no permit.
    Beside = 2,
}

/// Added to the standing of a request that its context no longer counts.
const UNCOUNTED: u8 = 4;

pub struct Request {
    pub life: Lifecycle,
    pub permit: PermitSlot<Waiter>,
    /// That of its context.
    pub inbox: Arc<Inbox<Request>>,
    /// The process that gets the reply, and whose death cancels the request.
    pub caller: LocalPid,
    /// The process that made the request: the caller, but for casts.
    pub client: LocalPid,
    pub flags: Flags,
    /// The client also made the last request on its scheduler, which is likely to be idle until the outcome is there.
    pub sole_caller: bool,
    /// The time from which the watchdog ends it, if its caller does not: async work, callers that run a callback.
    pub deadline: Option<Instant>,
    /// A `Standing`, and `UNCOUNTED` once the context no longer counts it, see `retire`.
    standing: AtomicU8,
    /// Somebody wants this request interrupted; the watchdog sees to it.
    pub unwanted: AtomicBool,
    /// An interrupt has hit this request: its KeyboardInterrupt is ours, not the program's.
    pub interrupted: AtomicBool,
    /// The request whose callback made this one, which rides on its permit.
    pub parent: Option<RequestRef>,
    pub callback: CallbackSlot,
    /// The place where a caller that polls for the outcome finds it.
    handover: Handover<Notice>,
    pub timing: Timing,
    /// The reference of a task whose end is reported. Unlike the message it stays until the request is dropped.
    tracked: Option<Box<Tracked>>,
    /// Holds `message`. Read by the context thread while the request runs, and by `fail`; freed by whoever ended
    /// the request (see `free_env`), at the latest when it is dropped. Null once freed.
    env: AtomicPtr<ErlNifEnv>,
    /// `{reference, operation, namespace, callers}`.
    message: ErlNifTerm,
}

struct Tracked {
    env: OwnedTermEnv,
    reference: ErlNifTerm,
}

impl Tracked {
    /// Copies the reference out of the message of a request.
    fn new(message: Term<'_>) -> Option<Box<Tracked>> {
        let (reference, _operation, _namespace, _callers): (Term<'_>, Term<'_>, Term<'_>, Term<'_>) =
            message.decode().ok()?;
        let env = OwnedTermEnv::new();
        let reference = env.copy(reference).as_c_arg();
        Some(Box::new(Tracked { env, reference }))
    }
}

// SAFETY: after construction the environments are only read, which several threads may do at once; that of the message is
// freed under the rule of `free_env`. The rest is `Sync` by itself.
unsafe impl Send for Request {}
// SAFETY: as above.
unsafe impl Sync for Request {}

impl Request {
    /// `polling`: the caller polls for the outcome before it waits for a message.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        inbox: Arc<Inbox<Request>>,
        caller: LocalPid,
        client: LocalPid,
        message: Term<'_>,
        flags: Flags,
        deadline: Option<Instant>,
        parent: Option<RequestRef>,
        standing: Standing,
        polling: bool,
        sole_caller: bool,
    ) -> RequestRef {
        let env = OwnedTermEnv::new();
        let tracked = if flags.has(Flags::TRACKED) { Tracked::new(message) } else { None };
        let message = env.copy(message).as_c_arg();
        Arc::new(Request {
            life: Lifecycle::default(),
            permit: PermitSlot::new(&PERMITS),
            inbox,
            caller,
            client,
            flags,
            sole_caller,
            timing: Timing::new(flags.has(Flags::TIMED)),
            deadline,
            standing: AtomicU8::new(standing as u8),
            unwanted: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            parent,
            callback: CallbackSlot::default(),
            handover: Handover::new(polling),
            tracked,
            env: AtomicPtr::new(env.into_raw()),
            message,
        })
    }

    /// A request that stands for code of the context itself. It runs from now on.
    pub fn chore(inbox: Arc<Inbox<Request>>, owner: LocalPid, deadline: Option<Instant>) -> RequestRef {
        // Counted in as one that is done: it takes nobody's place.
        inbox.line().enter_beside(usize::MAX);
        let env = OwnedTermEnv::new();
        let nothing = atoms::nil().to_term(env.env());
        let message = make_tuple(env.env(), &[nothing, nothing, nothing, Term::list_new_empty(env.env())]);
        let flags = Flags(Flags::CHORE);
        let request = Request::new(inbox, owner, owner, message, flags, deadline, None, Standing::Beside, false, false);
        request.uncount();
        request.life.queue();
        let _running = request.life.start();
        request
    }

    /// Frees the message. Called once nobody reads it any more: by the context thread after it has ended the request
    /// (`deliver`, or found it cancelled), by whoever ended it before it ran, and by a caller that has read its result.
    fn free_env(&self) {
        let raw = self.env.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !raw.is_null() {
            // SAFETY: put there by `new`, and taken once.
            drop(unsafe { OwnedTermEnv::from_raw(raw) });
        }
    }

    /// Returns `true` if this request was made by a callback of `other`, however many levels down.
    pub fn descends_from(&self, other: &RequestRef) -> bool {
        let mut parent = self.parent.as_ref();
        while let Some(request) = parent {
            if Arc::ptr_eq(request, other) {
                return true;
            }
            parent = request.parent.as_ref();
        }
        false
    }

    /// The address of the request that began the chain, which identifies the chain.
    pub fn chain(&self) -> *const Request {
        std::iter::successors(Some(self), |request| request.parent.as_deref()).last().map_or(self, std::ptr::from_ref)
    }

    /// The number of requests below this one in its chain, itself included.
    pub fn depth(&self) -> usize {
        std::iter::successors(Some(self), |request| request.parent.as_deref()).count()
    }

    /// Gives back what the request holds, once. Called when it will not run (any more): the request itself lives on until
    /// its caller's garbage is collected.
    pub fn retire(&self) {
        self.permit.release();
        self.uncount();
    }

    /// Removes the request from the count of its context, once.
    fn uncount(&self) {
        let standing = self.standing.fetch_or(UNCOUNTED, Ordering::AcqRel);
        if standing & UNCOUNTED == 0 {
            self.inbox.line().leave(standing == Standing::Admitted as u8);
            self.inbox.serve_line();
        }
    }

    /// Returns `true` if it waits, or waited to its end, for its context rather than for a permit.
    pub fn is_in_line(&self) -> bool {
        self.standing.load(Ordering::Acquire) & !UNCOUNTED == Standing::InLine as u8
    }

    /// Takes the permit that was granted. Returns `false` if the request waits no longer.
    pub(super) fn grant(self: &RequestRef) -> bool {
        // The permit is recorded first: from `queue` on, a canceller may give it back.
        self.permit.hold();
        if self.life.queue() {
            self.inbox.enqueue(self.clone());
            return true;
        }
        // Refused: whoever served us takes the permit back, so the slot must forget it.
        self.permit.forget();
        false
    }

    /// The request waits for a permit from now on: the watchdog keeps its deadline, and watches its caller.
    pub fn wait_for_permit(self: &RequestRef) {
        errands::nudge();
        // The context may have been stopped before the FIFO knew the request.
        if self.inbox.queue.is_closed() {
            self.clone().refuse();
        }
    }

    pub fn caller_alive(&self, env: &OwnedTermEnv) -> bool {
        // SAFETY: a valid environment and pid; callable from any thread.
        self.flags.has(Flags::CHORE)
            || unsafe { rustler::sys::enif_is_process_alive(env.as_ptr(), self.caller.as_c_arg()) != 0 }
    }

    /// Cancels: no reply will be sent. `None` when the request had already ended. A running one goes on until it is
    /// interrupted.
    pub fn cancel(&self) -> Option<Phase> {
        let phase = if self.flags.has(Flags::ASYNC) { self.life.end_unread() } else { self.life.cancel() }?;
        self.ended(phase, || ());
        Some(phase)
    }

    /// Cancels only while no permit was granted yet. Returns what `describe` says of the request before it is gone.
    pub fn cancel_waiting<R>(&self, describe: impl FnOnce() -> R) -> Option<R> {
        if !self.life.cancel_waiting() {
            return None;
        }
        let described = describe();
        self.ended(Phase::Waiting, || ());
        Some(described)
    }

    /// Cancels the request of a caller that has died.
    pub fn end_unread(&self) -> Option<Phase> {
        let phase = self.life.end_unread()?;
        if self.tracked.is_some() {
            let env = OwnedTermEnv::new();
            self.report_end(Some(env.env().error_tuple(atoms::cancelled())));
        }
        self.ended(phase, || ());
        Some(phase)
    }

    /// The request has ended, elsewhere than on its thread: gives back what it holds if it was not running in the phase
    /// `before`. Its thread does so for one that runs, when Python is done. `notify` may read the message, and comes after:
    /// the caller may count permits then, or make the next call.
    fn ended(&self, before: Phase, notify: impl FnOnce()) {
        match before {
            Phase::Waiting => {
                // It never got a permit: a grant under way takes its permit back itself.
                self.uncount();
                if !self.is_in_line() {
                    PERMITS.note_withdrawn();
                }
            }
            Phase::Queued => self.retire(),
            _ => return notify(),
        }
        notify();
        self.free_env();
    }

    /// Sends `{reference, {error, reason}}` in place of a reply, unless the request has ended otherwise. Returns the
    /// phase it was in. Not from scheduler threads.
    pub fn fail(self: &RequestRef, reason: impl Encoder) -> Option<Phase> {
        self.fail_with(|_phase, env| reason.encode(env))
    }

    /// Like `fail`; the reason may depend on the phase the request was in.
    pub fn fail_with(self: &RequestRef, reason: impl for<'a> FnOnce(Phase, Env<'a>) -> Term<'a>) -> Option<Phase> {
        if self.flags.has(Flags::CHORE) {
            return self.end_unread();
        }
        let (phase, delivery) = Delivery::of_failure(self)?;
        self.ended(phase, || {
            let env = OwnedTermEnv::new();
            let term = env.env().error_tuple(reason(phase, env.env())).as_c_arg();
            // SAFETY: `term` was made in `env`.
            self.report_end(Some(unsafe { Term::new(env.env(), term) }));
            delivery.fail(Notice { event: Event::Failure, env, term, shared: false });
        });
        Some(phase)
    }
}

impl Admit for Request {
    fn admit(self: &RequestRef) -> bool {
        let (from, to) = (Standing::InLine as u8, Standing::Admitted as u8);
        if self.standing.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return false;
        }
        match PERMITS.acquire(true, || Waiter::Request(self.clone())) {
            Acquired::Now if !self.grant() => PERMITS.release(),
            Acquired::Now => {}
            _ => self.wait_for_permit(),
        }
        true
    }

    /// The watchdog replies, because a scheduler must not send messages.
    fn refuse(self: RequestRef) {
        errands::post(move || {
            self.fail((atoms::stopped(), self.inbox.id));
        });
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.free_env();
        self.retire();
    }
}
