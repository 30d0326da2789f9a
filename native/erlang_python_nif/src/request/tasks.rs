//! Tasks that telemetry follows.

use std::sync::Mutex;

use erlang_python_core::sync::lock;
use rustler::{Env, LocalPid, Term};

use crate::beam::env::OwnedTermEnv;

/// The process that gets the messages about the ends of tasks, see `Request::report_end`.
static TASKS: Mutex<Option<LocalPid>> = Mutex::new(None);

pub fn follow(pid: LocalPid) {
    *lock(&TASKS) = Some(pid);
}

/// Not from scheduler threads.
pub fn report(message: impl FnOnce(Env<'_>) -> Term<'_>) {
    let follower = *lock(&TASKS);
    if let Some(follower) = follower {
        OwnedTermEnv::new().send(&follower, message);
    }
}
