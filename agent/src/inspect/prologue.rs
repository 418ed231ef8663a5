//! Where the prologue of a Go function has checked the stack: the place for a probe.
//!
//! A function that finds its stack too small calls `runtime.morestack` and begins again from its
//! first instruction, so a probe there hits twice. Behind the check it hits once, and all
//! arguments are still in their registers. What the compilers write:
//! `stacksplit` in <https://github.com/golang/go/blob/go1.26.0/src/cmd/internal/obj/x86/obj6.go>
//! and <https://github.com/golang/go/blob/go1.26.0/src/cmd/internal/obj/arm64/obj7.go>.

use super::facts::Arch;

mod amd64;
mod arm64;

/// How many bytes of a function are looked at.
pub(super) const WINDOW: u64 = 64;

/// An instruction behind the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// How far it is from the function's entry, in bytes.
    pub(super) distance: u64,
    /// The kernel emulates it: a probe there costs no single step.
    pub(super) emulated: bool,
}

/// The first instruction behind the stack check of a function of `size` bytes that begins with
/// `code`; `None` where there is no such check or something else follows it.
pub(super) fn behind_check(arch: &Arch, code: &[u8], size: u64) -> Option<Behind> {
    match arch {
        Arch::Amd64 => amd64::behind_check(code, size),
        Arch::Arm64 => arm64::behind_check(code, size),
        Arch::Other(_) => None,
    }
}

/// As [`behind_check`]; of a function that has no check, and so is never begun again, its first
/// instruction.
pub(super) fn frame_setup(arch: &Arch, code: &[u8], size: u64) -> Option<Behind> {
    behind_check(arch, code, size).or_else(|| match arch {
        Arch::Amd64 => amd64::unchecked(code),
        Arch::Arm64 => arm64::unchecked(code),
        Arch::Other(_) => None,
    })
}
