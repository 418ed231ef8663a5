//! Values that depend on the address within a function, as the Go linker packs them.
//!
//! Pairs of variable-length numbers: by how much the value changes, and for how far it holds. See
//! `step` in <https://github.com/golang/go/blob/go1.26.0/src/runtime/symtab.go>.

use super::{elf::Extent, error::InspectError, source::Source};

/// The piece read at a time; tables are mostly shorter.
const PIECE: u64 = 512;
/// The longest table that is followed, in bytes.
const MAX_TABLE: u64 = 1 << 20;

/// The value at `target`, counted in bytes from the function's entry; `None` where the table has
/// none for it.
///
/// `table` is a place in `tables`; 0 stands for no table.
pub(super) fn value_at(
    source: &Source,
    tables: Extent,
    table: u32,
    quantum: u8,
    target: u64,
) -> Result<Option<i32>, InspectError> {
    if table == 0 || u64::from(table) >= tables.size {
        return Ok(None);
    }
    let at = tables.offset.saturating_add(u64::from(table));
    let mut bytes =
        Bytes { source, at, end: tables.end().min(at + MAX_TABLE), piece: Vec::new(), next: 0 };
    let (mut value, mut pc, mut first) = (-1_i32, 0_u64, true);
    loop {
        let Some(change) = bytes.number()? else { return Ok(None) };
        if change == 0 && !first {
            return Ok(None);
        }
        first = false;
        // Zig-zag: the lowest bit is the sign.
        let magnitude = (change >> 1).cast_signed();
        value = value.wrapping_add(if change & 1 == 0 { magnitude } else { !magnitude });
        let Some(length) = bytes.number()? else { return Ok(None) };
        pc = pc.saturating_add(u64::from(length) * u64::from(quantum));
        if target < pc {
            return Ok(Some(value));
        }
    }
}

struct Bytes<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
    piece: Vec<u8>,
    next: usize,
}

impl Bytes<'_> {
    fn number(&mut self) -> Result<Option<u32>, InspectError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let Some(byte) = self.byte()? else { return Ok(None) };
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn byte(&mut self) -> Result<Option<u8>, InspectError> {
        if self.next >= self.piece.len() {
            self.at = self.at.saturating_add(self.piece.len() as u64);
            self.piece =
                self.source.read_up_to(self.at, PIECE.min(self.end.saturating_sub(self.at)))?;
            self.next = 0;
        }
        let byte = self.piece.get(self.next).copied();
        self.next += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(table: &[u8], quantum: u8, target: u64) -> Option<i32> {
        let mut bytes = vec![0];
        bytes.extend(table);
        let tables = Extent { offset: 0, size: bytes.len() as u64 };
        value_at(&Source::new(Box::new(bytes)), tables, 1, quantum, target).unwrap()
    }

    #[test]
    fn values_hold_until_the_next_pair() {
        // From -1 up by 11 for 4, down by 3 for 2, up by 300 for 130.
        let table = [22, 4, 5, 2, 0xd8, 0x04, 0x82, 0x01, 0];
        assert_eq!(look_up(&table, 1, 0), Some(10));
        assert_eq!(look_up(&table, 1, 3), Some(10));
        assert_eq!(look_up(&table, 1, 4), Some(7));
        assert_eq!(look_up(&table, 1, 6), Some(307));
        assert_eq!(look_up(&table, 1, 135), Some(307));
        assert_eq!(look_up(&table, 1, 136), None);
        assert_eq!(look_up(&table, 4, 16), Some(7));
    }

    #[test]
    fn a_first_change_of_zero_is_no_end() {
        assert_eq!(look_up(&[0, 4, 2, 1, 0], 1, 3), Some(-1));
        assert_eq!(look_up(&[0, 4, 2, 1, 0], 1, 4), Some(0));
    }

    #[test]
    fn broken_tables_have_no_values() {
        assert_eq!(look_up(&[], 1, 0), None);
        assert_eq!(look_up(&[2], 1, 0), None);
        assert_eq!(look_up(&[0xff; 40], 1, 0), None);
        assert_eq!(look_up(&[2, 0, 2, 0, 2], 1, 0), None);
    }
}
