//! The prologue on AArch64. `g` is in X28, its stack guards at 16 and 24.

use super::Behind;

/// `ldr x16, [x28, #16]` and `[x28, #24]`.
const LOAD_GUARD: [u32; 2] = [0xf940_0b90, 0xf940_0f90];
/// `cmp sp, x16`
const COMPARE_SP: u32 = 0xeb30_63ff;
/// `cmp x17, x16`
const COMPARE_X17: u32 = 0xeb10_023f;
/// `sub x17, sp, #N`, with the number and its shift masked off.
const SUB_X17: u32 = 0xd100_03f1;
/// `sub x20, sp, #N`, likewise.
const SUB_X20: u32 = 0xd100_03f4;
const SUB_MASK: u32 = 0xff80_03ff;
/// `str x30, [sp, #-N]!`, with the number masked off.
const PUSH_LINK: u32 = 0xf800_0ffe;
const PUSH_LINK_MASK: u32 = 0xffe0_0fff;
/// `b.ls`, with the distance masked off.
const BRANCH: u32 = 0x5400_0009;
const BRANCH_MASK: u32 = 0xff00_001f;

pub(super) fn behind_check(code: &[u8], size: u64) -> Option<Behind> {
    let mut words = code.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_le_bytes));
    if !LOAD_GUARD.contains(&words.next()?) {
        return None;
    }
    let mut at = 8;
    match words.next()? {
        COMPARE_SP => {}
        word if word & SUB_MASK == SUB_X17 => {
            if words.next()? != COMPARE_X17 {
                return None;
            }
            at += 4;
        }
        _ => return None,
    }
    let branch = words.next()?;
    // A distance in words, signed, in bits 5 to 23: the call of `morestack` is at the end.
    let distance = u64::from((branch >> 5) & 0x7_ffff) * 4;
    let forward = (8..1 << 20).contains(&distance) && at + distance < size;
    if branch & BRANCH_MASK != BRANCH || !forward {
        return None;
    }
    behind(words.next()?, at + 4)
}

/// A function without a check (`//go:nosplit`) sets its frame up at once.
pub(super) fn unchecked(code: &[u8]) -> Option<Behind> {
    behind(u32::from_le_bytes(*code.first_chunk()?), 0)
}

fn behind(next: u32, distance: u64) -> Option<Behind> {
    let saves = next & PUSH_LINK_MASK == PUSH_LINK || next & SUB_MASK == SUB_X20;
    // The kernel emulates only branches and PC-relative instructions here.
    saves.then_some(Behind { distance, emulated: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(words: &[u32]) -> Option<u64> {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        behind_check(&code, 0x2000).map(|behind| behind.distance)
    }

    #[test]
    fn small_and_large_frames() {
        // go1.27.3 runtime.newproc1
        assert_eq!(at(&[0xf940_0b90, 0xeb30_63ff, 0x5400_2809, 0xf81a_0ffe]), Some(12));
        // ldr x16,[x28,#16]; sub x17,sp,#0x110; cmp x17,x16; b.ls; sub x20,sp,#0x190
        let large = [0xf940_0b90, 0xd104_43f1, 0xeb10_023f, 0x5400_2809, 0xd106_43f4];
        assert_eq!(at(&large), Some(16));
    }

    #[test]
    fn functions_without_a_check() {
        let at = |word: u32| unchecked(&word.to_le_bytes()).map(|behind| behind.distance);
        // go1.26.6 runtime.casgstatus
        assert_eq!(at(0xf819_0ffe), Some(0));
        assert_eq!(at(0xf940_0b90), None);
        assert_eq!(unchecked(&[0xfe, 0x0f]), None);
    }

    #[test]
    fn anything_else_is_refused() {
        let good = [0xf940_0b90, 0xeb30_63ff, 0x5400_2809, 0xf81a_0ffe];
        for (place, word) in [
            (0, 0xf940_0b91),
            (1, 0xeb30_63fe),
            (2, 0x5400_2808),
            (2, 0x54ff_f009),
            (3, 0xd503_201f),
        ] {
            let mut bad = good;
            bad[place] = word;
            assert_eq!(at(&bad), None, "{word:#x}");
        }
        assert_eq!(at(&good[..3]), None);
        assert_eq!(at(&[]), None);
    }
}
