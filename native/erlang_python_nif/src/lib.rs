//! The NIF of erlang_python: Python interpreters on threads of their own inside the BEAM's process.
//!
//! The crate `erlang_python_core` has what needs neither: queue, request life cycle, permits. `runtime` owns interpreters and
//! threads, `convert` turns terms into Python objects and back, `bridge` is what Python calls, `nif` the thin surface that
//! Elixir sees.

mod beam;
mod bridge;
mod convert;
mod nif;
mod python;
mod request;
mod runtime;

rustler::init!("Elixir.Py.Native", load = load);

fn load(env: rustler::Env, _info: rustler::Term) -> bool {
    // SAFETY: this is the load function.
    unsafe { runtime::exit::watch_halt(env.as_c_arg()) };
    runtime::stay_mapped();
    beam::immediate::probe(env);
    true
}
