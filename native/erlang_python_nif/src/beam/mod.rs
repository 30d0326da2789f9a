//! Terms: the part of this library that knows the BEAM and nothing else.

pub mod atoms;
pub mod dialect;
pub mod env;
pub mod immediate;
pub mod integer;
pub mod serial;
pub mod store;
