//! The parts of erlang_python that need neither the BEAM nor Python.
//!
//! `sync` has what threads hand to each other, `request` the life of a request and the limits on concurrent requests,
//! `stats` the numbers that contexts publish. The unit tests run without a VM: `cargo test -p erlang_python_core`.

#![warn(missing_docs)]

pub mod bytecode;
pub mod lines;
pub mod request;
pub mod state;
pub mod stats;
pub mod sync;
pub mod word_map;

/// The number of rounds of a stress test: fewer under Miri, which interprets each instruction.
#[cfg(test)]
const fn rounds(count: u32) -> usize {
    if cfg!(miri) { count as usize / 200 } else { count as usize }
}
