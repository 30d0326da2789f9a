//! The room `convert`.

use std::cell::Cell;
use std::sync::Arc;

use rustler::{Encoder, Env, Term};

use crate::beam::atoms;
use crate::beam::dialect::Dialect;
use crate::beam::integer::big_term;
use crate::convert::kind::Kind;
use crate::convert::to_python::{arguments, keywords};
use crate::convert::types::Types;
use crate::convert::{ConvertError, ConvertResult, Converter, MAX_DEPTH, NEVER_COPY, Owner, path_text};
use crate::python::objects::{Home, Interp};
use crate::{assert_same, attached, eval, function, in_vm, ok, repr};

struct Context(Arc<Home>);

impl Owner for Context {
    fn home(&self) -> &Arc<Home> {
        &self.0
    }

    fn term<'a>(&self, env: Env<'a>) -> Term<'a> {
        "the context".encode(env)
    }
}

/// Runs a test with what makes converters.
fn with_converter(test: impl for<'e> Fn(Env<'e>, &dyn Fn(Dialect) -> Converter<'static>)) {
    in_vm(|env| {
        attached(|_| {
            let types: &'static Types = Box::leak(Box::new(ok(Types::new(true))));
            let owner: &'static Context = Box::leak(Box::new(Context(Home::new(Interp::own()))));
            let converter = |dialect| Converter {
                types,
                owner,
                dialect,
                cancelled: &|| false,
                steps: 0,
                size: 0,
                has_refc_binaries: false,
                room: 1 << 20,
            };
            test(env, &converter);
            // SAFETY: both were leaked above, and no converter is left.
            unsafe {
                drop(owner.0.interp.objects.close());
                drop(Box::from_raw(std::ptr::from_ref(types).cast_mut()));
                drop(Box::from_raw(std::ptr::from_ref(owner).cast_mut()));
            }
        });
    });
}

#[track_caller]
fn converted<T>(result: ConvertResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{}", text(error)),
    }
}

/// `message at path`.
#[track_caller]
fn refused<T>(result: ConvertResult<T>) -> String {
    match result {
        Ok(_) => panic!("it was converted"),
        Err(error) => text(error),
    }
}

fn text(error: ConvertError) -> String {
    match error {
        ConvertError::Value { message, path } if path.is_empty() => message,
        ConvertError::Value { message, path } => format!("{message} at {}", path_text(&path)),
        ConvertError::NeedsEncoder => "needs an encoder".into(),
        ConvertError::WrongInterpreter => "wrong interpreter".into(),
        ConvertError::Raised(raised) => raised.summary(),
        ConvertError::Cancelled => "cancelled".into(),
    }
}

/// An integer of `2^bits`, or of minus that.
fn power<'a>(env: Env<'a>, negative: bool, bits: usize) -> Term<'a> {
    let mut magnitude = vec![0; bits / 8 + 1];
    magnitude[bits / 8] = 1 << (bits % 8);
    big_term(env, negative, &magnitude).expect("the stand-in holds it")
}

#[test]
fn terms_become_objects_and_come_back() {
    with_converter(|env, converter| {
        let map = Term::map_from_pairs(env, &[("a", 1), ("b", 2)]).expect("a map");
        let table = [
            (0.encode(env), "0"),
            ((-1).encode(env), "-1"),
            (i64::MIN.encode(env), "-9223372036854775808"),
            (i64::MAX.encode(env), "9223372036854775807"),
            (u64::MAX.encode(env), "18446744073709551615"),
            (1.5.encode(env), "1.5"),
            (true.encode(env), "True"),
            ("".encode(env), "''"),
            ("text é €".encode(env), "'text é €'"),
            (vec![1, 2, 3].encode(env), "[1, 2, 3]"),
            (Vec::<i64>::new().encode(env), "[]"),
            ((1, "two", (3.0,)).encode(env), "(1, 'two', (3.0,))"),
            (map, "{'a': 1, 'b': 2}"),
            (Term::map_new(env), "{}"),
        ];
        for dialect in [Dialect::Elixir, Dialect::Erlang] {
            for (term, expected) in table {
                let object = converted(converter(dialect).to_python(term, 0));
                assert_eq!(repr(&object), expected);
                assert_same(converted(converter(dialect).to_term(object, env, 0)), term);
            }
        }
    });
}

#[test]
fn large_integers_cross_exactly() {
    with_converter(|env, converter| {
        for (negative, bits) in [(false, 64), (true, 64), (false, 127), (true, 2039), (false, 2040), (true, 100_003)] {
            let term = power(env, negative, bits);
            let object = converted(converter(Dialect::Elixir).to_python(term, 0));
            let expected = eval(&format!("{}2**{bits}", if negative { "-" } else { "" }));
            let equal = ok(ok(function("operator.eq").call(&[&object, &expected])).attr("real"));
            assert_eq!(ok(equal.as_i64()), 1, "2^{bits}");
            assert_same(converted(converter(Dialect::Elixir).to_term(expected, env, 0)), term);
        }
        // The edges of what fits into a word.
        for source in ["2**63 - 1", "2**63", "-2**63", "-2**63 - 1", "2**64 - 1"] {
            let object = eval(source);
            let term = converted(converter(Dialect::Elixir).to_term(object.clone(), env, 0));
            assert_eq!(repr(&converted(converter(Dialect::Elixir).to_python(term, 0))), repr(&object));
        }
    });
}

#[test]
fn the_dialects_differ_in_none_and_in_objects_without_a_counterpart() {
    with_converter(|env, converter| {
        let to_term = |dialect, source: &str| converted(converter(dialect).to_term(eval(source), env, 0));
        assert_same(to_term(Dialect::Elixir, "None"), atoms::nil().to_term(env));
        assert_same(to_term(Dialect::Erlang, "None"), atoms::none().to_term(env));
        assert_same(
            to_term(Dialect::Erlang, "[None, 1 + 2j]"),
            (vec![atoms::none().to_term(env), "(1+2j)".encode(env)]).encode(env),
        );
        let set = to_term(Dialect::Erlang, "{7}");
        assert_same(set, Term::map_from_pairs(env, &[(7, Vec::<i64>::new())]).expect("a map"));
        let set = to_term(Dialect::Elixir, "{7}");
        assert_same(set.map_get(atoms::__struct__()).expect("a struct"), atoms::map_set_struct().to_term(env));

        let to_python = |dialect, term| repr(&converted(converter(dialect).to_python(term, 0)));
        for atom in [atoms::none(), atoms::undefined()] {
            assert_eq!(to_python(Dialect::Erlang, atom.to_term(env)), "None");
            assert_ne!(to_python(Dialect::Elixir, atom.to_term(env)), "None");
        }
        let bytes = (atoms::bytes(), "abc").encode(env);
        assert_eq!(to_python(Dialect::Erlang, bytes), "b'abc'");
        assert_eq!(to_python(Dialect::Elixir, bytes), "('bytes', 'abc')");
        assert_eq!(to_python(Dialect::Elixir, atoms::nan().to_term(env)), "nan");
        let key = Term::map_from_pairs(env, &[(atoms::nan(), 1)]).expect("a map");
        assert_eq!(to_python(Dialect::Elixir, key), "{'nan': 1}");
    });
}

#[test]
fn elixir_structs_become_python_objects_and_come_back() {
    with_converter(|env, converter| {
        for source in [
            "__import__('datetime').date(2024, 2, 29)",
            "__import__('datetime').time(23, 59, 58, 7)",
            "__import__('datetime').datetime(2024, 2, 29, 1, 2, 3)",
            "__import__('datetime').timedelta(-1, 2, 3)",
            "__import__('decimal').Decimal('-12.50')",
            "range(1, 10, 3)",
            "{1, 2}",
            "b'\\xff\\x00'",
        ] {
            let object = eval(source);
            let term = converted(converter(Dialect::Elixir).to_term(object.clone(), env, 0));
            let back = converted(converter(Dialect::Elixir).to_python(term, 0));
            assert_eq!(repr(&back), repr(&object));
        }
    });
}

#[test]
fn refused_values_are_named_with_their_path() {
    with_converter(|env, converter| {
        let to_term = |source: &str| refused(converter(Dialect::Elixir).to_term(eval(source), env, 0));
        assert!(to_term("{'users': [{}, {'na me': ['\\ud800']}]}").ends_with(" at users[1][\"na me\"][0]"));
        assert_eq!(to_term("{1: 0, True + 0.5: {2: 0, 2.5: '\\ud800'}}").rsplit(" at ").next(), Some("[1.5][2.5]"));
        assert!(to_term("(lambda x: [x.append(x), x][1])([])").starts_with("nested deeper than 512 levels, or cyclic"));

        let to_python = |term| refused(converter(Dialect::Elixir).to_python(term, 0));
        let improper = vec![1].encode(env).list_prepend(0.encode(env));
        let (_head, rest) = improper.list_get_cell().expect("a cell");
        assert_eq!(rest.list_length().ok(), Some(1));
        // SAFETY: live terms of this environment.
        let improper = unsafe {
            let (one, two) = (1.encode(env).as_c_arg(), 2.encode(env).as_c_arg());
            Term::new(env, rustler::sys::enif_make_list_cell(env.as_c_arg(), one, two))
        };
        assert_eq!(to_python((0, vec![improper]).encode(env)), "improper list at [1][0]");
        let unknown = Term::map_from_pairs(env, &[(atoms::__struct__(), atoms::failed())]).expect("a map");
        assert_eq!(to_python(unknown), "needs an encoder");
    });
}

#[test]
fn data_may_be_as_deep_as_the_limit() {
    with_converter(|env, converter| {
        let nested = |levels: usize| (0..levels).fold(1.encode(env), |inner, _| vec![inner].encode(env));
        let deepest = nested(MAX_DEPTH + 1);
        let object = converted(converter(Dialect::Elixir).to_python(deepest, 0));
        assert_same(converted(converter(Dialect::Elixir).to_term(object, env, 0)), deepest);
        let error = refused(converter(Dialect::Elixir).to_python(nested(MAX_DEPTH + 2), 0));
        // The middle of the path is left out.
        assert!(error.contains("nested deeper than") && error.ends_with("[0]") && error.contains('…'), "{error}");
    });
}

#[test]
fn terms_that_would_take_too_much_memory_are_refused() {
    with_converter(|env, converter| {
        let mut one = converter(Dialect::Elixir);
        one.room = 100;
        assert!(refused(one.to_term(eval("[0] * 51"), env, 0)).contains("as a term"));
        let mut one = converter(Dialect::Elixir);
        one.room = 100;
        converted(one.to_term(eval("[0] * 50"), env, 0));
        assert_eq!(one.room, 0);
        let mut one = converter(Dialect::Elixir);
        one.room = 1000;
        assert!(refused(one.to_term(eval("'x' * 10_000"), env, 0)).contains("as a term"));
    });
}

#[test]
fn the_size_tells_what_is_cheap_to_copy() {
    with_converter(|env, converter| {
        let size = |source: &str| {
            let mut one = converter(Dialect::Elixir);
            converted(one.to_term(eval(source), env, 0));
            (one.size, one.has_refc_binaries)
        };
        assert_eq!(size("1"), (1, false));
        assert_eq!(size("'x' * 2048"), (1 + 256, false));
        assert_eq!(size("'x' * 2049"), (1, true));
        assert!(size("b'x' * (1 << 17)").1);
        assert!(size("object()").0 >= NEVER_COPY);
    });
}

#[test]
fn a_conversion_stops_when_its_result_is_not_wanted() {
    with_converter(|env, converter| {
        let asked = Cell::new(0);
        let cancelled = || {
            asked.set(asked.get() + 1);
            true
        };
        let one = converter(Dialect::Elixir);
        let mut one = Converter { cancelled: &cancelled, ..one };
        assert_eq!(refused(one.to_term(eval("[[]] * 100_000"), env, 0)).split(' ').next(), Some("cancelled"));
        assert_eq!((asked.get(), one.steps), (1, 1 << 16));
    });
}

#[test]
fn handles_lead_back_to_their_object_in_its_interpreter() {
    with_converter(|env, converter| {
        let object = eval("object()");
        let handle = converted(converter(Dialect::Elixir).to_term(object.clone(), env, 0));
        let field = |key: rustler::Atom| handle.map_get(key).expect("a field");
        assert_same(field(atoms::__struct__()), atoms::object_struct().to_term(env));
        assert_eq!(field(atoms::r#type()).decode().ok(), Some("object"));
        assert_eq!(field(atoms::context()).decode().ok(), Some("the context"));
        for (dialect, term) in [(Dialect::Elixir, handle), (Dialect::Erlang, field(atoms::r#ref()))] {
            let back = converted(converter(dialect).to_python(term, 0));
            assert_eq!(back.as_ptr(), object.as_ptr());
        }
        let elsewhere = Context(Home::new(Interp::own()));
        let mut other = Converter { owner: &elsewhere, ..converter(Dialect::Elixir) };
        assert_eq!(refused(other.to_python(handle, 0)), "wrong interpreter");
    });
}

#[test]
fn arguments_and_keywords_are_checked() {
    with_converter(|env, converter| {
        let mut one = converter(Dialect::Elixir);
        let mut values = Vec::new();
        converted(arguments(&mut one, (vec![1, 2]).encode(env), &mut values));
        let names = Term::map_from_pairs(env, &[(atoms::name(), 3)]).expect("a map");
        let names = converted(keywords(&mut one, names, &mut values)).expect("names");
        assert_eq!(repr(&names), "('name',)");
        assert_eq!(values.iter().map(repr).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(converted(keywords(&mut one, Term::map_new(env), &mut values)).is_none());

        assert_eq!(refused(arguments(&mut one, 1.encode(env), &mut values)), "arguments must be a list");
        let twice = (vec![(atoms::name(), 1), (atoms::name(), 2)]).encode(env);
        let error = refused(keywords(&mut one, twice, &mut values));
        assert_eq!(error, "another keyword argument has the same name at kwargs.name");
        let numbers = Term::map_from_pairs(env, &[(1, 2)]).expect("a map");
        let error = refused(keywords(&mut one, numbers, &mut values));
        assert!(error.starts_with("names of keyword arguments must be atoms or text at kwargs["), "{error}");
    });
}

#[test]
fn types_have_kinds() {
    with_converter(|_env, converter| {
        let kind = |source: &str| ok(converter(Dialect::Elixir).types.kind(&eval(source)));
        assert_eq!(kind("object()"), Kind::Object);
        assert_eq!(kind("type('T', (int,), {})(3)"), Kind::Int);
        assert_eq!(kind("bytearray()"), Kind::Buffer);
        assert_eq!(kind("__import__('collections').OrderedDict()"), Kind::Dict);
        assert_eq!(kind("__import__('decimal').Decimal(1)"), Kind::Decimal);
        assert_eq!(kind("frozenset()"), Kind::Set);
        for number in [-1, 24, i64::MAX] {
            assert_eq!(Kind::from_number(number), Kind::Object);
        }
        assert_eq!((Kind::from_number(1), Kind::from_number(23)), (Kind::Str, Kind::Null));
    });
}

#[test]
fn long_paths_are_cut_in_their_middle() {
    let path = |steps: usize| path_text(&(0..steps).rev().map(|n| format!("[{n}]")).collect::<Vec<_>>());
    assert_eq!(path(3), "[0][1][2]");
    assert_eq!(path(32).matches('[').count(), 32);
    let cut = path(1000);
    assert!(cut.starts_with("[0][1]") && cut.contains("[15]…[984]") && cut.ends_with("[999]"), "{cut}");
    assert_eq!(path_text(&["[0]".into(), ".users".into()]), "users[0]");
}
