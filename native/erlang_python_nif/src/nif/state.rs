//! The shared state, as Elixir sees it.

use erlang_python_core::state::{StateError, Value, Weigh, integer};
use num_bigint::{BigInt, Sign};
use rustler::schedule::consume_timeslice;
use rustler::{Binary, Encoder, Env, NewBinary, Term};

use crate::beam::atoms;
use crate::beam::env::OwnedTermEnv;
use crate::beam::integer::{big_parts, big_term};
use crate::beam::store::{self, STATE, Stored};

/// `{ok, value} | error`.
#[rustler::nif]
fn state_fetch<'a>(env: Env<'a>, key: Binary<'a>) -> Term<'a> {
    match STATE.get(&key) {
        Some(value) => {
            report_copy(env, value.bytes());
            (atoms::ok(), to_term(env, value)).encode(env)
        }
        None => atoms::error().to_term(env),
    }
}

/// Tells the scheduler how much of its time slice a copy of so many bytes has taken: about 1 ns a byte.
fn report_copy(env: Env<'_>, bytes: usize) {
    const PERCENT: usize = 10_000;
    if bytes >= PERCENT {
        consume_timeslice(env, (bytes / PERCENT).min(100) as i32);
    }
}

/// `ok | full`.
#[rustler::nif]
fn state_put(env: Env<'_>, key: Binary<'_>, value: Term<'_>) -> rustler::Atom {
    let stored = match number(value) {
        Some(number) => STATE.put(&key, integer(number)),
        None => {
            let own = OwnedTermEnv::new();
            let term = own.copy(value).as_c_arg();
            store::put(&key, own, term).map(|bytes| report_copy(env, bytes.unwrap_or(usize::MAX)))
        }
    };
    match stored {
        Ok(()) => atoms::ok(),
        Err(_) => atoms::full(),
    }
}

/// The new value, or `full | not_an_integer | error` (`by` is no integer).
#[rustler::nif]
fn state_incr<'a>(env: Env<'a>, key: Binary<'a>, by: Term<'a>) -> Term<'a> {
    let Some(by) = number(by) else { return atoms::error().to_term(env) };
    match STATE.incr(&key, &by) {
        Ok(value) => to_term(env, value),
        Err(StateError::Full) => atoms::full().to_term(env),
        Err(StateError::NotAnInteger) => atoms::not_an_integer().to_term(env),
    }
}

#[rustler::nif]
fn state_delete(key: Binary<'_>) -> bool {
    STATE.delete(&key)
}

#[rustler::nif(schedule = "DirtyCpu")]
fn state_keys(env: Env<'_>) -> Vec<Term<'_>> {
    STATE.keys().iter().map(|key| key_term(env, key)).collect()
}

/// `[{key, bytes}]`.
#[rustler::nif(schedule = "DirtyCpu")]
fn state_sizes(env: Env<'_>) -> Vec<(Term<'_>, usize)> {
    STATE.sizes().iter().map(|(key, bytes)| (key_term(env, key), *bytes)).collect()
}

#[rustler::nif(schedule = "DirtyCpu")]
fn state_clear() -> rustler::Atom {
    STATE.clear();
    atoms::ok()
}

/// `{entries, bound}`; the bound is `nil` for none.
#[rustler::nif]
fn state_info() -> (usize, Option<usize>) {
    (STATE.len(), Some(STATE.max()).filter(|max| *max != usize::MAX))
}

#[rustler::nif]
fn state_set_max(max: Option<usize>) -> rustler::Atom {
    STATE.set_max(max.unwrap_or(usize::MAX));
    atoms::ok()
}

fn key_term<'a>(env: Env<'a>, key: &[u8]) -> Term<'a> {
    let mut binary = NewBinary::new(env, key.len());
    binary.as_mut_slice().copy_from_slice(key);
    binary.into()
}

fn to_term<'a>(env: Env<'a>, value: Value<Stored>) -> Term<'a> {
    match value {
        Value::Int(int) => int.encode(env),
        Value::Big(big) => {
            let (sign, bytes) = big.to_bytes_le();
            big_term(env, sign == Sign::Minus, &bytes).unwrap_or_else(|| atoms::error().to_term(env))
        }
        Value::Other(stored) => stored.term().in_env(env),
    }
}

/// The number of an integer term.
fn number(term: Term<'_>) -> Option<BigInt> {
    if let Ok(small) = term.decode::<i64>() {
        return Some(BigInt::from(small));
    }
    if !term.is_integer() {
        return None;
    }
    let external = term.to_binary();
    let (negative, magnitude) = big_parts(external.as_slice())?;
    Some(BigInt::from_bytes_le(if negative { Sign::Minus } else { Sign::Plus }, magnitude))
}
