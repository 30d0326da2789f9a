//! The words that terms are made of, for the kinds that lists of numbers consist of.
//!
//! The BEAM has laid out small integers and list cells in the same way on all 64-bit machines since long before OTP 26,
//! but promises nothing. So `probe` compares with what the VM says, once, and where that differs everything goes through
//! the VM's functions, which take several times as long.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustler::sys::{ErlNifTerm, enif_get_int64, enif_get_list_cell, enif_make_int64, enif_make_list_from_array};
use rustler::{Env, Term};

static KNOWN: AtomicBool = AtomicBool::new(false);

const SMALL_TAG: usize = 0b1111;
const SMALL_SHIFT: u32 = 4;
const LIST_TAG: usize = 0b01;
const TAG_MASK: usize = 0b11;
/// What is no part of a cell's address: the tag, and a mark of literals.
const POINTER_MASK: usize = 0b111;

// SAFETY of both: `ErlNifTerm` is a transparent word; any word may be compared, only terms are given to the VM.
fn word(term: ErlNifTerm) -> usize {
    unsafe { std::mem::transmute::<ErlNifTerm, usize>(term) }
}

fn term(word: usize) -> ErlNifTerm {
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

/// Head and tail of a non-empty list.
///
/// # Safety
/// `list` is a term of a live environment, laid out as `probe` has found.
unsafe fn decode_cell(list: ErlNifTerm) -> Option<(ErlNifTerm, ErlNifTerm)> {
    let word = word(list);
    if word & TAG_MASK != LIST_TAG {
        return None;
    }
    let cell = (word & !POINTER_MASK) as *const ErlNifTerm;
    // SAFETY: a list is a pointer to two terms.
    unsafe { Some((*cell, *cell.add(1))) }
}

/// Finds out whether terms are laid out as this file believes. Called when the library is loaded.
pub fn probe(env: Env<'_>) {
    KNOWN.store(cfg!(target_pointer_width = "64") && smalls_agree(env) && cells_agree(env), Relaxed);
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
    // SAFETY: three terms; a cell is only decoded where the VM says that there is one and the tag agrees, which makes the
    // remaining bits an address. What is there is compared before it is believed.
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

/// The value of an integer of up to 64 bits.
#[inline]
pub fn integer(term: Term<'_>) -> Option<i64> {
    let mut value = 0;
    // SAFETY: a live term; the result is read only on success.
    let known = unsafe { enif_get_int64(term.get_env().as_c_arg(), term.as_c_arg(), &mut value) };
    (known != 0).then_some(value)
}

/// The value of an integer that can be told without asking the VM.
#[inline]
pub fn small(term: Term<'_>) -> Option<i64> {
    if KNOWN.load(Relaxed) { decode_small(term.as_c_arg()) } else { None }
}

#[inline]
pub fn make_integer(env: Env<'_>, value: i64) -> ErlNifTerm {
    match encode_small(value) {
        Some(small) if KNOWN.load(Relaxed) => small,
        // SAFETY: a live environment.
        _ => unsafe { enif_make_int64(env.as_c_arg(), value) },
    }
}

/// Head and tail of a list; `None` when it is empty, or no list at all.
#[inline]
pub fn cell(list: Term<'_>) -> Option<(Term<'_>, Term<'_>)> {
    let env = list.get_env();
    // SAFETY: the parts of a live term are live terms of the same environment.
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
