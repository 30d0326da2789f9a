//! The one limit on concurrent Python work of this VM, and who waits for it.

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::request::permits::{Grantee, Permits};

use super::RequestRef;
use super::process_permit::{self, ProcessPermitRef};

/// The one limit on concurrent Python work of this VM. `usize::MAX` until Elixir configures it.
pub static PERMITS: Permits<Waiter> = Permits::new(usize::MAX);

/// A request or a process that waits for a permit.
pub enum Waiter {
    Request(RequestRef),
    Process(ProcessPermitRef),
}

impl Waiter {
    pub fn request(&self) -> Option<&RequestRef> {
        match self {
            Waiter::Request(request) => Some(request),
            Waiter::Process(_) => None,
        }
    }
}

impl Grantee for Waiter {
    fn grant(&self) -> bool {
        match self {
            Waiter::Request(request) => request.grant(),
            Waiter::Process(permit) => process_permit::grant(permit),
        }
    }

    fn gone(&self) -> bool {
        match self {
            Waiter::Request(request) => request.life.phase() != Phase::Waiting,
            Waiter::Process(permit) => permit.gone(),
        }
    }
}
