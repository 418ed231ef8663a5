//! Asks everything of a program that the agent would.

use std::io::Read as _;

use crate::inspect::{
    Binary, InspectError, Mapping,
    address::{FileAddress, FileOffset, ProcessAddress},
    inspect_bytes,
};

/// Addresses that are looked up.
const MAX_LOOKUPS: usize = 8;
/// Bytes read of a section.
const MAX_SECTION: u64 = 1 << 20;

/// Looks into the file and up these addresses.
///
/// # Errors
/// Where it is no Go program.
pub fn everything(
    file: &[u8],
    addresses: impl IntoIterator<Item = u64>,
) -> Result<Binary, InspectError> {
    let binary = inspect_bytes(file)?;
    for at in addresses.into_iter().take(MAX_LOOKUPS).map(FileAddress) {
        let symbols = &binary.symbols;
        let frames = symbols.frames(at);
        assert!(frames.len() <= 65, "{} frames", frames.len());
        assert!(frames.last().is_none_or(|frame| !frame.inlined));
        let _ = (symbols.created_by(at), symbols.function(at), symbols.line_by_dwarf(at));
        let _ = (symbols.place(at), binary.function_at(at));
    }
    let _ = binary.code(["runtime.newproc1", "main.main"]);
    for name in [".debug_info", ".gopclntab"] {
        if let Some(section) = binary.section(name) {
            let _ = section.take(MAX_SECTION).read_to_end(&mut Vec::new());
        }
    }
    let start = ProcessAddress(0x5555_0000_0000);
    let end = ProcessAddress(start.0 + 0x10_0000);
    let _ = binary.load_bias([Mapping { start, end, offset: FileOffset(0), executable: true }]);
    Ok(binary)
}
