//! Tests of the rooms above core. They run without the Erlang VM, with its stand-in from `bench/instructions/fake_vm.c`
//! and a real libpython: `script/rooms`.

#![allow(dead_code)]

#[path = "../../src/beam/mod.rs"]
mod beam;
#[path = "../../src/bridge/mod.rs"]
mod bridge;
#[path = "../../src/convert/mod.rs"]
mod convert;
#[path = "../../src/nif/mod.rs"]
mod nif;
#[path = "../../src/python/mod.rs"]
mod python;
#[path = "../../src/request/mod.rs"]
mod request;
#[path = "../../src/runtime/mod.rs"]
mod runtime;

mod conversions;
mod interpreters;
mod objects;
mod requests;
mod terms;

use std::env::var;
use std::sync::{Once, OnceLock};

use rustler::codegen_runtime::ResourceRegistration;
use rustler::{Env, Term};

use crate::beam::env::OwnedTermEnv;
use crate::python::host::{self, Host, HostConfig};
use crate::python::interpreter::{Attached, Ended, Mode};
use crate::python::object::{Obj, PyResult, Raised, import};

/// Loads the library, as the VM does, and runs a test with an environment.
fn in_vm<R>(test: impl FnOnce(Env<'_>) -> R) -> R {
    static LOAD: Once = Once::new();
    let owned = OwnedTermEnv::new();
    LOAD.call_once(|| {
        let raw = owned.as_ptr();
        // SAFETY: a live environment, used here only.
        let env = unsafe { Env::new_init_env(&raw, raw) };
        assert!(ResourceRegistration::register_all_collected(env).is_ok());
        beam::immediate::probe(env);
    });
    test(owned.env())
}

/// The terms are equal.
#[track_caller]
fn assert_same(term: Term<'_>, expected: Term<'_>) {
    // SAFETY: two live terms.
    let same = unsafe { rustler::sys::enif_is_identical(term.as_c_arg(), expected.as_c_arg()) };
    assert!(same != 0, "the terms differ");
}

/// Python, which starts once.
fn python() -> &'static Host {
    static PYTHON: OnceLock<()> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let config = HostConfig {
            executable: var("ERLANG_PYTHON_EXECUTABLE").expect("script/rooms sets it"),
            package: concat!(env!("CARGO_MANIFEST_DIR"), "/../../priv/python/erlang").into(),
            environment: std::env::vars().collect(),
            memory_tuning: false,
            prepare: || (),
            natives: bridge::install,
        };
        if let Err(reason) = host::start(config) {
            panic!("Python does not start: {reason}");
        }
    });
    host::host()
}

/// Runs a test on this thread, attached to the main interpreter.
fn attached<R>(test: impl FnOnce(&Attached) -> R) -> R {
    python();
    let attached = Attached::new(Mode::Worker).expect("a thread state");
    let result = test(&attached);
    assert_eq!(attached.end(), Ended::Cleanly);
    result
}

/// The result, or a panic with the exception.
#[track_caller]
fn ok<T>(result: PyResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(raised) => panic!("{}", raised.summary()),
    }
}

/// The exception, or a panic.
#[track_caller]
fn raises<T>(result: PyResult<T>) -> Raised {
    match result {
        Ok(_) => panic!("it raised nothing"),
        Err(raised) => raised,
    }
}

/// A function of `builtins`, or of another module: `"os.path.join"`.
fn function(name: &str) -> Obj {
    let (module, name) = name.rsplit_once('.').unwrap_or(("builtins", name));
    ok(import(&ok(Obj::str(module))).and_then(|module| module.attr(name)))
}

/// The value of an expression, in a namespace of its own.
fn eval(source: &str) -> Obj {
    ok(function("eval").call(&[&ok(Obj::str(source)), &ok(Obj::dict())]))
}

/// The namespace after these statements.
fn exec(source: &str) -> Obj {
    let namespace = ok(Obj::dict());
    ok(function("exec").call(&[&ok(Obj::str(source)), &namespace]));
    namespace
}

/// `repr(object)`.
fn repr(object: &Obj) -> String {
    ok(ok(function("repr").call(&[object])).as_utf8()).to_owned()
}

/// The references to an object, without that of this call.
fn references(object: &Obj) -> i64 {
    ok(ok(function("sys.getrefcount").call(&[object])).as_i64()) - 1
}
