//! The NIFs: decode, submit, return. No logic, no Python, no waiting.

mod context;
mod limits;
mod request;
mod system;
