//! Reads small integers, list cells and the types of terms directly, without a call into the VM.
//!
//! The BEAM has used one layout on all 64-bit machines since long before OTP 26, but does not promise it. So `probe`
//! compares the layout with the VM's functions, once. If they disagree, all functions here call the VM, which takes
//! several times as long.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustler::sys::{
    ErlNifTerm, ErlNifTermType as Type, enif_get_int64, enif_get_list_cell, enif_get_tuple, enif_make_int64,
    enif_make_list_from_array, enif_make_tuple_from_array,
};
use rustler::{Env, Term};

/// `probe` has found the layout that this file assumes.
static KNOWN: AtomicBool = AtomicBool::new(false);

const SMALL_TAG: usize = 0b1111;
const SMALL_SHIFT: u32 = 4;
const LIST_TAG: usize = 0b01;
/// A pointer to a header word and what belongs to it.
const BOXED_TAG: usize = 0b10;
const ATOM_TAG: usize = 0b00_1011;
const ATOM_MASK: usize = 0b11_1111;
const TAG_MASK: usize = 0b11;
/// The bits that are no part of an address: the tag, and a mark of literals.
const POINTER_MASK: usize = 0b111;

/// The word of a term.
fn word(term: ErlNifTerm) -> usize {
    // SAFETY: `ErlNifTerm` is a transparent word.
    unsafe { std::mem::transmute::<ErlNifTerm, usize>(term) }
}

/// The term of a word. Only words of terms are passed to the VM.
fn term(word: usize) -> ErlNifTerm {
    // SAFETY: `ErlNifTerm` is a transparent word.
    unsafe { std::mem::transmute::<usize, ErlNifTerm>(word) }
}

fn decode_small(term: ErlNifTerm) -> Option<i64> {
    let word = word(term);
    (word & SMALL_TAG == SMALL_TAG).then_some(word as i64 >> SMALL_SHIFT)
}

fn encode_small(value: i64) -> Option<ErlNifTerm> {
    let word = (value << SMALL_SHIFT) as usize | SMALL_TAG;
    (word as i64 >> SMALL_SHIFT == value).then(|| term(word))
}

/// The head and the tail of a non-empty list.
///
/// # Safety
/// `list` is a term of a live environment, and `probe` has found the layout.
unsafe fn decode_cell(list: ErlNifTerm) -> Option<(ErlNifTerm, ErlNifTerm)> {
    let word = word(list);
    if word & TAG_MASK != LIST_TAG {
        return None;
    }
    let cell = (word & !POINTER_MASK) as *const ErlNifTerm;
    // SAFETY: promised by the caller. A non-empty list is a pointer to two terms.
    unsafe { Some((*cell, *cell.add(1))) }
}

/// Compares the layout of terms with the VM's functions. Called when the library is loaded.
pub fn probe(env: Env<'_>) {
    let known = cfg!(target_pointer_width = "64") && smalls_agree(env) && cells_agree(env) && atoms_agree(env);
    KNOWN.store(known, Relaxed);
    if known {
        headers::learn(env);
    }
}

fn smalls_agree(env: Env<'_>) -> bool {
    let smallest = -(1i64 << 59);
    let smalls = [0, 1, -1, 15, 16, 1 << 40, -(1 << 40), smallest, -smallest - 1];
    // SAFETY: a live environment.
    let make = |value| unsafe { enif_make_int64(env.as_c_arg(), value) };
    let agree = |value: &i64| decode_small(make(*value)) == Some(*value) && encode_small(*value) == Some(make(*value));
    let bigs = [smallest - 1, -smallest, i64::MIN, i64::MAX];
    smalls.iter().all(agree)
        && bigs.iter().all(|big| decode_small(make(*big)).is_none() && encode_small(*big).is_none())
}

fn cells_agree(env: Env<'_>) -> bool {
    let items = [7i64, -8, 9].map(|value| encode_small(value).unwrap_or_default());
    // SAFETY: a live environment and an array of three terms. A non-empty list whose tag is that of a pointer is an
    // address of at least one word. The words there are compared with the VM's before they are used.
    unsafe {
        let mut list = enif_make_list_from_array(env.as_c_arg(), items.as_ptr(), 3);
        for item in items {
            let (mut head, mut tail) = Default::default();
            let Some((raw_head, raw_tail)) = decode_cell(list) else { return false };
            if enif_get_list_cell(env.as_c_arg(), list, &mut head, &mut tail) == 0 {
                return false;
            }
            if [word(head), word(tail)] != [word(raw_head), word(raw_tail)] || word(head) != word(item) {
                return false;
            }
            list = tail;
        }
        decode_cell(list).is_none()
    }
}

fn atoms_agree(env: Env<'_>) -> bool {
    let is_atom = |term: ErlNifTerm| word(term) & ATOM_MASK == ATOM_TAG;
    let atoms = [crate::beam::atoms::nil(), crate::beam::atoms::ok(), crate::beam::atoms::py_context()];
    // SAFETY: a live environment.
    let others = unsafe {
        [enif_make_list_from_array(env.as_c_arg(), std::ptr::null(), 0), enif_make_int64(env.as_c_arg(), -5)]
    };
    atoms.iter().all(|atom| is_atom(atom.as_c_arg())) && !others.into_iter().any(is_atom)
}

/// The value of an integer of up to 64 bits. `None` for any other term.
#[inline]
pub fn integer(term: Term<'_>) -> Option<i64> {
    let mut value = 0;
    // SAFETY: a live term. The result is read only on success.
    let known = unsafe { enif_get_int64(term.get_env().as_c_arg(), term.as_c_arg(), &mut value) };
    (known != 0).then_some(value)
}

/// The value of a small integer. `None` for any other term, and without a known layout.
#[inline]
pub fn small(term: Term<'_>) -> Option<i64> {
    if KNOWN.load(Relaxed) { decode_small(term.as_c_arg()) } else { None }
}

/// The term of an integer.
#[inline]
pub fn make_integer(env: Env<'_>, value: i64) -> ErlNifTerm {
    match encode_small(value) {
        Some(small) if KNOWN.load(Relaxed) => small,
        // SAFETY: a live environment.
        _ => unsafe { enif_make_int64(env.as_c_arg(), value) },
    }
}

/// The head and the tail of a list. `None` for the empty list and for any other term.
#[inline]
pub fn cell(list: Term<'_>) -> Option<(Term<'_>, Term<'_>)> {
    let env = list.get_env();
    // SAFETY: a live term, whose parts are live terms of the same environment. `decode_cell` is called only if `probe`
    // has found the layout.
    unsafe {
        let (head, tail) = if KNOWN.load(Relaxed) {
            decode_cell(list.as_c_arg())?
        } else {
            let (mut head, mut tail) = Default::default();
            if enif_get_list_cell(env.as_c_arg(), list.as_c_arg(), &mut head, &mut tail) == 0 {
                return None;
            }
            (head, tail)
        };
        Some((Term::new(env, head), Term::new(env, tail)))
    }
}

/// The elements of a tuple. `None` for any other term.
#[inline]
pub fn tuple<'a>(term: Term<'a>) -> Option<&'a [ErlNifTerm]> {
    let (mut arity, mut parts) = (0, std::ptr::null());
    // SAFETY: a live term. On success `parts` points to the elements, which live as long as the tuple.
    unsafe {
        let known = enif_get_tuple(term.get_env().as_c_arg(), term.as_c_arg(), &mut arity, &mut parts);
        (known != 0).then(|| if arity == 0 { &[][..] } else { std::slice::from_raw_parts(parts, arity as usize) })
    }
}

/// A tuple of a few terms of `env`. Allocates no array, unlike rustler's function.
#[inline]
pub fn make_tuple<'a, const N: usize>(env: Env<'a>, parts: [Term<'a>; N]) -> Term<'a> {
    let parts = parts.map(|part| part.as_c_arg());
    // SAFETY: a live environment and an array of `N` terms of it.
    unsafe { Term::new(env, enif_make_tuple_from_array(env.as_c_arg(), parts.as_ptr(), N as u32)) }
}

/// The type of a term. `None` for types that this library does not know, such as the native records of OTP 29. For
/// those, `enif_term_type` and so `Term::get_type` abort the VM.
#[inline]
pub fn type_of(term: Term<'_>) -> Option<Type> {
    if KNOWN.load(Relaxed) {
        let word = word(term.as_c_arg());
        let known = match word & TAG_MASK {
            LIST_TAG => Some(Type::ERL_NIF_TERM_TYPE_LIST),
            // SAFETY: a boxed term of a live environment, and `probe` has found the layout.
            BOXED_TAG => unsafe { headers::type_of(word) },
            _ if word & ATOM_MASK == ATOM_TAG => Some(Type::ERL_NIF_TERM_TYPE_ATOM),
            _ => None,
        };
        if known.is_some() {
            return known;
        }
    }
    type_by_tests(term)
}

/// The type of a term, found by VM functions that take any term.
#[inline(never)]
fn type_by_tests(term: Term<'_>) -> Option<Type> {
    Some(match term {
        term if term.is_atom() => Type::ERL_NIF_TERM_TYPE_ATOM,
        term if term.is_list() || term.is_empty_list() => Type::ERL_NIF_TERM_TYPE_LIST,
        term if term.is_map() => Type::ERL_NIF_TERM_TYPE_MAP,
        term if term.is_binary() => Type::ERL_NIF_TERM_TYPE_BITSTRING,
        term if term.is_tuple() => Type::ERL_NIF_TERM_TYPE_TUPLE,
        term if term.is_float() => Type::ERL_NIF_TERM_TYPE_FLOAT,
        term if term.is_number() => Type::ERL_NIF_TERM_TYPE_INTEGER,
        term if term.is_pid() => Type::ERL_NIF_TERM_TYPE_PID,
        term if term.is_ref() => Type::ERL_NIF_TERM_TYPE_REFERENCE,
        term if term.is_fun() => Type::ERL_NIF_TERM_TYPE_FUN,
        term if term.is_port() => Type::ERL_NIF_TERM_TYPE_PORT,
        term if is_bitstring(term) => Type::ERL_NIF_TERM_TYPE_BITSTRING,
        _ => return None,
    })
}

/// Returns `true` for a bitstring that does not fill whole bytes. No VM function tests for it, but the external term
/// format shows it.
fn is_bitstring(term: Term<'_>) -> bool {
    const BIT_BINARY: u8 = 77;
    term.to_binary().as_slice().get(1) == Some(&BIT_BINARY)
}

/// The part of a term that can be read without the VM, for the types that long data consists of.
pub enum Shape {
    /// A float.
    Float(f64),
    /// A binary or a bitstring.
    Bits,
    /// A non-empty list.
    List,
    /// Any other term, and every term without a known layout.
    Other,
}

/// The shape of a term.
#[inline]
pub fn shape(term: Term<'_>) -> Shape {
    let word = word(term.as_c_arg());
    match word & TAG_MASK {
        _ if !KNOWN.load(Relaxed) => Shape::Other,
        LIST_TAG => Shape::List,
        // SAFETY: a boxed term of a live environment, and `probe` has found the layout.
        BOXED_TAG => unsafe { headers::shape(word) },
        _ => Shape::Other,
    }
}

/// The first word of boxed terms. Its lowest bits are the type and the others, except in maps, the size. So a type that
/// OTP adds has other lowest bits, or is another kind of map.
mod headers {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

    use rustler::Env;
    use rustler::sys::{
        ErlNifTerm, ErlNifTermType as Type, enif_make_double, enif_make_new_binary, enif_make_new_map,
        enif_make_tuple_from_array,
    };

    use super::{BOXED_TAG, POINTER_MASK, Shape, TAG_MASK, word};

    const TYPE_MASK: usize = 0b11_1111;
    const SIZE_SHIFT: u32 = 6;

    /// Bit N is set if the type N is a binary or a bitstring.
    static BITS: AtomicU64 = AtomicU64::new(0);
    /// Bit N is set if the type N is a tuple.
    static TUPLES: AtomicU64 = AtomicU64::new(0);
    /// The header of floats, or 0, which no header is, if it is not known.
    static FLOAT: AtomicUsize = AtomicUsize::new(0);
    /// The header of small maps, or 0 if it is not known.
    static SMALL_MAP: AtomicUsize = AtomicUsize::new(0);

    fn body(boxed: usize) -> *const usize {
        (boxed & !POINTER_MASK) as *const usize
    }

    /// The type of a boxed term, if its header shows it.
    ///
    /// # Safety
    /// `boxed` is the word of a boxed term of a live environment.
    #[inline]
    pub unsafe fn type_of(boxed: usize) -> Option<Type> {
        // SAFETY: promised by the caller.
        let header = unsafe { *body(boxed) };
        let is = |mask: &AtomicU64| mask.load(Relaxed) >> (header & TYPE_MASK) & 1 == 1;
        if is(&BITS) {
            Some(Type::ERL_NIF_TERM_TYPE_BITSTRING)
        } else if is(&TUPLES) {
            Some(Type::ERL_NIF_TERM_TYPE_TUPLE)
        } else if header == SMALL_MAP.load(Relaxed) {
            Some(Type::ERL_NIF_TERM_TYPE_MAP)
        } else if header == FLOAT.load(Relaxed) {
            Some(Type::ERL_NIF_TERM_TYPE_FLOAT)
        } else {
            None
        }
    }

    /// The shape of a boxed term.
    ///
    /// # Safety
    /// `boxed` is the word of a boxed term of a live environment.
    #[inline]
    pub unsafe fn shape(boxed: usize) -> Shape {
        let body = body(boxed);
        // SAFETY: promised by the caller.
        let header = unsafe { *body };
        if header == FLOAT.load(Relaxed) {
            // SAFETY: promised by the caller. The value of a float follows its header.
            Shape::Float(unsafe { *body.add(1).cast() })
        } else if BITS.load(Relaxed) >> (header & TYPE_MASK) & 1 == 1 {
            Shape::Bits
        } else {
            Shape::Other
        }
    }

    /// Learns the headers from some terms of each type. Called once, after `probe` has compared small integers and
    /// lists.
    pub fn learn(env: Env<'_>) {
        let env = env.as_c_arg();
        // SAFETY: a live environment, and `terms` has as many elements as each tuple. A boxed term is a pointer to a
        // header and at least one word after it. `enif_make_new_binary` returns `size` writable bytes.
        unsafe {
            let boxed = |term: ErlNifTerm| (word(term) & TAG_MASK == BOXED_TAG).then(|| *body(word(term)));
            let terms = [enif_make_double(env, 0.5); 3];
            let tuple = |size| boxed(enif_make_tuple_from_array(env, terms.as_ptr(), size));
            let binary = |size| {
                let mut term = Default::default();
                std::ptr::write_bytes(enif_make_new_binary(env, size, &mut term), 0, size);
                boxed(term)
            };
            let float = |value: f64| {
                let term = enif_make_double(env, value);
                boxed(term).filter(|_| *body(word(term)).add(1).cast::<f64>() == value)
            };
            let next = |header: Option<usize>| header.map(|header| header + (1 << SIZE_SHIFT));
            let sized = |small, large| if next(small) == large { small } else { None };
            let float = if float(0.5) == float(-3.0e300) { float(0.5) } else { None };
            let long = if binary(1000) == binary(2001) { binary(1000) } else { None };
            let mask = |headers: &[Option<usize>]| {
                headers.iter().flatten().fold(0, |mask, header| mask | 1 << (header & TYPE_MASK))
            };
            BITS.store(mask(&[long, sized(binary(8), binary(16))]), Relaxed);
            TUPLES.store(mask(&[sized(tuple(1), tuple(2))]), Relaxed);
            FLOAT.store(float.unwrap_or(0), Relaxed);
            SMALL_MAP.store(boxed(enif_make_new_map(env)).unwrap_or(0), Relaxed);
        }
    }
}
