//! Reads the table of code positions of CPython 3.11+ (`co_linetable`, see `Objects/locations.md` in its sources),
//! which maps instructions to lines.

/// The line of the instruction at the byte offset `offset`, in code whose first line is `first`. `None` if the
/// instruction has no line or the table is damaged.
pub fn line_at(table: &[u8], first: i64, offset: usize) -> Option<i64> {
    let mut entries = table.iter().copied();
    let (mut line, mut end) = (first, 0);
    while let Some(start) = entries.next() {
        if start & 0x80 == 0 {
            return None;
        }
        let known = match (start >> 3) & 15 {
            15 => false,
            14 => {
                line += signed(&mut entries)?;
                // Skips the last line and the columns.
                for _ in 0..3 {
                    unsigned(&mut entries)?;
                }
                true
            }
            13 => {
                line += signed(&mut entries)?;
                true
            }
            code @ 10..=12 => {
                line += i64::from(code) - 10;
                entries.nth(1)?;
                true
            }
            _ => {
                entries.next()?;
                true
            }
        };
        end += (usize::from(start & 7) + 1) * 2;
        if offset < end {
            return known.then_some(line);
        }
    }
    None
}

/// A number with six bits in each byte, least significant first. The seventh bit is set if more bytes follow.
fn unsigned(entries: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = entries.next()?;
        value |= u64::from(byte & 63).checked_shl(shift)?;
        if byte & 64 == 0 {
            return Some(value);
        }
        shift += 6;
    }
}

/// A number whose least significant bit is the sign.
fn signed(entries: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = unsigned(entries)?;
    let size = i64::try_from(value >> 1).ok()?;
    Some(if value & 1 == 1 { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `def f(x):\n    y = x\n    while True:\n        y += 1\n` in CPython 3.14.
    const TABLE: &[u8] = &[128, 0, 216, 8, 9, 128, 65, 216, 10, 14, 216, 8, 9, 136, 81, 141, 6, 138, 1];

    #[test]
    fn lines_of_a_loop() {
        let lines: Vec<_> = (0..32).step_by(2).map(|offset| line_at(TABLE, 1, offset)).collect();
        assert_eq!(lines[..4], [Some(1), Some(2), Some(2), Some(3)]);
        assert_eq!(lines[4..15], [Some(4); 11]);
        assert_eq!(lines[15], None);
    }

    #[test]
    fn forms_with_more_bytes() {
        // No column, two lines down, one unit; long form, one line up, two units; no line, one unit.
        let table = [0x80 | 13 << 3, 4, 0x80 | 14 << 3 | 1, 3, 0, 1, 1, 0x80 | 15 << 3];
        assert_eq!(line_at(&table, 10, 0), Some(12));
        assert_eq!(line_at(&table, 10, 2), Some(11));
        assert_eq!(line_at(&table, 10, 5), Some(11));
        assert_eq!(line_at(&table, 10, 6), None);
        assert_eq!(line_at(&table, 10, 8), None);
    }

    #[test]
    fn large_numbers() {
        // 1000 << 1, in groups of six bits.
        let table = [0x80 | 13 << 3, 64 | (2000 & 63) as u8, (2000 >> 6) as u8];
        assert_eq!(line_at(&table, 1, 0), Some(1001));
    }

    #[test]
    fn a_damaged_table_has_no_lines() {
        assert_eq!(line_at(&[], 1, 0), None);
        assert_eq!(line_at(&[1, 2, 3], 1, 0), None);
        assert_eq!(line_at(&[0x80 | 13 << 3], 1, 0), None);
        assert_eq!(
            line_at(&[0x80 | 13 << 3, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 1], 1, 0),
            None
        );
    }
}
