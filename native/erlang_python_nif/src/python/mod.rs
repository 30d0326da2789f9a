//! CPython inside this process: its symbols, objects, interpreters and memory. Nothing here knows the BEAM.

pub mod cache;
pub mod code;
pub mod fork;
pub mod host;
pub mod interpreter;
pub mod memory;
pub mod method;
pub mod object;
pub mod objects;
pub mod package;
pub mod place;
pub mod stack;
pub mod symbols;

/// The stack size of threads that run Python, in bytes. Only the pages that a thread touches take memory.
pub const STACK_SIZE: usize = 32 * 1024 * 1024;
