//! What a walk over a stack asks of the code at an address: how far up the return address is, what
//! is called there, and which calls stand there by name.
//!
//! The runtime walks stacks by the same table of frame sizes (`pcsp`), which is exact at every
//! instruction: also in prologues, and in assembly that keeps no frame pointer.

use super::{
    address::FileAddress,
    elf::Elf,
    facts::Arch,
    functions::Functions,
    inline_tree,
    source::u32_at,
    symbols::{CodePlace, Symbols},
};

/// How a function that is on a stack stands there, at one address of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Where the function begins.
    pub entry: FileAddress,
    /// Its name as the table has it.
    pub name: String,
    /// Bytes between the stack pointer and what was on the stack when the function was entered.
    pub frame_size: Option<u32>,
    /// Whether there is a table of frame sizes; code from elsewhere (race detector) has none.
    pub has_frame_sizes: bool,
    /// Nothing called it: a stack ends with it.
    pub is_outermost: bool,
    /// It moves to another stack, or back, in a way that no table tells.
    pub moves_stack: bool,
    /// Where the function begins that the instruction before the address calls; `None` where that
    /// is no call, goes through a register or memory, or leads out of Go's code.
    pub calls: Option<FileAddress>,
}

/// A call on a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function's name as the table has it.
    pub name: String,
    /// The same as Go prints it, and where in it the call stands.
    pub place: CodePlace,
    /// The compiler made the function, to call another.
    pub is_wrapper: bool,
}

impl Symbols {
    /// What is to be known of the function that holds an address to walk on from it; `None` where
    /// none does.
    #[must_use]
    pub fn activation(&self, pc: FileAddress) -> Option<Activation> {
        let (functions, function) = self.lookup(pc)?;
        let called = functions
            .code_before(&self.elf, pc)
            .and_then(|before| direct_call(&before, pc, &self.elf.arch))
            .and_then(|target| functions.at(target).ok().flatten());
        Some(Activation {
            entry: function.entry,
            name: functions.name(&function).ok()?,
            frame_size: functions.frame_size(&function, pc).ok().flatten(),
            has_frame_sizes: function.has_frame_sizes(),
            is_outermost: function.is_outermost(),
            moves_stack: function.moves_stack(),
            calls: called.map(|called| called.entry),
        })
    }

    /// All calls that stand at an address, the innermost inlined one first; empty where the address
    /// is in no function. For a return address ask for the one before it.
    #[must_use]
    pub fn calls(&self, pc: FileAddress) -> Vec<Call> {
        let Some((functions, function)) = self.lookup(pc) else { return Vec::new() };
        let frames = inline_tree::frames(functions, &self.elf, &function, pc).unwrap_or_default();
        let wrapper = wrapper_id(self.minor);
        frames
            .into_iter()
            .map(|frame| Call {
                place: self.code_place(&frame.name, frame.line, frame.inlined),
                name: frame.name,
                is_wrapper: Some(frame.id) == wrapper,
            })
            .collect()
    }
}

/// The number that stands for a function made by the compiler, the last of
/// <https://github.com/golang/go/blob/go1.26.0/src/internal/abi/symtab.go> (`FuncIDWrapper`), up to
/// Go 1.20 of <https://github.com/golang/go/blob/go1.19/src/runtime/symtab.go>.
fn wrapper_id(minor: Option<u16>) -> Option<u8> {
    match minor? {
        18..=21 => Some(21),
        22..=24 => Some(22),
        25..=27 => Some(23),
        _ => None,
    }
}

/// Longest form of a direct call, in bytes.
const CALL: u64 = 5;

impl Functions {
    /// The bytes before an address that a direct call there would have.
    fn code_before(&self, elf: &Elf, pc: FileAddress) -> Option<Vec<u8>> {
        let begin = FileAddress(pc.0.checked_sub(CALL)?);
        let offset = elf.in_file(begin, CALL)?;
        self.source.read("code before a return address", offset.0, CALL).ok()
    }
}

/// Where the direct call leads that the bytes before an address are, if they are one.
fn direct_call(before: &[u8], pc: FileAddress, arch: &Arch) -> Option<FileAddress> {
    let target = match arch {
        Arch::Amd64 => {
            // E8 and a distance of 32 bits from the next instruction.
            if before.first() != Some(&0xe8) {
                return None;
            }
            let distance = u32_at(before, 1)?.cast_signed();
            pc.0.checked_add_signed(i64::from(distance))?
        }
        Arch::Arm64 => {
            // BL: 100101, and a distance of 26 bits in words, from the instruction itself.
            let word = u32_at(before, 1)?;
            if word >> 26 != 0b10_0101 {
                return None;
            }
            let distance = i64::from((word << 6).cast_signed() >> 6) * 4;
            pc.0.checked_sub(4)?.checked_add_signed(distance)?
        }
        Arch::Other(_) => return None,
    };
    Some(FileAddress(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_call_names_its_target() {
        let at = FileAddress(0x1000);
        let amd64 = |bytes: &[u8]| direct_call(bytes, at, &Arch::Amd64);
        assert_eq!(amd64(&[0xe8, 0x10, 0, 0, 0]), Some(FileAddress(0x1010)));
        assert_eq!(amd64(&[0xe8, 0xf0, 0xff, 0xff, 0xff]), Some(FileAddress(0xff0)));
        assert_eq!(amd64(&[0, 0, 0, 0xff, 0xd0]), None);
        assert_eq!(amd64(&[0xe8]), None);
        let arm64 = |word: u32| {
            let bytes: Vec<u8> = [0].into_iter().chain(word.to_le_bytes()).collect();
            direct_call(&bytes, at, &Arch::Arm64)
        };
        assert_eq!(arm64(0x9400_0004), Some(FileAddress(0x100c)));
        assert_eq!(arm64(0x97ff_ffff), Some(FileAddress(0xff8)));
        assert_eq!(arm64(0xd63f_0000), None);
    }
}
