//! The parts of erlang_python that need neither the BEAM nor Python.
//!
//! `sync` has what threads hand to each other, `request` the life of a request and the limits on how many there are, `stats` the
//! numbers that contexts publish. The unit tests run without a VM: `cargo test -p erlang_python_core`.

pub mod bytecode;
pub mod lines;
pub mod request;
pub mod state;
pub mod stats;
pub mod sync;
pub mod words;
