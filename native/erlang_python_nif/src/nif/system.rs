//! Start of the runtime, and the floor that benchmarks compare it with.

use std::time::Duration;

use rustler::{Encoder, Env, NifMap, ResourceArc, Term};

use crate::beam::atoms;
use crate::bridge;
use crate::python::host::{self, HostConfig};
use crate::runtime::echo::{self, Echo};
use crate::runtime::{capabilities, exit, process, watchdog};

#[derive(NifMap)]
struct StartOptions {
    executable: String,
    package: String,
    environment: Vec<(String, String)>,
    memory_tuning: bool,
}

/// That the functions of this library are those of the module that asks.
#[rustler::nif(name = "loaded?")]
fn is_loaded() -> bool {
    true
}

/// Starts Python, once per VM. `{ok, #{version, own_gil}} | {error, text}`.
#[rustler::nif(schedule = "DirtyIo")]
fn start_runtime(env: Env<'_>, options: StartOptions) -> Term<'_> {
    let config = HostConfig {
        executable: options.executable,
        package: options.package,
        environment: options.environment,
        memory_tuning: options.memory_tuning,
        prepare: exit::watch,
        natives: bridge::install,
    };
    process::start();
    match watchdog::start().and_then(|()| host::start(config)) {
        Ok(host) => {
            let info = rustler::types::map::map_new(env)
                .map_put(atoms::version(), host.version)
                .and_then(|map| map.map_put(atoms::own_gil(), capabilities().own_gil));
            (atoms::ok(), info.expect("a fresh map")).encode(env)
        }
        Err(reason) => env.error_tuple(reason),
    }
}

/// Runs Python's exit functions and flushes its files, at the end of the application: whether that ended in time.
#[rustler::nif(schedule = "DirtyIo")]
fn run_exit_functions() -> bool {
    exit::run_exit_functions()
}

/// Starts a thread that sends back what it gets: see `echo`.
#[rustler::nif]
fn echo_start(spin_us: u64) -> Result<ResourceArc<Echo>, String> {
    echo::start(Duration::from_micros(spin_us))
}

/// Sends `{reference, {ok, term}}` to the calling process by way of the thread; `pair` is `{reference, term}`.
#[rustler::nif]
fn echo(env: Env<'_>, thread: ResourceArc<Echo>, pair: Term<'_>) -> rustler::Atom {
    echo::submit(&thread, env.pid(), pair);
    atoms::ok()
}
