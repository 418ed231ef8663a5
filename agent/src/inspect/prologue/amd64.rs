//! The prologue on x86-64. `g` is in R14, its stack guards at 16 and 24.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::Behind;

/// Offsets of `stackguard0` and `stackguard1` in `runtime.g`, the same in all releases: assembly
/// depends on them (<https://github.com/golang/go/blob/go1.26.0/src/runtime/runtime2.go>).
const GUARDS: [u64; 2] = [16, 24];
/// The longest check has five instructions before the one behind it.
const MAX_CHECK: usize = 5;

pub(super) fn behind_check(code: &[u8], size: u64) -> Option<Behind> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    // What holds the lowest address that the frame will use.
    let mut lowest = Register::RSP;
    let mut compared = false;
    for _ in 0..MAX_CHECK {
        let instruction = decoder.decode();
        match instruction.mnemonic() {
            // Frames beyond the guard's slack: `lea -N(%rsp), %r12`.
            Mnemonic::Lea if is_lea_below(&instruction) => lowest = Register::R12,
            // Huge frames: `mov %rsp, %r12; sub $N, %r12; jb morestack`.
            Mnemonic::Mov if moves(&instruction, Register::R12, Register::RSP) => {
                lowest = Register::R12;
            }
            Mnemonic::Sub if lowest == Register::R12 && instruction.op0_register() == lowest => {}
            Mnemonic::Jb if lowest == Register::R12 && !compared => forward(&instruction, size)?,
            Mnemonic::Cmp if compares(&instruction, lowest) => compared = true,
            Mnemonic::Jbe if compared => {
                forward(&instruction, size)?;
                return behind(&mut decoder);
            }
            _ => return None,
        }
    }
    None
}

/// A function without a check (`//go:nosplit`) sets its frame up at once.
pub(super) fn unchecked(code: &[u8]) -> Option<Behind> {
    behind(&mut Decoder::with_ip(64, code, 0, DecoderOptions::NONE))
}

/// The frame is set up next: with `push %rbp` since Go 1.21, before with `sub $N, %rsp`.
fn behind(decoder: &mut Decoder<'_>) -> Option<Behind> {
    let distance = decoder.ip();
    let next = decoder.decode();
    let pushes = next.code() == Code::Push_r64 && next.op0_register() == Register::RBP;
    let subtracts = next.mnemonic() == Mnemonic::Sub
        && next.op0_register() == Register::RSP
        && next.op1_kind() != OpKind::Register
        && next.op1_kind() != OpKind::Memory;
    (pushes || subtracts).then_some(Behind { distance, emulated: pushes })
}

fn compares(instruction: &Instruction, lowest: Register) -> bool {
    instruction.op0_register() == lowest
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_base() == Register::R14
        && instruction.memory_index() == Register::None
        && GUARDS.contains(&instruction.memory_displacement64())
}

fn is_lea_below(instruction: &Instruction) -> bool {
    instruction.op0_register() == Register::R12
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64().cast_signed() < 0
}

fn moves(instruction: &Instruction, to: Register, from: Register) -> bool {
    instruction.op0_register() == to
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register() == from
}

/// The call of `morestack` is at the function's end.
fn forward(jump: &Instruction, size: u64) -> Option<()> {
    let target = jump.near_branch_target();
    (target >= jump.next_ip() && target < size).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(code: &[u8]) -> Option<(u64, bool)> {
        behind_check(code, 0x400).map(|behind| (behind.distance, behind.emulated))
    }

    #[test]
    fn the_push_of_newer_releases() {
        // go1.26.6 runtime.newproc1
        let code = b"\x49\x3b\x66\x10\x0f\x86\xa0\x03\x00\x00\x55\x48\x89\xe5\x48\x83\xec\x50";
        assert_eq!(at(code), Some((10, true)));
        // go1.26.6 runtime.goexit0: a short jump.
        assert_eq!(at(b"\x49\x3b\x66\x10\x76\x18\x55\x48\x89\xe5"), Some((6, true)));
    }

    #[test]
    fn the_subtraction_of_older_releases() {
        // go1.19 runtime.newproc1
        let code = b"\x49\x3b\x66\x10\x0f\x86\x86\x03\x00\x00\x48\x83\xec\x48\x48\x89\x6c\x24\x40";
        assert_eq!(at(code), Some((10, false)));
    }

    #[test]
    fn functions_without_a_check() {
        let at = |code| unchecked(code).map(|behind| (behind.distance, behind.emulated));
        // go1.26.6 and go1.19 runtime.casgstatus
        assert_eq!(at(b"\x55\x48\x89\xe5\x48\x83\xec\x58"), Some((0, true)));
        assert_eq!(at(b"\x48\x83\xec\x40\x48\x89\x6c\x24\x38"), Some((0, false)));
        // A check; another push; nothing.
        assert_eq!(at(b"\x49\x3b\x66\x10\x76\x18\x55"), None);
        assert_eq!(at(b"\x53\x48\x89\xe5"), None);
        assert_eq!(at(b""), None);
    }

    #[test]
    fn large_and_huge_frames() {
        // lea -0x108(%rsp),%r12; cmp 0x10(%r14),%r12; jbe; push %rbp
        let code = b"\x4c\x8d\xa4\x24\xf8\xfe\xff\xff\x4d\x3b\x66\x10\x0f\x86\x86\x02\x00\x00\x55";
        assert_eq!(at(code), Some((18, true)));
        // mov %rsp,%r12; sub $0x10000,%r12; jb; cmp 0x10(%r14),%r12; jbe; push %rbp
        let code = b"\x49\x89\xe4\x49\x81\xec\x00\x00\x01\x00\x72\x40\x4d\x3b\x66\x10\x76\x3a\x55";
        assert_eq!(at(code), Some((18, true)));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = b"\x49\x3b\x66\x10\x0f\x86\xa0\x03\x00\x00\x55\x48\x89\xe5";
        // No check; another register; another offset; a jump backwards; another condition.
        assert_eq!(at(b"\x55\x48\x89\xe5\x48\x83\xec\x50"), None);
        for (place, byte) in [(2, 0x67), (3, 0x18 + 8), (9, 0xff), (5, 0x87), (10, 0x53)] {
            let mut bad = *good;
            bad[place] = byte;
            assert_eq!(at(&bad), None, "byte {place}");
        }
        for end in 0..11 {
            assert_eq!(at(&good[..end]), None, "{end} bytes");
        }
        // The jump leaves the function.
        assert_eq!(behind_check(good, 0x3a0), None);
        assert_eq!(at(&[0xff; 64]), None);
    }
}
