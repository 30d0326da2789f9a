//! The room `python`: objects, their table, code and caches.

use std::sync::atomic::Ordering::SeqCst;

use crate::python::cache::Cache;
use crate::python::code::{Codes, CompileMode, run_code};
use crate::python::object::{Obj, Raised, import};
use crate::python::objects::{Home, Interp};
use crate::runtime::names::Names;
use crate::{attached, eval, exec, function, ok, raises, references, repr};
use pyo3::ffi;

#[test]
fn objects_have_the_values_they_were_made_of() {
    attached(|_| {
        for value in [0, 1, -1, 257, i64::MIN, i64::MAX] {
            assert_eq!(repr(&ok(Obj::int(value))), value.to_string());
            assert_eq!(ok(ok(Obj::int(value)).as_i64()), value);
        }
        assert_eq!(repr(&ok(Obj::uint(u64::MAX))), "18446744073709551615");
        assert_eq!(repr(&ok(Obj::float(-0.5))), "-0.5");
        assert_eq!(ok(ok(Obj::str("a\0é€😀")).as_utf8()), "a\0é€😀");
        assert_eq!(ok(Obj::bytes(&[0, 255])).as_bytes(), [0, 255]);
        assert_eq!(["None", "True", "False"], [Obj::none(), Obj::bool(true), Obj::bool(false)].map(|one| repr(&one)));
        assert!(Obj::none().is_none() && !Obj::bool(false).is_none());
        let pair = ok(Obj::tuple(vec![Obj::none(), ok(Obj::int(7))]));
        assert_eq!(repr(&pair), "(None, 7)");
        assert_eq!(pair.tuple_items().iter().map(repr).collect::<Vec<_>>(), ["None", "7"]);
    });
}

#[test]
fn a_name_keeps_the_module_that_it_remembers() {
    attached(|_| {
        let make = || eval("type(__import__('sys'))('remembered')");
        let (module, other) = (make(), make());
        let name = ok(Names::default().of_text("remembered"));
        assert!(!name.is_imported(&module));
        let before = references(&module);
        name.set_imported(&module);
        // Its address cannot become that of another module.
        assert_eq!(references(&module), before + 1);
        assert!(name.is_imported(&module) && !name.is_imported(&other));
        name.set_imported(&other);
        assert_eq!(references(&module), before);
        assert!(name.is_imported(&other) && !name.is_imported(&module));
    });
}

#[test]
fn an_object_holds_one_reference() {
    attached(|_| {
        let object = eval("object()");
        let before = references(&object);
        let copy = object.clone();
        assert_eq!(references(&object), before + 1);
        let tuple = ok(Obj::tuple(vec![copy]));
        assert_eq!(references(&object), before + 1);
        let items = tuple.tuple_items();
        assert_eq!(references(&object), before + 2);
        drop((tuple, items));
        assert_eq!(references(&object), before);
        let pointer = object.clone().into_ptr();
        assert_eq!(references(&object), before + 1);
        // SAFETY: `into_ptr` has handed the reference over.
        drop(unsafe { Obj::from_owned(pointer) });
        assert_eq!(references(&object), before);
    });
}

#[test]
fn ascii_text_of_all_lengths_is_copied_and_other_text_refused() {
    attached(|_| {
        for length in [0, 1, 127, 128, 129, 8191, 8192, 8193, 20_000] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let object = ok(Obj::ascii(text.as_bytes())).expect("ASCII");
            assert_eq!(ok(object.as_utf8()), text);
            assert_eq!(repr(&object), format!("'{text}'"));
            // In the first bytes, in the middle and at the end.
            for at in [0, length / 2, length.saturating_sub(1)] {
                if length > 0 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] = 0x80;
                    assert!(ok(Obj::ascii(&bytes)).is_none(), "byte {at} of {length}");
                }
            }
        }
    });
}

#[test]
fn dicts_are_read_and_changed() {
    attached(|_| {
        let (dict, key) = (ok(Obj::dict()), ok(Obj::str("k")));
        assert!(ok(dict.dict_get(&key)).is_none());
        ok(dict.dict_set(&key, &Obj::none()));
        assert!(ok(dict.dict_get(&key)).is_some_and(|value| value.is_none()));
        let copy = ok(dict.dict_copy());
        ok(dict.dict_del(&key));
        assert!(ok(dict.dict_get(&key)).is_none());
        ok(dict.dict_update(&copy));
        assert_eq!(repr(&dict), "{'k': None}");
        assert_eq!(raises(dict.dict_get(&eval("[]")).map(drop)).summary().split(':').next(), Some("TypeError"));
        assert_eq!(raises(dict.dict_del(&ok(Obj::int(1)))).summary(), "KeyError: 1");
    });
}

#[test]
fn calls_pass_arguments_by_position_and_by_name() {
    attached(|_| {
        let show = eval("lambda *args, **kwargs: (args, kwargs)");
        let (one, two) = (ok(Obj::int(1)), ok(Obj::int(2)));
        assert_eq!(repr(&ok(show.call(&[&one, &two]))), "((1, 2), {})");
        let names = ok(Obj::tuple(vec![ok(Obj::str("k"))]));
        assert_eq!(repr(&ok(show.vectorcall(&[one.as_ptr(), two.as_ptr()], 1, Some(&names)))), "((1,), {'k': 2})");
    });
}

#[test]
fn exceptions_are_values_with_their_traceback() {
    attached(|_| {
        let raised = raises(eval("lambda: 1 / 0").call(&[]));
        assert_eq!(raised.summary(), "ZeroDivisionError: division by zero");
        assert!(!ok(raised.0.attr("__traceback__")).is_none());
        // SAFETY: static classes.
        unsafe {
            assert!(raised.is(ffi::PyExc_ZeroDivisionError) && raised.is(ffi::PyExc_ArithmeticError));
            assert!(!raised.is(ffi::PyExc_ValueError));
            assert_eq!(Raised::new(ffi::PyExc_ValueError, "tëxt").summary(), "ValueError: tëxt");
            // Nothing is pending any more.
            assert!(ffi::PyErr_Occurred().is_null());
        }
        assert_eq!(raises(eval("2**64").as_i64()).summary().split(':').next(), Some("OverflowError"));
        assert_eq!(
            raises(eval("'\\ud800'").as_utf8().map(drop)).summary().split(':').next(),
            Some("UnicodeEncodeError")
        );
    });
}

#[test]
fn a_failure_without_an_exception_is_a_system_error() {
    attached(|_| {
        assert_eq!(crate::python::object::raised().summary(), "SystemError: error return without exception set");
    });
}

#[test]
fn imports_return_the_module_itself() {
    attached(|_| {
        let import = |name| import(&ok(Obj::str(name)));
        let module = ok(import("importlib.util"));
        assert_eq!(ok(ok(module.attr("__name__")).as_utf8()), "importlib.util");
        assert_eq!(raises(import("no_such_module")).summary(), "ModuleNotFoundError: No module named 'no_such_module'");
    });
}

#[test]
fn a_cache_is_bounded_and_keeps_no_failures() {
    attached(|_| {
        let cache: Cache<Box<str>, i64> = Cache::default();
        let get = |key: &str, value| cache.get_or(key, || Ok((key.into(), value)));
        assert_eq!((ok(get("a", 1)), ok(get("a", 2))), (1, 1));
        raises(cache.get_or("b", || eval("1 / 1").as_utf8().map(|_| unreachable!())));
        assert_eq!(ok(get("b", 3)), 3);
        // The entry may be made by code that uses the cache.
        assert_eq!(ok(cache.get_or("outer", || Ok(("outer".into(), 10 + ok(get("inner", 5)))))), 15);
        for number in 0..2_000 {
            assert_eq!(ok(get(&number.to_string(), number)), number);
        }
        assert_eq!(ok(get("a", 4)), 4);
    });
}

#[test]
fn code_is_compiled_once_and_run_in_a_namespace() {
    attached(|_| {
        let codes = Codes::new(function("erlang._code.compile_source"));
        let run = |mode, source: &str, namespace: &Obj| {
            ok(codes.get(mode, source).and_then(|code| run_code(&code, namespace))).map(|value| repr(&value))
        };
        let namespace = exec("x = 20");
        assert_eq!(run(CompileMode::Eval, "x + 1", &namespace).as_deref(), Some("21"));
        assert_eq!(run(CompileMode::Exec, "x += 2; x", &namespace), None);
        assert_eq!(run(CompileMode::Last, "y = x\ny + 1", &namespace).as_deref(), Some("23"));
        assert_eq!(run(CompileMode::Last, "y = 0", &namespace), None);
        let value = |source: &str| ok(codes.get(CompileMode::Eval, source)).value.expect("an expression").as_ptr();
        assert_eq!(value("x + 1"), value("x + 1"));
        // Each mode has code of its own.
        assert!(ok(codes.get(CompileMode::Exec, "x + 1")).value.is_none());
        // Long text is not kept.
        let long = format!("x + 1 # {}", "-".repeat(64 * 1024));
        let (first, second) = (ok(codes.get(CompileMode::Eval, &long)), ok(codes.get(CompileMode::Eval, &long)));
        assert_ne!(first.value.unwrap().as_ptr(), second.value.unwrap().as_ptr());
        let failed = codes.get(CompileMode::Eval, "x +").map(drop);
        assert!(raises(failed).summary().starts_with("SyntaxError: "));
    });
}

#[test]
fn the_table_of_an_interpreter_keeps_objects_until_their_handles_are_gone() {
    attached(|_| {
        let home = Home::new(Interp::own());
        let objects = &home.interp.objects;
        let object = eval("object()");
        let before = references(&object);
        // SAFETY: attached; the table is of no other thread.
        unsafe {
            let slot = objects.insert(object.clone()).expect("the table is open");
            let other = objects.insert(Obj::none()).expect("the table is open");
            assert_eq!(references(&object), before + 1);
            assert_eq!(objects.get(slot).expect("an object").as_ptr(), object.as_ptr());
            assert!(home.is_tidy() && home.forgotten().is_empty());

            assert!(home.forget(slot) && !home.is_tidy());
            // Still there, until the interpreter's thread releases it.
            assert_eq!(references(&object), before + 1);
            let forgotten = home.forgotten();
            assert_eq!(forgotten.iter().map(Obj::as_ptr).collect::<Vec<_>>(), [object.as_ptr()]);
            drop(forgotten);
            assert_eq!(references(&object), before);
            assert!(home.is_tidy() && objects.get(slot).is_none());
            assert!(objects.get(other).is_some_and(|one| one.is_none()));
        }
    });
}

#[test]
fn another_context_releases_the_objects_of_one_that_has_ended() {
    attached(|_| {
        let interp = Interp::own();
        let (ended, living) = (Home::new(interp.clone()), Home::new(interp.clone()));
        // SAFETY: attached; the table is of no other thread.
        unsafe {
            let slots = [1, 2].map(|n| interp.objects.insert(ok(Obj::int(n))).expect("the table is open"));
            assert!(ended.forget(slots[0]));
            ended.close();
            assert!(ended.forget(slots[1]) && !living.is_tidy());
            assert_eq!(living.forgotten().iter().map(repr).collect::<Vec<_>>(), ["1", "2"]);
            assert!(living.is_tidy() && ended.is_tidy());
        }
    });
}

#[test]
fn an_interpreter_that_ends_releases_all_its_objects() {
    attached(|_| {
        let home = Home::new(Interp::own());
        let objects = &home.interp.objects;
        // SAFETY: attached; the table is of no other thread.
        unsafe {
            let slots = [1, 2].map(|n| objects.insert(ok(Obj::int(n))).expect("the table is open"));
            assert_eq!(objects.close().iter().map(repr).collect::<Vec<_>>(), ["1", "2"]);
            assert!(objects.get(slots[0]).is_none() && objects.insert(Obj::none()).is_none());
            home.interp.ended.store(true, SeqCst);
            assert!(!home.forget(slots[0]) && home.forgotten().is_empty());
        }
    });
}

#[test]
fn interpreters_have_numbers_of_their_own() {
    let (one, two) = (Interp::own(), Interp::own());
    assert!(one.id > 0 && two.id > one.id);
    assert_eq!(Interp::main().id, 0);
}
