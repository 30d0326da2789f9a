//! Start of the runtime.

use rustler::{Encoder, Env, NifMap, Term};

use crate::atoms;
use crate::runtime::host::{self, HostConfig};
use crate::runtime::{capabilities, os, watchdog};

#[derive(NifMap)]
struct StartOptions {
    executable: String,
    package: String,
}

/// Starts Python, once per VM. `{ok, #{version, own_gil}} | {error, text}`.
#[rustler::nif(schedule = "DirtyIo")]
fn start_runtime(env: Env<'_>, options: StartOptions) -> Term<'_> {
    let config = HostConfig { executable: options.executable, package: options.package };
    os::start();
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
