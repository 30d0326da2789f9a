//! Atoms this library knows by name, and atoms made from Python text, which are bounded.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustler::sys::{ErlNifCharEncoding::ERL_NIF_UTF8, enif_get_atom, enif_get_atom_length};
use rustler::sys::{enif_make_existing_atom_len, enif_make_new_atom_len};
use rustler::{Env, Term};

rustler::atoms! {
    ok, error, nil, none, undefined,
    nan, infinity, neg_infinity,
    // requests
    call, eval, exec, exec_last, new_env, context, process,
    // replies and failures
    exception, conversion, encode, interrupted, timeout_queued, timeout, stopped, unsupported, panicked, wrong_interpreter, bad_request, no_memory,
    callback, py_callback, dispatcher = "Elixir.Py.Callback.Dispatcher",
    full, not_an_integer, not_found, granted, poll, ask, wait, refused,
    overloaded, rejected, permits, queue, waiting, lost, done, cancelled, not_running,
    // life of a context
    py_context, started, ended, abandoned, failed, recovered, py_events, py_task,
    // keys
    id, mode, interpreter, worker, owngil, queued, running, stuck, thread_ident, max_queue,
    errors, timeouts, interrupts, orphans,
    version, own_gil, bytes,
    // structs
    __struct__, r#ref = "ref", r#type = "type", text, value, data, name, map,
    calendar, year, month, day, week, hour, minute, second, microsecond,
    time_zone, zone_abbr, utc_offset, std_offset,
    first, last, step, sign, coef, exp, inf, nan_upper = "NaN",
    calendar_iso = "Elixir.Calendar.ISO",
    date_struct = "Elixir.Date",
    time_struct = "Elixir.Time",
    naive_struct = "Elixir.NaiveDateTime",
    datetime_struct = "Elixir.DateTime",
    duration_struct = "Elixir.Duration",
    decimal_struct = "Elixir.Decimal",
    range_struct = "Elixir.Range",
    map_set_struct = "Elixir.MapSet",
    object_struct = "Elixir.Py.Object",
    atom_struct = "Elixir.Py.Atom",
    bytes_struct = "Elixir.Py.Bytes",
    float_struct = "Elixir.Py.Float",
}

/// Atoms made because Python named them. The BEAM never frees an atom, so their number is bounded.
const MAX_NEW_ATOMS: usize = 10_000;
static NEW_ATOMS: AtomicUsize = AtomicUsize::new(0);

/// The atom of this text if it exists or may still be made.
pub fn from_text<'a>(env: Env<'a>, text: &str) -> Option<Term<'a>> {
    if let Some(atom) = existing(env, text) {
        return Some(atom);
    }
    let mut atom = Default::default();
    // SAFETY: pointer and length describe `text`; `atom` is read only on success.
    unsafe {
        let (name, len) = (text.as_ptr().cast(), text.len());
        if NEW_ATOMS.load(Relaxed) >= MAX_NEW_ATOMS
            || enif_make_new_atom_len(env.as_c_arg(), name, len, &mut atom, ERL_NIF_UTF8) == 0
        {
            return None;
        }
        NEW_ATOMS.fetch_add(1, Relaxed);
        Some(Term::new(env, atom))
    }
}

/// The atom of this text, if there is one.
pub fn existing<'a>(env: Env<'a>, text: &str) -> Option<Term<'a>> {
    let mut atom = Default::default();
    // SAFETY: pointer and length describe `text`; `atom` is read only on success.
    unsafe {
        let (name, len) = (text.as_ptr().cast(), text.len());
        (enif_make_existing_atom_len(env.as_c_arg(), name, len, &mut atom, ERL_NIF_UTF8) != 0)
            .then(|| Term::new(env, atom))
    }
}

/// The float that the BEAM has no number for, only an atom.
#[inline]
pub fn number(term: Term<'_>) -> Option<f64> {
    match term {
        atom if nan() == atom => Some(f64::NAN),
        atom if infinity() == atom => Some(f64::INFINITY),
        atom if neg_infinity() == atom => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The text of an atom. An empty one for what is no atom.
pub fn text_of(term: Term<'_>) -> String {
    let (env, raw) = (term.get_env().as_c_arg(), term.as_c_arg());
    let mut len = 0;
    // SAFETY: the buffer has room for the text and its NUL.
    unsafe {
        if enif_get_atom_length(env, raw, &mut len, ERL_NIF_UTF8) == 0 {
            return String::new();
        }
        let mut buffer = vec![0u8; len as usize + 1];
        enif_get_atom(env, raw, buffer.as_mut_ptr().cast(), len + 1, ERL_NIF_UTF8);
        buffer.truncate(len as usize);
        String::from_utf8_lossy(&buffer).into_owned()
    }
}
