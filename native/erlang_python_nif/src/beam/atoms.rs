//! The atoms that this library uses, and atoms made from Python text, whose number is bounded.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustler::sys::{ErlNifCharEncoding::ERL_NIF_UTF8, enif_get_atom, enif_get_atom_length};
use rustler::sys::{enif_make_existing_atom_len, enif_make_new_atom_len};
use rustler::{Env, Term};

rustler::atoms! {
    ok, error, nil, none, undefined,
    nan, infinity, neg_infinity,
    // requests
    call, eval, exec, exec_last, new_env, context,
    // replies and failures
    exception, conversion, encode, interrupted, timeout_queued, timeout, stopped, unsupported, panicked,
    wrong_interpreter, bad_request,
    callback, py_callback, dispatcher = "Elixir.Py.Callback.Dispatcher",
    full, not_an_integer, granted, poll, ask, refused,
    overloaded, rejected, permits, queue, waiting, lost, done, cancelled,
    // life of a context
    py_context, started, ended, abandoned, failed, recovered, py_events, py_task,
    // keys
    worker, owngil, queued, running, stuck,
    version, own_gil, bytes,
    // structs
    __struct__, r#ref = "ref", r#type = "type", text, value, data, name, map,
    calendar, year, month, day, week, hour, minute, second, microsecond,
    time_zone, zone_abbr, utc_offset, std_offset,
    first, last, step, sign, coef, exp,
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

/// The maximum number of atoms made from Python text: the BEAM never frees an atom.
const MAX_NEW_ATOMS: usize = 10_000;
static NEW_ATOMS: AtomicUsize = AtomicUsize::new(0);

/// The atom with this text. Makes it if it does not exist, unless `MAX_NEW_ATOMS` were made.
pub fn from_text<'a>(env: Env<'a>, text: &str) -> Option<Term<'a>> {
    if let Some(atom) = existing(env, text) {
        return Some(atom);
    }
    let mut atom = Default::default();
    // SAFETY: pointer and length describe `text`, and `atom` is read only on success.
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

/// The atom with this text, if it exists.
pub fn existing<'a>(env: Env<'a>, text: &str) -> Option<Term<'a>> {
    let mut atom = Default::default();
    // SAFETY: pointer and length describe `text`, and `atom` is read only on success.
    unsafe {
        let (name, len) = (text.as_ptr().cast(), text.len());
        (enif_make_existing_atom_len(env.as_c_arg(), name, len, &mut atom, ERL_NIF_UTF8) != 0)
            .then(|| Term::new(env, atom))
    }
}

/// The float of an atom that stands for a number that the BEAM does not have.
#[inline]
pub fn number(term: Term<'_>) -> Option<f64> {
    match term {
        atom if nan() == atom => Some(f64::NAN),
        atom if infinity() == atom => Some(f64::INFINITY),
        atom if neg_infinity() == atom => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The text of an atom. Empty for any other term.
pub fn text_of(term: Term<'_>) -> String {
    let (env, raw) = (term.get_env().as_c_arg(), term.as_c_arg());
    let mut len = 0;
    // SAFETY: a live term; the buffer has room for the text and its NUL.
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
