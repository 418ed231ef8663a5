//! Parts of a binary as they are: sections, variables, and the code of functions, for those who
//! look for what this stage does not know of.

use std::{
    io::Read,
    ops::{ControlFlow, Range},
};

use super::{
    Binary,
    address::FileAddress,
    debug_section::DebugSection,
    elf::Extent,
    error::InspectError,
    source::{u32_at, u64_at},
};

/// The largest function whose code is handed out, in bytes.
const MAX_CODE: u64 = 256 << 10;
/// Size of a symbol (`Elf64_Sym`): name, kind, visibility, section, value, size.
const SYMBOL: usize = 24;
/// Symbols read at a time.
const SYMBOLS: u64 = 8192;

/// The code of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its first instruction.
    pub entry: FileAddress,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Binary {
    /// Addresses of the symbols of these names, in their order; all `None` where the binary is
    /// stripped.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn variables<const N: usize>(
        &self,
        wanted: [&str; N],
    ) -> Result<[Option<FileAddress>; N], InspectError> {
        let mut found = [None; N];
        let (Some(symbols), Some(strings)) =
            (self.elf.section(".symtab"), self.elf.section(".strtab"))
        else {
            return Ok(found);
        };
        let names = self.places_of(strings.file, wanted)?;
        let mut at = symbols.file.offset;
        let end = symbols.file.end();
        while at < end {
            let bytes = self.source.read_up_to(at, (SYMBOLS * SYMBOL as u64).min(end - at))?;
            if bytes.len() < SYMBOL {
                break;
            }
            for symbol in bytes.chunks_exact(SYMBOL) {
                let name = u32_at(symbol, 0);
                for (place, slot) in names.iter().zip(found.iter_mut()) {
                    if place.is_some() && *place == name && slot.is_none() {
                        *slot = u64_at(symbol, 8).filter(|value| *value != 0).map(FileAddress);
                    }
                }
            }
            at += bytes.len() as u64 / SYMBOL as u64 * SYMBOL as u64;
        }
        Ok(found)
    }

    /// Where in the table of strings these names begin.
    fn places_of<const N: usize>(
        &self,
        strings: Extent,
        wanted: [&str; N],
    ) -> Result<[Option<u32>; N], InspectError> {
        let overlap = wanted.iter().map(|name| name.len() as u64 + 2).max().unwrap_or(2);
        let mut found = [None; N];
        self.source.scan(strings.offset, strings.end(), overlap, |at, piece| {
            let mut begin = at;
            for name in piece.split(|byte| *byte == 0) {
                for (wanted, place) in wanted.iter().zip(found.iter_mut()) {
                    // A name at the begin of a piece may be the end of a longer one; the overlap
                    // shows each name once with the zero before it.
                    if begin > at && place.is_none() && name == wanted.as_bytes() {
                        *place = u32::try_from(begin - strings.offset).ok();
                    }
                }
                begin += name.len() as u64 + 1;
            }
            match found.contains(&None) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        Ok(found)
    }

    /// The contents of a section, decompressed while they are read; `None` where there is no such
    /// section, or it is compressed in a way that is not understood.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<Box<dyn Read>> {
        DebugSection::open(&self.source, &self.elf, name).map(DebugSection::stream)
    }

    /// The code of the functions of these names, `None` for each that is not there.
    ///
    /// # Errors
    ///
    /// Where the function table is bad or the file cannot be read.
    pub fn code<const N: usize>(
        &self,
        wanted: [&'static str; N],
    ) -> Result<[Option<Code>; N], InspectError> {
        let functions = self.symbols.functions.as_ref();
        let functions = functions.ok_or(InspectError::Missing { what: "function table" })?;
        let mut found = [const { None }; N];
        for (function, slot) in functions.named(wanted)?.iter().zip(found.iter_mut()) {
            let Some(function) = function else { continue };
            let size = function.end.0.saturating_sub(function.entry.0).min(MAX_CODE);
            let Some(offset) = self.elf.in_file(function.entry, size) else { continue };
            let bytes = self.source.read("code of a function", offset.0, size)?;
            *slot = Some(Code { entry: function.entry, bytes });
        }
        Ok(found)
    }

    /// Full name of the function that begins exactly at an address.
    #[must_use]
    pub fn function_at(&self, entry: FileAddress) -> Option<String> {
        let functions = self.symbols.functions.as_ref()?;
        let function = functions.at(entry).ok()??;
        if function.entry != entry {
            return None;
        }
        functions.name(&function).ok()
    }

    /// The parts of the address space that the program can write to, as far as the file fills
    /// them: each is followed by what begins as zeros.
    pub fn writable(&self) -> impl Iterator<Item = Range<FileAddress>> {
        self.elf.segments.iter().filter(|segment| segment.writable).map(|segment| {
            let end = segment.address.saturating_add(segment.file.size);
            FileAddress(segment.address)..FileAddress(end)
        })
    }
}
