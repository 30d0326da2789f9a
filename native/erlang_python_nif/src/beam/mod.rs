//! Terms: what this library knows of the BEAM and of nothing else.

pub mod atoms;
pub mod env;
pub mod immediate;
pub mod integer;
pub mod serial;
pub mod store;
