//! Finds out whether the code that a context runs can take an interrupt at its current place.
//!
//! An exception between any two instructions can break what other code relies on: a module stays half imported (and a C
//! extension cannot be loaded again), or a lock stays acquired because its block was not entered. So no interrupt is
//! delivered in such places. The thread that delivers it tries again a moment later.
//!
//! That thread holds the interpreter's GIL while it inspects the code and sets the exception, and runs no Python code
//! in between. The interrupted thread raises the exception near the place that was inspected: it waits for the GIL
//! either in its innermost frame, or in C code that was called from there.

use std::sync::OnceLock;

use erlang_python_core::bytecode::Instructions;
use pyo3::ffi;

use super::object::{Obj, PyResult, import};
use super::symbols::symbols;

/// The place of code, as far as interrupts are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Code that may be interrupted.
    Open,
    /// A wait of `threading`, innermost, which cleans up when it is interrupted.
    Waiting,
    /// Code that acquires or releases something that other code needs.
    Critical,
    /// The import of a module.
    Importing,
}

/// Modules whose functions hold locks for a moment, or change data that all threads share.
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

/// Functions that enter and leave context managers, in any module.
const BOUNDARIES: [&str; 4] = ["__enter__", "__exit__", "__aenter__", "__aexit__"];

/// Functions of `threading` that do nothing but wait.
const WAITS: [&str; 3] = ["wait", "join", "_wait_for_tstate_lock"];

/// `contextlib.ContextDecorator.inner` calls the decorated function, which may be any code.
const DECORATOR: &str = "inner";

/// The instructions of this Python, if its `with` calls `__enter__` by an instruction of its own (3.14+).
static INSTRUCTIONS: OnceLock<Option<Instructions>> = OnceLock::new();

/// Reads the numbers of the instructions. Called once, when Python starts.
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
    // SAFETY: attached; a live object.
    Ok(unsafe { Obj::checked(ffi::PySequence_Tuple(iterable.as_ptr())) }?.tuple_items())
}

/// The place of the code that `thread` runs.
///
/// # Safety
/// The calling thread is attached to the interpreter of `thread`, which is a live thread state of another thread.
pub unsafe fn place(thread: *mut ffi::PyThreadState) -> Place {
    // Before 3.12 any allocation of an object may start the collector, which runs Python code.
    // SAFETY: attached; part of the stable ABI since 3.10.
    let enabled = unsafe { ffi::PyGC_Disable() };
    // SAFETY: promised by the caller.
    let place = unsafe { innermost(thread) }.and_then(|frame| inspect(&frame));
    if enabled != 0 {
        // SAFETY: as above.
        unsafe { ffi::PyGC_Enable() };
    }
    // The inspection failed, for example without memory. The interrupt is tried again later.
    place.unwrap_or(Place::Critical)
}

/// The innermost frame of `thread`, if it runs Python code.
///
/// # Safety
/// As for `place`.
unsafe fn innermost(thread: *mut ffi::PyThreadState) -> PyResult<Option<Obj>> {
    let Some(get_frame) = symbols().get_frame else { return Ok(None) };
    // SAFETY: promised by the caller. The reference is new, or null if the thread runs no Python code.
    Ok(unsafe { Obj::from_owned(get_frame(thread)) })
}

/// Wakes the event loop of asyncio that `thread` waits in, if there is one, through the pipe that the loop listens to.
///
/// # Safety
/// As for `place`.
pub unsafe fn wake(thread: *mut ffi::PyThreadState) {
    // SAFETY: promised by the caller.
    if let Ok(Some(frame)) = unsafe { innermost(thread) } {
        // Fails for a loop that is closing, and for one of another kind.
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

fn inspect(innermost: &Option<Obj>) -> PyResult<Place> {
    let Some(innermost) = innermost else { return Ok(Place::Open) };
    let mut place = if is_entering(innermost)? { Place::Critical } else { Place::Open };
    let mut frame = innermost.clone();
    let mut depth = 0;
    loop {
        let code = frame.attr("f_code")?;
        let file = code.attr("co_filename")?;
        // Any frame of the import system counts: the code of the module runs above it.
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

/// Returns `true` if an interrupt may be raised between `__enter__` and the block of a `with`. CPython 3.13+ raises it
/// at the next check, not where the thread waits for the GIL.
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
