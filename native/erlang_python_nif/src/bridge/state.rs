//! `erlang.state_*`: the state shared with Elixir and Erlang, without any message.

use erlang_python_core::state::{StateError, Value, integer};
use num_bigint::{BigInt, Sign};
use pyo3::ffi;

use super::{Call, expect_args};
use crate::beam::env::OwnedTermEnv;
use crate::beam::store::{STATE, Stored, put};
use crate::python::object::{Obj, PyResult, Raised};

fn error(error: StateError, key: &[u8]) -> Raised {
    let key = String::from_utf8_lossy(key);
    // SAFETY: attached; static classes.
    unsafe {
        match error {
            StateError::Full => Raised::new(
                ffi::PyExc_RuntimeError,
                "the shared state is full: delete keys, or raise max_state_entries",
            ),
            StateError::NotAnInteger => {
                Raised::new(ffi::PyExc_TypeError, &format!("the shared value of {key:?} is not an integer"))
            }
        }
    }
}

/// Keys are text, or bytes.
fn with_key<R>(key: &Obj, work: impl FnOnce(&[u8]) -> PyResult<R>) -> PyResult<R> {
    // SAFETY: attached.
    unsafe {
        if ffi::PyUnicode_Check(key.as_ptr()) != 0 {
            work(key.as_utf8()?.as_bytes())
        } else if ffi::PyBytes_Check(key.as_ptr()) != 0 {
            work(key.as_bytes())
        } else {
            Err(Raised::new(ffi::PyExc_TypeError, "keys of the shared state are str or bytes"))
        }
    }
}

/// `state_get(key, default=None)`.
pub fn get(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_get", args, 1..=2)?;
    match with_key(&args[0], |key| Ok(STATE.get(key)))? {
        None => Ok(args.get(1).cloned().unwrap_or_else(Obj::none)),
        Some(value) => to_object(call, value),
    }
}

fn to_object(call: &Call<'_>, value: Value<Stored>) -> PyResult<Obj> {
    match value {
        Value::Int(int) => Obj::int(int),
        Value::Big(big) => {
            let (sign, bytes) = big.to_bytes_le();
            call.converter().big(sign == Sign::Minus, &bytes)
        }
        Value::Other(stored) => {
            // From a copy: reading a binary that is not aligned to bytes allocates in its environment, and this one is
            // shared. Large binaries are not copied.
            let env = OwnedTermEnv::new();
            call.object(env.copy(stored.term()))
        }
    }
}

/// `state_set(key, value)`.
pub fn set(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_set", args, 2..=2)?;
    with_key(&args[0], |key| {
        let stored = match exact_int(call, &args[1])? {
            Some(number) => STATE.put(key, integer(number)),
            None => {
                let env = OwnedTermEnv::new();
                let term = call.term(&args[1], env.env())?.as_c_arg();
                put(key, env, term).map(drop)
            }
        };
        stored.map_err(|reason| error(reason, key))
    })?;
    Ok(Obj::none())
}

/// The number, if `object` is an int and nothing else (True is none).
fn exact_int(call: &Call<'_>, object: &Obj) -> PyResult<Option<BigInt>> {
    if object.type_ptr() != &raw mut ffi::PyLong_Type {
        return Ok(None);
    }
    let mut overflow = 0;
    // SAFETY: attached; an int.
    let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &mut overflow) };
    if overflow == 0 {
        return Ok(Some(BigInt::from(small)));
    }
    let bytes = call.converter().magnitude(object, overflow < 0)?;
    let sign = if overflow < 0 { Sign::Minus } else { Sign::Plus };
    Ok(Some(BigInt::from_bytes_le(sign, bytes.as_bytes())))
}

/// `state_delete(key)`: whether there was an entry.
pub fn delete(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_delete", args, 1..=1)?;
    Ok(Obj::bool(with_key(&args[0], |key| Ok(STATE.delete(key)))?))
}

/// `state_keys()`: a list of str (bytes for keys that are no text).
pub fn keys(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_keys", args, 0..=0)?;
    let keys = STATE.keys();
    let keys = keys.iter().map(|key| match std::str::from_utf8(key) {
        Ok(text) => Obj::str(text),
        Err(_) => Obj::bytes(key),
    });
    let tuple = Obj::tuple(keys.collect::<PyResult<Vec<_>>>()?)?;
    // SAFETY: attached.
    unsafe { Obj::checked(ffi::PySequence_List(tuple.as_ptr())) }
}

/// `state_clear()`.
pub fn clear(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_clear", args, 0..=0)?;
    STATE.clear();
    Ok(Obj::none())
}

/// `state_len()`: the number of entries.
pub fn len(_call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_len", args, 0..=0)?;
    Obj::int(STATE.len() as i64)
}

/// `state_incr(key, by=1)`: the new value.
pub fn incr(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_incr", args, 1..=2)?;
    add(call, args, false)
}

/// `state_decr(key, by=1)`: the new value.
pub fn decr(call: &Call<'_>, args: &[Obj]) -> PyResult<Obj> {
    expect_args("state_decr", args, 1..=2)?;
    add(call, args, true)
}

fn add(call: &Call<'_>, args: &[Obj], negative: bool) -> PyResult<Obj> {
    let by = match args.get(1) {
        None => BigInt::from(1),
        // SAFETY: attached; a static class.
        Some(by) => exact_int(call, by)?.ok_or_else(|| unsafe {
            Raised::new(ffi::PyExc_TypeError, "the second argument, the amount, must be an int")
        })?,
    };
    let by = if negative { -by } else { by };
    let value = with_key(&args[0], |key| STATE.incr(key, &by).map_err(|reason| error(reason, key)))?;
    to_object(call, value)
}
