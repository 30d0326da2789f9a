//! The room `beam`.

use rustler::sys::ErlNifTermType as Type;
use rustler::types::tuple::make_tuple;
use rustler::{Encoder, Env, ListIterator, Term};
use serde::Serialize;

use crate::beam::env::OwnedTermEnv;
use crate::beam::immediate::{self, Shape};
use crate::beam::integer::{big_external, big_parts, big_term};
use crate::beam::{atoms, serial, store};
use crate::{assert_same, in_vm};
use erlang_python_core::state::Value;

fn binary<'a>(env: Env<'a>, size: usize) -> Term<'a> {
    "x".repeat(size).encode(env)
}

fn big<'a>(env: Env<'a>) -> Term<'a> {
    big_term(env, true, &[0; 8].into_iter().chain([1]).collect::<Vec<_>>()).expect("a small big integer")
}

#[test]
fn integers_are_read_and_made_as_the_vm_does() {
    const SMALLEST: i64 = -(1 << 59);
    in_vm(|env| {
        for value in [0, 1, -1, 15, 16, -16, 1 << 40, SMALLEST, -SMALLEST - 1] {
            assert_eq!(immediate::small(value.encode(env)), Some(value));
        }
        for value in [SMALLEST - 1, -SMALLEST, i64::MIN, i64::MAX] {
            assert_eq!(immediate::small(value.encode(env)), None);
        }
        for value in [0, -1, SMALLEST - 1, SMALLEST, -SMALLEST - 1, -SMALLEST, i64::MIN, i64::MAX] {
            assert_eq!(immediate::integer(value.encode(env)), Some(value));
            // SAFETY: a term of this environment.
            assert_same(unsafe { Term::new(env, immediate::make_integer(env, value)) }, value.encode(env));
        }
        let others = [u64::MAX.encode(env), big(env), 1.5.encode(env), atoms::nil().to_term(env), binary(env, 3)];
        for other in others {
            assert_eq!((immediate::small(other), immediate::integer(other)), (None, None));
        }
    });
}

#[test]
fn lists_and_tuples_are_taken_apart() {
    in_vm(|env| {
        let list = vec![1, 2].encode(env);
        let (head, tail) = immediate::cell(list).expect("a cell");
        let (second, end) = immediate::cell(tail).expect("a cell");
        assert_eq!([head.decode().ok(), second.decode().ok()], [Some(1), Some(2)]);
        assert!(end.is_empty_list() && immediate::cell(end).is_none() && immediate::tuple(end).is_none());
        let tuple = immediate::make_tuple(env, [1.encode(env), list]);
        let parts = immediate::tuple(tuple).expect("a tuple");
        assert_eq!(parts.len(), 2);
        // SAFETY: the parts of a live tuple.
        assert_same(unsafe { Term::new(env, parts[1]) }, list);
        assert!(immediate::cell(tuple).is_none());
        assert_eq!(immediate::tuple(make_tuple(env, &[])).map(<[_]>::len), Some(0));
    });
}

#[test]
fn types_and_shapes_are_those_of_the_terms() {
    fn shape(term: Term<'_>) -> &'static str {
        match immediate::shape(term) {
            Shape::Float(value) => {
                assert_eq!(term.decode().ok(), Some(value));
                "float"
            }
            Shape::Bits => "bits",
            Shape::List => "list",
            Shape::Other => "other",
        }
    }
    in_vm(|env| {
        let map = Term::map_from_pairs(env, &[(1, 2)]).expect("a map");
        let no_items: Vec<i64> = vec![];
        let table = [
            (7.encode(env), Type::ERL_NIF_TERM_TYPE_INTEGER, "other"),
            (i64::MAX.encode(env), Type::ERL_NIF_TERM_TYPE_INTEGER, "other"),
            (big(env), Type::ERL_NIF_TERM_TYPE_INTEGER, "other"),
            (0.5.encode(env), Type::ERL_NIF_TERM_TYPE_FLOAT, "float"),
            ((-3.0e300).encode(env), Type::ERL_NIF_TERM_TYPE_FLOAT, "float"),
            (atoms::ok().to_term(env), Type::ERL_NIF_TERM_TYPE_ATOM, "other"),
            (binary(env, 0), Type::ERL_NIF_TERM_TYPE_BITSTRING, "bits"),
            (binary(env, 8), Type::ERL_NIF_TERM_TYPE_BITSTRING, "bits"),
            (binary(env, 5000), Type::ERL_NIF_TERM_TYPE_BITSTRING, "bits"),
            (vec![1].encode(env), Type::ERL_NIF_TERM_TYPE_LIST, "list"),
            (no_items.encode(env), Type::ERL_NIF_TERM_TYPE_LIST, "other"),
            ((1, 2, 3).encode(env), Type::ERL_NIF_TERM_TYPE_TUPLE, "other"),
            (make_tuple(env, &[]), Type::ERL_NIF_TERM_TYPE_TUPLE, "other"),
            (map, Type::ERL_NIF_TERM_TYPE_MAP, "other"),
            (Term::map_new(env), Type::ERL_NIF_TERM_TYPE_MAP, "other"),
            (env.make_ref().encode(env), Type::ERL_NIF_TERM_TYPE_REFERENCE, "other"),
            (env.pid().encode(env), Type::ERL_NIF_TERM_TYPE_PID, "other"),
        ];
        for (index, (term, kind, expected)) in table.into_iter().enumerate() {
            assert_eq!(immediate::type_of(term).map(|found| found as i32), Some(kind as i32), "type {index}");
            assert_eq!(shape(term), expected, "shape {index}");
        }
    });
}

#[test]
fn big_integers_have_the_external_format_of_the_beam() {
    // 2^64, as term_to_binary/1 has it.
    let two_to_64 = [131, 110, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(big_external(false, &two_to_64[4..]), Some(two_to_64.to_vec()));
    assert_eq!(big_parts(&two_to_64), Some((false, &two_to_64[4..])));
    let long = [7; 256];
    let external = big_external(true, &long).expect("less than 4 GiB");
    assert_eq!(external[..7], [131, 111, 0, 0, 1, 0, 1]);
    assert_eq!(big_parts(&external), Some((true, &long[..])));
    assert_eq!(big_external(true, &[7; 255]).expect("less than 4 GiB")[..4], [131, 110, 255, 1]);
    // A small integer, a tuple, nothing.
    for other in [&[131, 97, 1][..], &[131, 104, 0], &[131, 110, 9], &[110, 1, 0, 5], &[]] {
        assert_eq!(big_parts(other), None);
    }
}

#[test]
fn atoms_are_found_and_made() {
    in_vm(|env| {
        assert!(atoms::existing(env, "an atom that no test makes").is_none());
        let made = atoms::from_text(env, "héllo").expect("an atom");
        assert!(made.is_atom());
        assert_same(atoms::existing(env, "héllo").expect("the same atom"), made);
        assert_eq!(atoms::text_of(made), "héllo");
        assert_eq!(atoms::text_of(1.encode(env)), "");
        assert_eq!(atoms::number(atoms::infinity().to_term(env)), Some(f64::INFINITY));
        assert_eq!(atoms::number(atoms::neg_infinity().to_term(env)), Some(f64::NEG_INFINITY));
        assert!(atoms::number(atoms::nan().to_term(env)).is_some_and(f64::is_nan));
        assert_eq!(atoms::number(made), None);
        assert_eq!(atoms::number(1.5.encode(env)), None);
    });
}

#[test]
fn environments_keep_copies_and_are_used_again() {
    in_vm(|env| {
        let mut own = OwnedTermEnv::new();
        let address = own.as_ptr();
        let text = {
            let mut other = OwnedTermEnv::new();
            let copy = own.copy(("text", 1.5).encode(other.env())).as_c_arg();
            other.clear();
            copy
        };
        // SAFETY: the copy lives in this environment.
        let copy = unsafe { Term::new(own.env(), text) };
        assert_same(copy, ("text", 1.5).encode(env));
        own.clear();
        let raw = own.into_raw();
        assert_eq!(raw, address);
        // SAFETY: from `into_raw`, once.
        drop(unsafe { OwnedTermEnv::from_raw(raw) });
        assert_eq!(OwnedTermEnv::new().as_ptr(), address);
    });
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Small,
}

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
struct Wrapped(i64);

#[derive(Serialize)]
struct Record {
    number: i64,
    share: f64,
    text: &'static str,
    kind: Kind,
    some: Option<bool>,
    none: Option<bool>,
    list: Vec<Wrapped>,
    pair: (u8, char),
    nothing: Nothing,
}

#[test]
fn structs_become_maps() {
    let record = Record {
        number: -1,
        share: 0.25,
        text: "text",
        kind: Kind::Small,
        some: Some(true),
        none: None,
        list: vec![Wrapped(1), Wrapped(2)],
        pair: (7, 'c'),
        nothing: Nothing,
    };
    in_vm(|env| {
        let term = serial::to_term(env, &record).expect("a map");
        let field = |name| term.map_get(atoms::existing(env, name).expect("an atom")).expect("a field");
        assert_eq!(term.map_size().ok(), Some(9));
        assert_eq!(field("number").decode().ok(), Some(-1));
        assert_eq!(field("share").decode().ok(), Some(0.25));
        assert_eq!(field("text").decode().ok(), Some("text"));
        assert_eq!(atoms::text_of(field("kind")), "small");
        assert_eq!(field("some").decode().ok(), Some(true));
        assert_same(field("none"), atoms::nil().to_term(env));
        assert_eq!(field("list").decode().ok(), Some(vec![1, 2]));
        assert_same(field("pair"), (7, "c").encode(env));
        assert_same(field("nothing"), atoms::nil().to_term(env));
    });
}

#[test]
fn types_without_a_term_are_refused() {
    in_vm(|env| {
        let map = std::collections::HashMap::from([(1, 2)]);
        let error = serial::to_term(env, &map).expect_err("a map without fixed keys");
        assert_eq!(error.to_string(), "a map, which has no fixed keys, cannot be serialized");
    });
}

fn put(key: &str, build: impl FnOnce(Env<'_>) -> Term<'_>) -> Option<usize> {
    let own = OwnedTermEnv::new();
    let term = build(own.env()).as_c_arg();
    store::put(key.as_bytes(), own, term).expect("there is room")
}

#[test]
fn stored_terms_are_measured_and_read() {
    const WORD: usize = size_of::<usize>();
    in_vm(|env| {
        assert_eq!(put("atom", |env| atoms::ok().to_term(env)), Some(WORD));
        assert_eq!(put("binary", |env| binary(env, 100)), Some(4 * WORD + 100));
        assert_eq!(put("tuple", |env| (1, atoms::ok()).encode(env)), Some(3 * WORD + 2 * WORD));
        assert_eq!(put("list", |env| vec![1, 2].encode(env)), Some(2 * (2 * WORD + WORD)));
        assert_eq!(put("float", |env| 1.5.encode(env)), Some(4 * WORD));
        assert_eq!(put("map", |env| Term::map_from_pairs(env, &[(1, 2)]).expect("a map")), Some(5 * WORD + 2 * WORD));
        let Some(Value::Other(stored)) = store::STATE.get(b"tuple") else { panic!("a term was stored") };
        assert_same(stored.term(), (1, atoms::ok()).encode(env));
    });
}

#[test]
fn a_large_term_is_measured_by_a_thread_of_its_own() {
    const COUNT: usize = 10_000;
    in_vm(|_env| {
        let before = store::STATE.sizes().into_iter().find(|(key, _)| **key == *b"large");
        assert_eq!(before, None);
        assert_eq!(put("large", |env| vec![1; COUNT].encode(env)), None);
        let Some(Value::Other(stored)) = store::STATE.get(b"large") else { panic!("a term was stored") };
        let items: ListIterator<'_> = stored.term().decode().expect("a list");
        assert_eq!(items.count(), COUNT);
        let size = || store::STATE.sizes().into_iter().find(|(key, _)| **key == *b"large").expect("an entry").1;
        while size() != b"large".len() + COUNT * 3 * size_of::<usize>() {
            std::thread::yield_now();
        }
    });
}
