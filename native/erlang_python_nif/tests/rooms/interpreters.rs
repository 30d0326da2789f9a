//! The room `python`: interpreters, and what is seen of their threads from outside.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{scope, yield_now};

use crate::python::interpreter::{Attached, Ended, Mode};
use crate::python::object::{Obj, import};
use crate::python::place::{Place, place};
use crate::python::stack::{Frame, frames};
use crate::python::{fork, host, symbols::symbols};
use crate::{attached, eval, exec, function, ok, python, raises};

/// Runs a test in an interpreter of its own. On Python 3.11, which has none, checks the error.
fn in_own_interpreter(test: impl FnOnce(&Attached)) {
    python();
    match (Attached::new(Mode::OwnGil), symbols().new_interpreter) {
        (Ok(attached), _) => {
            test(&attached);
            assert_eq!(attached.end(), Ended::Cleanly);
        }
        (Err(reason), None) => assert!(reason.contains("3.12"), "{reason}"),
        (Err(reason), Some(_)) => panic!("{reason}"),
    }
}

#[test]
fn python_starts_once_and_tells_its_version() {
    let host = python();
    assert!(host.version.starts_with("3."), "{}", host.version);
    let other = host::HostConfig { executable: "/another/python".into(), ..host.config.clone() };
    let reason = host::start(other).err().expect("one process holds one CPython");
    assert!(reason.contains("restart it to embed /another/python"), "{reason}");
    assert_eq!(host::start(host.config.clone()).map(|again| again.version), Ok(host.version.clone()));
    attached(|_| {
        assert_eq!(ok(function("sys.executable").as_utf8()), host.config.executable);
        assert!(host.is_current());
    });
}

#[test]
fn workers_share_the_main_interpreter() {
    attached(|this| {
        let name = ok(Obj::str("a_name_of_this_test"));
        ok(function("sys.modules").dict_set(&name, &Obj::bool(true)));
        let value = this.detach(|| {
            scope(|scope| {
                let other = || attached(|_| eval("__import__('sys').modules['a_name_of_this_test']").as_ptr() as usize);
                scope.spawn(other).join().expect("a value")
            })
        });
        assert_eq!(value, Obj::bool(true).as_ptr() as usize);
        ok(function("sys.modules").dict_del(&name));
    });
}

#[test]
fn an_interpreter_of_its_own_has_its_own_modules_and_ends() {
    for _ in 0..3 {
        in_own_interpreter(|attached| {
            assert!(!python().is_current());
            let main = python().new_thread_state();
            assert!(!main.is_null() && main != attached.thread());
            // SAFETY: a new thread state, which was never current.
            unsafe {
                pyo3::ffi::PyThreadState_Clear(main);
                pyo3::ffi::PyThreadState_Delete(main);
            }
            exec("import sys; sys.only_here = 1");
            assert_eq!(ok(function("sys.only_here").as_i64()), 1);
        });
    }
    attached(|_| {
        raises(eval("__import__('sys')").attr("only_here"));
    });
}

#[test]
fn interpreters_with_their_own_gil_run_at_once() {
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let meet = |_: &Attached| {
        // Each waits for the other with its GIL held.
        INSIDE.fetch_add(1, SeqCst);
        while INSIDE.load(SeqCst) < 2 {
            yield_now();
        }
    };
    python();
    if symbols().new_interpreter.is_some() {
        scope(|scope| {
            scope.spawn(|| in_own_interpreter(meet));
            scope.spawn(|| in_own_interpreter(meet));
        });
        assert_eq!(INSIDE.load(SeqCst), 2);
    }
}

#[test]
fn an_interpreter_with_a_running_thread_is_abandoned() {
    python();
    if symbols().new_interpreter.is_none() {
        return;
    }
    let attached = Attached::new(Mode::OwnGil).expect("an interpreter");
    let lock = exec(
        "import threading; lock = threading.Lock(); lock.acquire(); threading.Thread(target=lock.acquire).start()",
    );
    drop(lock);
    assert_eq!(attached.end(), Ended::Abandoned);
    // Others still start and end.
    in_own_interpreter(|_| assert_eq!(ok(eval("6 * 7").as_i64()), 42));
}

#[test]
fn a_panic_releases_the_gil() {
    python();
    let panicked = std::thread::spawn(|| {
        let _attached = Attached::new(Mode::Worker).expect("a thread state");
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.join().is_err());
    let visited = std::thread::spawn(|| {
        python().visit(|| std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(()))).is_err())
    });
    assert!(visited.join().expect("the panic was caught"));
    attached(|_| assert_eq!(ok(eval("1 + 1").as_i64()), 2));
}

#[test]
fn forks_are_refused_in_own_gil_interpreters() {
    assert!(!fork::is_child());
    in_own_interpreter(|_| {
        let raised = raises(fork::begin());
        assert!(raised.summary().starts_with("RuntimeError: os.fork() does not work in own-GIL contexts"));
    });
}

/// Imports a module whose body waits on one thread, and then on another.
#[test]
fn a_module_that_another_thread_imports_is_waited_for() {
    const FINDER: &str = "
import sys, threading, importlib.abc, importlib.util

entered, go_on = threading.Event(), threading.Event()

class Slow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == 'slow_module' else None

    def exec_module(self, module):
        entered.set()
        go_on.wait()
        module.value = 42

sys.meta_path.append(Slow())
sys.slow_module_goes_on = go_on.set
";
    static SECOND: AtomicUsize = AtomicUsize::new(0);
    let value = || ok(ok(import(&ok(Obj::str("slow_module"))).and_then(|module| module.attr("value"))).as_i64());
    scope(|scope| {
        let first = scope.spawn(move || {
            attached(|_| {
                exec(FINDER);
                value()
            })
        });
        // The module is in `sys.modules`, and its body has not ended.
        while !attached(|_| ok(ok(eval("'slow_module' in __import__('sys').modules").attr("real")).as_i64()) == 1) {
            yield_now();
        }
        let second = scope.spawn(move || {
            attached(|this| {
                SECOND.store(this.thread() as usize, SeqCst);
                value()
            })
        });
        let waits = || {
            let stack = frames(SECOND.load(SeqCst)).expect("a known version of Python");
            stack.iter().any(|frame| frame.file.starts_with("<frozen importlib"))
        };
        while !second.is_finished() && (SECOND.load(SeqCst) == 0 || !waits()) {
            yield_now();
        }
        attached(|_| ok(function("sys.slow_module_goes_on").call(&[])));
        assert_eq!([first.join(), second.join()].map(|value| value.expect("an import")), [42, 42]);
    });
}

const WAITING: &str = "
import threading
event = threading.Event()

def outer():
    return inner()

def inner():
    event.wait()
    return 42
";

/// Runs `outer()` on a thread, calls `look` with the address of its thread state until that returns true, and ends the wait.
fn while_waiting(look: impl Fn(usize) -> bool) {
    static THREAD: AtomicUsize = AtomicUsize::new(0);
    static EVENT: AtomicUsize = AtomicUsize::new(0);
    THREAD.store(0, SeqCst);
    scope(|scope| {
        let waiter = scope.spawn(|| {
            attached(|this| {
                let namespace = exec(WAITING);
                let get = |name| ok(namespace.dict_get(&ok(Obj::str(name)))).expect("it was defined");
                EVENT.store(get("event").as_ptr() as usize, SeqCst);
                THREAD.store(this.thread() as usize, SeqCst);
                ok(ok(get("outer").call(&[])).as_i64())
            })
        });
        while THREAD.load(SeqCst) == 0 || !look(THREAD.load(SeqCst)) {
            yield_now();
        }
        python().visit(|| {
            // SAFETY: attached; the waiting function holds the event.
            let event = unsafe { Obj::borrowed(EVENT.load(SeqCst) as *mut pyo3::ffi::PyObject) };
            ok(ok(event.attr("set")).call(&[]))
        });
        assert_eq!(waiter.join().expect("it ends"), 42);
    });
}

#[test]
fn the_stack_and_the_place_of_a_thread_are_seen_from_outside() {
    let shown = |frame: &Frame| format!("{}:{}", frame.function, frame.line.unwrap_or(0));
    while_waiting(|thread| {
        let frames = frames(thread).expect("a known version of Python");
        let last = frames.last().map(|frame| frame.function.clone());
        let waits = last.as_deref() == Some("Condition.wait");
        if waits {
            let own: Vec<_> = frames.iter().filter(|frame| frame.file == "<string>").map(shown).collect();
            assert_eq!(own, ["outer:6", "inner:9"]);
        }
        waits
    });
    while_waiting(|thread| {
        // SAFETY: attached to the interpreter of the waiting thread, which lives.
        let place = python().visit(|| unsafe { place(thread as *mut pyo3::ffi::PyThreadState) });
        place == Place::Waiting
    });
}

#[test]
fn an_address_that_is_no_thread_has_no_frames() {
    python();
    assert_eq!(frames(0).map(|frames| frames.len()), Some(0));
    let zeros = [0_usize; 64];
    assert_eq!(frames(zeros.as_ptr() as usize).map(|frames| frames.len()), Some(0));
}
