//! Opens libpython for the whole process.
//!
//! The main NIF and Python's C extensions are not linked to libpython, so exactly one must be open,
//! with global symbols, before any of them is loaded. It is never closed: CPython cannot be unloaded.

use std::ffi::{CStr, CString};
use std::sync::Mutex;

use rustler::{Encoder, Env, Term};

mod atoms {
    rustler::atoms! { ok, error }
}

/// The path of the open libpython.
static OPENED: Mutex<Option<String>> = Mutex::new(None);

/// Returns `ok` or `{error, Text}`. Runs on a dirty scheduler, because the disk may be slow.
#[rustler::nif(schedule = "DirtyIo")]
fn open<'a>(env: Env<'a>, path: String) -> Term<'a> {
    match open_once(path) {
        Ok(()) => atoms::ok().encode(env),
        Err(text) => (atoms::error(), text).encode(env),
    }
}

/// Opens the libpython at `path`, once. Another path is an error: two CPythons in one process would use
/// each other's symbols.
fn open_once(path: String) -> Result<(), String> {
    // A panic cannot leave the value inconsistent: it changes by one assignment.
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
    // SAFETY: `name` is NUL-terminated. The initializers of libpython run here and need nothing from
    // this process.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() { Err(last_error(path)) } else { Ok(()) }
}

fn last_error(path: &str) -> String {
    // SAFETY: the text of `dlerror` is valid until the next `dl*` call of this thread, and is copied
    // before.
    let text = unsafe {
        let text = libc::dlerror();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    text.unwrap_or_else(|| format!("{path} cannot be opened"))
}

rustler::init!("Elixir.Py.Native.Loader");
