//! The NIF of erlang_python: Python interpreters on threads of their own inside the BEAM's process.
//!
//! `core` is plain Rust (queue, request life cycle, permits), `runtime` owns interpreters and threads, `convert`
//! turns terms into Python objects and back, `nif` is the thin surface that Elixir sees.

pub mod core;

#[cfg(feature = "nif")]
mod atoms;
#[cfg(feature = "nif")]
mod bridge;
#[cfg(feature = "nif")]
mod convert;
#[cfg(feature = "nif")]
mod nif;
#[cfg(feature = "nif")]
mod runtime;

#[cfg(feature = "nif")]
rustler::init!("Elixir.Py.Native", load = load);

#[cfg(feature = "nif")]
fn load(env: rustler::Env, _info: rustler::Term) -> bool {
    // SAFETY: this is the load function.
    unsafe { runtime::exit::watch_halt(env.as_c_arg()) };
    runtime::stay_mapped();
    convert::raw::probe(env);
    true
}
