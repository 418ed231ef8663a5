//! What the instructions of a function refer to, on arm64.
//!
//! An address takes two instructions: `ADRP` puts the page into a register, and a second one adds
//! the offset in the page, or loads or stores with it.
//! (Arm Architecture Reference Manual, C6.2: ADRP, ADD (immediate), LDR/STR (unsigned offset))

use crate::inspect::{Code, address::FileAddress};

/// Addresses that a function's instructions name, in their order.
pub(super) fn targets(code: &Code) -> Vec<FileAddress> {
    let mut known: [Option<u64>; 32] = [None; 32];
    let mut found = Vec::new();
    for (index, word) in (0_u64..).zip(code.bytes.chunks_exact(4)) {
        let Some(word) = word.first_chunk().map(|word| u32::from_le_bytes(*word)) else { break };
        let pc = code.entry.0.wrapping_add(index * 4);
        let base = register(&known, word >> 5);
        match Kind::of(word) {
            Some(Kind::Page) => {
                set(&mut known, word, Some((pc & !0xfff).wrapping_add(page_offset(word))));
            }
            Some(Kind::Add) => {
                let shift = if word & (1 << 22) == 0 { 0 } else { 12 };
                let sum = base.map(|base| base.wrapping_add(immediate(word) << shift));
                found.extend(sum.map(FileAddress));
                set(&mut known, word, sum);
            }
            Some(Kind::LoadOrStore) => {
                let scale = scale(word);
                found.extend(
                    base.map(|base| FileAddress(base.wrapping_add(immediate(word) << scale))),
                );
                // A load overwrites its target; forgetting the register of a store costs little.
                set(&mut known, word, None);
            }
            None => {}
        }
    }
    found
}

enum Kind {
    Page,
    Add,
    LoadOrStore,
}

impl Kind {
    fn of(word: u32) -> Option<Self> {
        if word & 0x9f00_0000 == 0x9000_0000 {
            Some(Self::Page)
        } else if word & 0xff80_0000 == 0x9100_0000 {
            Some(Self::Add)
        } else if word & 0x3b00_0000 == 0x3900_0000 {
            Some(Self::LoadOrStore)
        } else {
            None
        }
    }
}

fn register(known: &[Option<u64>; 32], word: u32) -> Option<u64> {
    known.get(usize::try_from(word & 31).ok()?).copied().flatten()
}

fn set(known: &mut [Option<u64>; 32], word: u32, value: Option<u64>) {
    if let Some(slot) = usize::try_from(word & 31).ok().and_then(|index| known.get_mut(index)) {
        *slot = value;
    }
}

/// The 12 bits of an offset in a page.
fn immediate(word: u32) -> u64 {
    u64::from((word >> 10) & 0xfff)
}

/// By how many bits the offset of a load or store is shifted: the size of what is moved. Sixteen
/// bytes have a size field of 0 and say so elsewhere.
fn scale(word: u32) -> u32 {
    let vector = word & (1 << 26) != 0;
    let long = word & (1 << 23) != 0;
    match word >> 30 {
        0 if vector && long => 4,
        size => size,
    }
}

/// The distance in bytes of the page that `ADRP` names from its own.
fn page_offset(word: u32) -> u64 {
    let pages = ((word >> 5) & 0x7_ffff) << 2 | ((word >> 29) & 3);
    // 21 bits with a sign.
    let extended = (pages << 11).cast_signed() >> 11;
    (i64::from(extended) << 12).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(words: &[u32]) -> Code {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Code { entry: FileAddress(0x1_0ff8), bytes }
    }

    #[test]
    fn a_page_and_an_offset_make_an_address() {
        // adrp x27, +1 page; add x27, x27, #0x123; adrp x1, -1 page; ldr x2, [x1, #8];
        // strb w3, [x27, #1]
        let words = [0xb000_001b, 0x9104_8f7b, 0xf0ff_ffe1, 0xf940_0422, 0x3900_0763];
        assert_eq!(
            targets(&code(&words)),
            [FileAddress(0x1_1123), FileAddress(0x1_0008), FileAddress(0x1_1124)]
        );
    }

    #[test]
    fn a_register_of_which_nothing_is_known_names_nothing() {
        assert_eq!(targets(&code(&[0xf940_0422, 0x9104_8f7b, 0xd503_201f])), []);
    }
}
