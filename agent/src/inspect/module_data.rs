//! The runtime's own description of the program, `runtime.firstmoduledata`: where the parts of the
//! function table are, and where the code begins.
//!
//! `.text` does not tell where Go's code begins (C code comes first in some programs), and from
//! Go 1.26 on the function table does not either. Layout: `moduledata` in
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/symtab.go>; its first 192 bytes are the
//! same from Go 1.18 to 1.27.

use std::ops::ControlFlow;

use super::{
    address::FileAddress,
    elf::{Elf, Extent},
    error::InspectError,
    facts::GoVersion,
    pclntab::Header,
    source::{Source, u32_at, u64_at},
};

/// How much of the structure is read.
const SIZE: usize = 352;
/// How many look-alikes are looked at.
const MAX_CANDIDATES: usize = 8;
/// More functions than any program has.
const MAX_FUNCTIONS: u64 = 1 << 24;

/// Where the parts of the function table are, checked against its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModuleData {
    pub(super) header: Header,
    /// Names, each ended by a zero byte.
    pub(super) names: Extent,
    /// Per compile unit, the places of its file names in `files`; 32 bits each.
    pub(super) units: Extent,
    /// File names, each ended by a zero byte.
    pub(super) files: Extent,
    /// Values by address.
    pub(super) tables: Extent,
    /// The index of functions by address, and the functions.
    pub(super) functions: Extent,
    /// What addresses of functions are relative to.
    pub(super) text: FileAddress,
    /// Behind the last instruction.
    pub(super) text_end: FileAddress,
    /// What places of inline trees are relative to; `None` where the release is not known.
    pub(super) function_data: Option<FileAddress>,
}

impl ModuleData {
    /// Finds the description that belongs to one of these headers.
    pub(super) fn find(
        source: &Source,
        elf: &Elf,
        headers: &[Header],
        version: Option<GoVersion>,
    ) -> Result<Self, InspectError> {
        for &header in headers {
            for candidate in candidates(source, elf, header.address)? {
                let Some(words) = Words::read(source, elf, candidate)? else { continue };
                if let Some(found) = words.check(source, elf, header, version) {
                    return Ok(found);
                }
            }
        }
        Err(InspectError::Missing { what: "module data that fit the function table" })
    }
}

/// The addresses where the first word points at the header of the function table.
fn candidates(
    source: &Source,
    elf: &Elf,
    header: FileAddress,
) -> Result<Vec<FileAddress>, InspectError> {
    // `.go.module` holds nothing else (Go 1.26 on).
    if let Some(section) = elf.section(".go.module") {
        return Ok(vec![section.address]);
    }
    let mut found = Vec::new();
    if elf.pie {
        elf.relocated_pointers(source, |address, value| {
            if value == header && found.len() < MAX_CANDIDATES {
                found.push(address);
            }
        })?;
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let wanted = header.0.to_le_bytes();
    let mut left = source.size();
    for segment in elf.segments.iter().filter(|segment| segment.writable) {
        let size = segment.file.size.min(left);
        left -= size;
        let start = segment.file.offset;
        source.scan(start, start.saturating_add(size), 8, |at, piece| {
            for (index, word) in piece.chunks_exact(8).enumerate() {
                if word == wanted {
                    let into = at - start + index as u64 * 8;
                    found.push(FileAddress(segment.address.saturating_add(into)));
                }
                if found.len() >= MAX_CANDIDATES {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(found)
}

/// The structure as the program sees it once the loader has filled in its pointers.
struct Words {
    bytes: Vec<u8>,
}

impl Words {
    fn read(
        source: &Source,
        elf: &Elf,
        address: FileAddress,
    ) -> Result<Option<Self>, InspectError> {
        let Some(offset) = elf.in_file(address, SIZE as u64) else { return Ok(None) };
        let mut bytes = source.read("module data", offset.0, SIZE as u64)?;
        if elf.pie {
            elf.relocated_pointers(source, |place, value| {
                let into = place.0.checked_sub(address.0).and_then(|at| usize::try_from(at).ok());
                let word = into.and_then(|at| bytes.get_mut(at..at.checked_add(8)?));
                if let Some(word) = word {
                    word.copy_from_slice(&value.0.to_le_bytes());
                }
            })?;
        }
        Ok(Some(Self { bytes }))
    }

    fn word(&self, at: usize) -> Option<u64> {
        u64_at(&self.bytes, at)
    }

    fn address(&self, at: usize) -> Option<FileAddress> {
        self.word(at).map(FileAddress)
    }

    /// A slice (pointer, length, capacity), which must begin where the header says.
    fn part(&self, elf: &Elf, at: usize, element: u64, begin: u64) -> Option<Extent> {
        let size = self.word(at + 8)?.checked_mul(element)?;
        let offset = elf.in_file(self.address(at)?, size)?;
        (self.word(at)? == begin).then_some(Extent { offset: offset.0, size })
    }

    fn check(
        &self,
        source: &Source,
        elf: &Elf,
        header: Header,
        version: Option<GoVersion>,
    ) -> Option<ModuleData> {
        let base = header.address.0;
        if self.word(0)? != base || header.functions > MAX_FUNCTIONS {
            return None;
        }
        let [names, units, files, tables, functions] =
            header.parts.map(|part| base.checked_add(part));
        let index = self.part(elf, 128, 8, functions?)?;
        let (text, text_end) = (self.address(176)?, self.address(184)?);
        let found = ModuleData {
            header,
            names: self.part(elf, 8, 1, names?)?,
            units: self.part(elf, 32, 4, units?)?,
            files: self.part(elf, 56, 1, files?)?,
            tables: self.part(elf, 80, 1, tables?)?,
            functions: self.part(elf, 104, 1, functions?)?,
            text,
            text_end,
            function_data: self.function_data(elf, version),
        };
        // The index has one entry behind the last function.
        let index_fits = index.size / 8 == header.functions.checked_add(1)?
            && header.functions > 0
            && index.size <= found.functions.size.saturating_add(8);
        let code = elf.segment_at(text).is_some_and(|segment| segment.executable);
        let first = u32_at(&source.read_up_to(index.offset, 4).ok()?, 0)?;
        let begins = text.0.checked_add(u64::from(first))? == self.word(160)?;
        (index_fits && code && begins && text < text_end).then_some(found)
    }

    /// The field `gofunc`, which moved between releases: two words came before it in 1.20
    /// (<https://github.com/golang/go/blob/go1.20/src/runtime/symtab.go>), three in 1.27
    /// (<https://github.com/golang/go/blob/go1.27rc1/src/runtime/symtab.go>).
    fn function_data(&self, elf: &Elf, version: Option<GoVersion>) -> Option<FileAddress> {
        let at = match version?.minor {
            18..=19 => 304,
            20..=26 => 320,
            27 => 344,
            _ => return None,
        };
        self.address(at).filter(|&address| elf.segment_at(address).is_some())
    }
}
