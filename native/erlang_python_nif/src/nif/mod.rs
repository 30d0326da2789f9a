//! The NIFs: decode, submit, return. No logic, no Python, no waiting.

mod callback;
mod context;
mod limits;
mod request;
mod state;
mod stats;
mod system;
