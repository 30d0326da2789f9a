//! Opens libpython for the whole process.
//!
//! The main NIF and Python's C extensions find CPython by its symbols alone, so exactly one
//! libpython must be open, with its symbols global, before any of them is loaded. It is never
//! closed: CPython cannot be unloaded.

use std::ffi::{CStr, CString};
use std::sync::Mutex;

use rustler::{Encoder, Env, Term};

mod atoms {
    rustler::atoms! { ok, error }
}

/// The path of the libpython that is open.
static OPENED: Mutex<Option<String>> = Mutex::new(None);

/// `ok`, or `{error, Text}`. On a dirty scheduler, because the file may lie on a slow disk.
#[rustler::nif(schedule = "DirtyIo")]
fn open<'a>(env: Env<'a>, path: String) -> Term<'a> {
    match open_once(path) {
        Ok(()) => atoms::ok().encode(env),
        Err(text) => (atoms::error(), text).encode(env),
    }
}

/// Opens the libpython at `path`. Doing so again is fine; another path is an error, for two
/// CPythons in one process would take each other's symbols.
fn open_once(path: String) -> Result<(), String> {
    // A panic while the lock was held left the value whole: it is one assignment.
    let mut opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    match opened.as_deref() {
        Some(open) if open == path => Ok(()),
        Some(open) => {
            Err(format!("{open} is open in this VM already, and a VM embeds one Python; restart it to embed {path}"))
        }
        None => {
            open_globally(&path)?;
            *opened = Some(path);
            Ok(())
        }
    }
}

fn open_globally(path: &str) -> Result<(), String> {
    let name = CString::new(path).map_err(|_| format!("{path:?} contains a zero byte"))?;
    // SAFETY: `name` is a valid C string for the whole call. The library's initialisers run here;
    // libpython's need nothing from us.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() { Err(last_error(path)) } else { Ok(()) }
}

fn last_error(path: &str) -> String {
    // SAFETY: dlerror's text belongs to this thread until its next dl* call; it is copied here.
    let text = unsafe {
        let text = libc::dlerror();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    text.unwrap_or_else(|| format!("{path} cannot be opened"))
}

rustler::init!("Elixir.Py.Native.Loader");
