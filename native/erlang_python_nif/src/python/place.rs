//! Where the code of a context is: whether it can bear an interrupt there.
//!
//! An exception that is raised between any two instructions can break what every caller relies on: a module that is half
//! imported (a C extension then cannot be loaded again), a lock that was acquired but whose block was not entered. So no
//! interrupt is delivered in such places; the one who delivers it comes again a moment later.
//!
//! The visitor holds the interpreter's GIL while it looks and while it sets the exception, and runs no Python code in
//! between. The thread raises the exception near where it was seen: either it waits for the GIL in the middle of its
//! innermost frame, or C code that released the GIL was called from there.

use std::sync::OnceLock;

use erlang_python_core::bytecode::Instructions;
use pyo3::ffi;

use super::object::{Obj, PyResult, import};
use super::symbols::symbols;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Code whose authors can expect an interrupt.
    Open,
    /// Innermost is a wait of `threading`, which undoes what it has done when it is interrupted.
    Waiting,
    /// Code that takes, or gives back, what others need.
    Critical,
    /// A module is being imported.
    Importing,
}

/// Modules whose functions hold locks for a moment, or change what all threads share.
const CRITICAL: [&str; 11] = [
    "threading",
    "queue",
    "logging",
    "logging.handlers",
    "weakref",
    "_weakrefset",
    "contextlib",
    "concurrent.futures.thread",
    "concurrent.futures._base",
    "multiprocessing.synchronize",
    "erlang._fork",
];

/// Functions that enter and leave context managers, in whatever module.
const BOUNDARIES: [&str; 4] = ["__enter__", "__exit__", "__aenter__", "__aexit__"];

/// Functions of `threading` that do nothing but wait.
const WAITS: [&str; 3] = ["wait", "join", "_wait_for_tstate_lock"];

/// `contextlib.ContextDecorator.inner` calls the decorated function, which is anybody's.
const DECORATOR: &str = "inner";

/// Where `with` calls `__enter__` by an instruction of its own: 3.14 and later.
static INSTRUCTIONS: OnceLock<Option<Instructions>> = OnceLock::new();

/// Learns the numbers of instructions. Once, when Python starts.
pub fn learn() -> PyResult<()> {
    let module = import(&Obj::str("opcode")?)?;
    let pairs = module.attr("opmap")?.attr("items")?.call(&[])?;
    let (pairs, jumps) = (tuple(&pairs)?, tuple(&module.attr("hasjrel")?)?);
    let jumps = jumps.iter().map(Obj::as_i64).collect::<PyResult<Vec<_>>>()?;
    let mut names = Vec::new();
    for pair in pairs {
        let pair = pair.tuple_items();
        let number = pair[1].as_i64()?;
        if let Ok(byte) = u8::try_from(number) {
            names.push((pair[0].as_utf8()?.to_owned(), byte, jumps.contains(&number)));
        }
    }
    let names = names.iter().map(|(name, number, jumps)| (name.as_str(), *number, *jumps));
    INSTRUCTIONS.get_or_init(|| Instructions::new(names));
    Ok(())
}

fn tuple(iterable: &Obj) -> PyResult<Vec<Obj>> {
    // SAFETY: attached.
    Ok(unsafe { Obj::checked(ffi::PySequence_Tuple(iterable.as_ptr())) }?.tuple_items())
}

/// The place of the code that `thread` runs.
///
/// # Safety
/// Attached to the interpreter of `thread`, a live thread state that is not the calling thread's.
pub unsafe fn place(thread: *mut ffi::PyThreadState) -> Place {
    // Before 3.12 the collector, which runs Python code, may begin wherever an object is made.
    // SAFETY: attached; part of the stable ABI since 3.10.
    let enabled = unsafe { ffi::PyGC_Disable() };
    // SAFETY: promised by the caller.
    let place = unsafe { innermost(thread) }.and_then(|frame| look(&frame));
    if enabled != 0 {
        // SAFETY: as above.
        unsafe { ffi::PyGC_Enable() };
    }
    // Out of memory, say: later is better than never.
    place.unwrap_or(Place::Critical)
}

/// # Safety
/// As for `place`.
unsafe fn innermost(thread: *mut ffi::PyThreadState) -> PyResult<Option<Obj>> {
    let Some(get_frame) = symbols().get_frame else { return Ok(None) };
    // SAFETY: promised by the caller; the reference is new, or null where no Python code runs.
    Ok(unsafe { Obj::from_owned(get_frame(thread)) })
}

/// Wakes the event loop that `thread` waits in, if it does: a loop of asyncio listens to a pipe of its own.
///
/// # Safety
/// As for `place`.
pub unsafe fn wake(thread: *mut ffi::PyThreadState) {
    // SAFETY: promised by the caller.
    if let Ok(Some(frame)) = unsafe { innermost(thread) } {
        // A loop that is being closed, or one of another kind.
        let _ = wake_loop(frame);
    }
}

fn wake_loop(mut frame: Obj) -> PyResult<()> {
    while !frame.is_none() {
        let file = frame.attr("f_code")?.attr("co_filename")?;
        let name = frame.attr("f_code")?.attr("co_name")?;
        if name.as_utf8()? == "run_forever" && file.as_utf8()?.ends_with("base_events.py") {
            let event_loop = frame.attr("f_locals")?.attr("get")?.call(&[&Obj::str("self")?])?;
            return event_loop.attr("_write_to_self")?.call(&[]).map(drop);
        }
        frame = frame.attr("f_back")?;
    }
    Ok(())
}

fn look(innermost: &Option<Obj>) -> PyResult<Place> {
    let Some(innermost) = innermost else { return Ok(Place::Open) };
    let mut place = if is_entering(innermost)? { Place::Critical } else { Place::Open };
    let mut frame = innermost.clone();
    let mut depth = 0;
    loop {
        let code = frame.attr("f_code")?;
        let file = code.attr("co_filename")?;
        // Also where the loader of a package calls it: the module's own code runs above it.
        if file.as_utf8().is_ok_and(|file| file.starts_with("<frozen importlib._bootstrap")) {
            return Ok(Place::Importing);
        }
        let name = code.attr("co_name")?;
        let name = name.as_utf8().unwrap_or("");
        let module = frame.attr("f_globals")?.dict_get(&Obj::str("__name__")?)?;
        let module = module.as_ref().and_then(|module| module.as_utf8().ok()).unwrap_or("");
        if depth == 0 && module == "threading" && WAITS.contains(&name) {
            place = Place::Waiting;
        } else if place == Place::Open
            && (BOUNDARIES.contains(&name) || (CRITICAL.contains(&module) && name != DECORATOR))
        {
            place = Place::Critical;
        }
        frame = frame.attr("f_back")?;
        depth += 1;
        if frame.is_none() {
            return Ok(place);
        }
    }
}

/// Whether an interrupt may be raised between `__enter__` and the block of a `with`: CPython 3.13 and later raise it at the next
/// check, not where the thread waits for the GIL.
fn is_entering(innermost: &Obj) -> PyResult<bool> {
    let Some(Some(instructions)) = INSTRUCTIONS.get() else { return Ok(false) };
    let mut frame = innermost.clone();
    while !frame.is_none() {
        let code = frame.attr("f_code")?.attr("co_code")?;
        let last = usize::try_from(frame.attr("f_lasti")?.as_i64()?).unwrap_or(0);
        match instructions.enters(code.as_bytes(), last) {
            Some(enters) => return Ok(enters),
            None => frame = frame.attr("f_back")?,
        }
    }
    Ok(false)
}
