//! Python code that no caller has asked for: preload code, destructors of what was released between requests, the end of a
//! context.
//!
//! It runs as a request of its own on the context's stack. So it counts as running, can be interrupted, is interrupted again
//! when that has no effect, and makes the context stuck when nothing has. Its end is not reported.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::stats::now;
use erlang_python_core::sync::errands;
use erlang_python_core::sync::lock;

use super::context::Shared;
use super::interrupt;
use crate::python::fork;
use crate::request::Request;
use crate::request::RequestRef;

/// Code of a context that no caller asked for. It runs from `begin` until this is dropped, on the attached thread.
pub struct Chore {
    shared: Arc<Shared>,
    request: RequestRef,
    /// Counts as busy time, but for the start of the context.
    counted: bool,
}

impl Chore {
    /// It is interrupted after `deadline`.
    pub fn begin(shared: &Arc<Shared>, deadline: Option<Instant>) -> Chore {
        let request = Request::chore(shared.inbox.clone(), shared.settings.owner, deadline);
        lock(&shared.inbox.stack).push(request.clone());
        // In this order, as for any request: see `Runtime::handle`.
        shared.inbox.turn.fetch_add(1, SeqCst);
        errands::nudge();
        let counted = shared.inbox.stats.ready.load(SeqCst);
        if counted {
            shared.inbox.stats.busy.begin(now());
        }
        Chore { shared: shared.clone(), request, counted }
    }

    /// Returns `true` if it has to end.
    pub fn is_over(&self) -> bool {
        self.request.life.phase() != Phase::Running
    }
}

impl Drop for Chore {
    fn drop(&mut self) {
        if fork::is_child() {
            fork::end_child();
        }
        let shared = &self.shared;
        lock(&shared.inbox.stack).pop();
        interrupt::clear_late(shared, &self.request);
        if self.counted {
            shared.inbox.stats.busy.end(now());
        }
    }
}
