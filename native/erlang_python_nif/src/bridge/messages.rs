//! `erlang.send`, `erlang.whereis`, `erlang.self`.

use pyo3::ffi;
use rustler::sys::enif_whereis_pid;
use rustler::{Encoder, LocalPid};

use super::{Call, expect_args};
use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;
use crate::python::object::{Obj, PyResult, Raised, import};

/// `send(pid, message)`: None. Raises ProcessError where there is no such process of this node.
pub fn send(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("send", args, 2..=2)?;
    let mut env = OwnedTermEnv::new();
    let (to, message) = {
        let env = env.env();
        (call.term(&args[0], env)?.decode::<LocalPid>(), call.term(&args[1], env)?.as_c_arg())
    };
    let Ok(to) = to else {
        // SAFETY: attached; a static class.
        return Err(unsafe { Raised::new(ffi::PyExc_TypeError, "erlang.send takes an erlang.Pid of this node") });
    };
    // SAFETY: the term was made in this environment.
    if env.send(&to, |env| unsafe { rustler::Term::new(env, message) }) {
        return Ok(Obj::none());
    }
    let class = import(&Obj::str("erlang._terms")?)?.attr("ProcessError")?;
    Err(call.exception(&class, &[&Obj::str("there is no such process")?]))
}

/// `whereis(name)`: the Pid registered under that name, or None.
pub fn whereis(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("whereis", args, 1..=1)?;
    let env = OwnedTermEnv::new();
    // SAFETY: attached.
    let bytes = unsafe { ffi::PyBytes_Check(args[0].as_ptr()) } != 0;
    let name = if bytes { std::str::from_utf8(args[0].as_bytes()).unwrap_or("") } else { args[0].as_utf8()? };
    let Some(name) = atoms::existing(env.env(), name) else { return Ok(Obj::none()) };
    let mut pid = std::mem::MaybeUninit::uninit();
    // SAFETY: this is no scheduler thread, hence the null environment; `pid` is read only on success.
    let pid = unsafe {
        if enif_whereis_pid(std::ptr::null_mut(), name.as_c_arg(), pid.as_mut_ptr()) == 0 {
            return Ok(Obj::none());
        }
        LocalPid::from_c_arg(pid.assume_init())
    };
    call.object(pid.encode(env.env()))
}

/// `self()`: the Pid of the process that made the running request.
pub fn own_pid(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("self", args, 0..=0)?;
    match call.running {
        Some(running) => {
            let env = OwnedTermEnv::new();
            call.object(running.request().client.encode(env.env()))
        }
        // SAFETY: attached; a static class.
        None => Err(unsafe { Raised::new(ffi::PyExc_RuntimeError, "no BEAM process waits for this thread") }),
    }
}
