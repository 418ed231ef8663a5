//! Which calls the compiler inlined at an address.
//!
//! `inlinedCall` in <https://github.com/golang/go/blob/go1.26.0/src/runtime/symtabinl.go>; up to
//! Go 1.19 in <https://github.com/golang/go/blob/go1.19/src/runtime/symtab.go>.

use super::{
    address::FileAddress,
    elf::Elf,
    error::InspectError,
    functions::{Function, Functions, Line},
    pclntab::Layout,
    source::u32_at,
};

/// `PCDATA_InlTreeIndex`.
pub(super) const VALUE_TABLE: u32 = 2;
/// `FUNCDATA_InlTree`.
pub(super) const DATA_TABLE: u8 = 3;
/// Deeper than the compiler inlines.
const MAX_DEPTH: usize = 64;

/// A function whose code is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its name as the table has it.
    pub(super) name: String,
    /// Where in it the address is, or the call inlined there.
    pub(super) line: Option<Line>,
    /// It is inlined into the next frame.
    pub(super) inlined: bool,
    /// `funcID`: what the runtime knows the function as.
    pub(super) id: u8,
}

/// The functions whose code is at an address, the innermost first, the function that holds the
/// address last.
pub(super) fn frames(
    functions: &Functions,
    elf: &Elf,
    function: &Function,
    pc: FileAddress,
) -> Result<Vec<Frame>, InspectError> {
    let mut frames = Vec::new();
    let mut pc = pc;
    if let Some(tree) = functions.inline_tree(function)? {
        while let Some(index) = functions.inline_index(function, pc)? {
            let Some((id, name, call)) = entry(functions, elf, tree, index)? else { break };
            let line = functions.line(function, pc)?;
            frames.push(Frame { name: functions.name_at(name)?, line, inlined: true, id });
            pc = FileAddress(function.entry.0.saturating_add(u64::from(call)));
            if frames.len() >= MAX_DEPTH || pc >= function.end {
                break;
            }
        }
    }
    let line = functions.line(function, pc)?;
    let name = functions.name(function)?;
    frames.push(Frame { name, line, inlined: false, id: function.id });
    Ok(frames)
}

/// What an inlined function is known as, place of its name, and the address of its call from the
/// entry on.
fn entry(
    functions: &Functions,
    elf: &Elf,
    tree: FileAddress,
    index: u32,
) -> Result<Option<(u8, u32, u32)>, InspectError> {
    let (size, id, name, call) = match functions.module.header.layout {
        Layout::Go118 => (20, 2, 12, 16),
        Layout::Go120 => (16, 0, 4, 8),
    };
    let address = FileAddress(tree.0.saturating_add(u64::from(index) * size));
    let Some(offset) = elf.in_file(address, size) else { return Ok(None) };
    let bytes = functions.source.read("inline tree", offset.0, size)?;
    let (id, name, call) = (bytes.get(id).copied(), u32_at(&bytes, name), u32_at(&bytes, call));
    Ok(id.zip(name).zip(call).map(|((id, name), call)| (id, name, call)))
}
