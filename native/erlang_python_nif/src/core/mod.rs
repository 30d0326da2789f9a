//! Pure Rust: no BEAM, no Python. Unit-tested with `cargo test --no-default-features`.

pub mod answer;
pub mod bytecode;
pub mod counters;
pub mod handover;
pub mod lifecycle;
pub mod line;
pub mod lines;
pub mod padded;
pub mod patience;
pub mod pending;
pub mod permits;
pub mod queue;
pub mod state;
pub mod stats;
pub mod words;
