//! The life of a request, and the limits on how many there are.

pub mod inbox;
pub mod lifecycle;
pub mod line;
pub mod parked;
pub mod permits;
