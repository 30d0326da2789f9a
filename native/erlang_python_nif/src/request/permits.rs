//! The one limit on concurrent Python work of this VM, and who waits for it.

use erlang_python_core::request::lifecycle::Phase;
use erlang_python_core::request::permits::{Permits, Waiter};

use super::RequestRef;
use super::holder::{self, HolderRef};

/// The one limit on concurrent Python work of this VM. `usize::MAX` until Elixir configures it.
pub static PERMITS: Permits<Claim> = Permits::new(usize::MAX);

/// Who waits for a permit.
pub enum Claim {
    Request(RequestRef),
    Holder(HolderRef),
}

impl Claim {
    pub fn request(&self) -> Option<&RequestRef> {
        match self {
            Claim::Request(request) => Some(request),
            Claim::Holder(_) => None,
        }
    }
}

impl Waiter for Claim {
    fn grant(&self) -> bool {
        match self {
            Claim::Request(request) => request.grant(),
            Claim::Holder(holder) => holder::grant(holder),
        }
    }

    fn gone(&self) -> bool {
        match self {
            Claim::Request(request) => request.life.phase() != Phase::Waiting,
            Claim::Holder(holder) => holder.gone(),
        }
    }
}
