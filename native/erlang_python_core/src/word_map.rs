//! Maps with keys that no attacker can choose: terms of atoms and pids, addresses, source text.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A hash map keyed by words.
pub type WordMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

/// Hashes each word by one multiplication, which is faster than a keyed hash. The upper half of the product depends on all
/// bits of the word, the lower half on few, so the two are folded. Text is hashed in words of eight bytes.
#[derive(Default)]
pub struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        for word in words {
            self.write_u64(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        let rest = rest.iter().rev().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        self.write_u64(rest);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        // 2^64 divided by the golden ratio, made odd.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::Hash;

    #[test]
    fn words_with_few_differing_bits_get_different_hashes() {
        let hash = |word: usize| {
            let mut hasher = WordHasher::default();
            word.hash(&mut hasher);
            hasher.finish()
        };
        // A hash map uses the upper seven bits and the lowest ones.
        let spread = |shift: u32| (0..128).map(|n| hash(n << shift) >> 57).collect::<HashSet<_>>().len();
        assert!([0, 4, 6, 12, 32, 48].into_iter().all(|shift| spread(shift) > 40));
        assert_eq!((0..10_000).map(|n| hash(n << 6) & 0xffff_ffff).collect::<HashSet<_>>().len(), 10_000);
    }

    #[test]
    fn texts_of_any_length_get_different_hashes() {
        let hash = |text: &str| {
            let mut hasher = WordHasher::default();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let texts = (0..40).flat_map(|length| {
            let text = "x = 1".repeat(8)[..length].to_owned();
            ["", "\0", "y", "z"].map(|last| text.clone() + last)
        });
        let texts: HashSet<_> = texts.collect();
        assert_eq!(texts.iter().map(|text| hash(text) & 0xffff_ffff).collect::<HashSet<_>>().len(), texts.len());
    }

    #[test]
    fn entries_are_found() {
        let map: WordMap<usize, usize> = (0..1_000).map(|n| (n * 64 + 11, n)).collect();
        assert!((0..1_000).all(|n| map[&(n * 64 + 11)] == n));
    }
}
