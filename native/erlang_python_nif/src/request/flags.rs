//! The flags of a request: its dialect, and the reply that it wants.

use crate::beam::dialect::Dialect;

/// The flags of a request: its dialect, and the reply that it wants.
#[derive(Clone, Copy)]
pub struct Flags(pub u32);

impl Flags {
    /// The Erlang dialect of the converter instead of the Elixir one.
    pub const ERLANG: u32 = 1;
    /// Return a handle on the result instead of its value.
    pub const RETURN_OBJECT: u32 = 2;
    /// Refuse at once when no permit is free.
    pub const NO_WAIT: u32 = 4;
    /// Nobody wants the value: only failures are sent.
    pub const CAST: u32 = 8;
    /// The caller does not sit in a `receive` for the reply, so it cannot run callbacks.
    pub const ASYNC: u32 = 16;
    /// The default pool was chosen for it: made by a callback, it goes where that callback's request runs instead.
    pub const ROUTED: u32 = 32;
    /// The caller polls for the outcome before it waits for a message.
    pub const POLL: u32 = 64;
    /// Its caller will ask how long it waited and ran.
    pub const TIMED: u32 = 128;
    /// Made by a callback of a request on the same context, it uses that request's namespace.
    pub const INHERIT: u32 = 256;

    /// A task that telemetry follows: its end is reported, see `report_end`.
    pub const TRACKED: u32 = 512;
    /// Failures in the Erlang dialect come with their traceback.
    pub const TRACEBACK: u32 = 1024;

    /// Python code of the context itself, see `Chore`: no process waits for it or gets a message.
    pub const CHORE: u32 = 1 << 31;

    /// The dialect of the request's values.
    pub fn dialect(self) -> Dialect {
        Dialect::new(self.has(Flags::ERLANG))
    }

    pub fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}
