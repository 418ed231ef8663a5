//! Finds the function table that the Go linker leaves in each program, stripped or not.
//!
//! Header: `pcHeader` in
//! <https://github.com/golang/go/blob/go1.27rc1/src/runtime/symtab.go>, its magic numbers in
//! <https://github.com/golang/go/blob/go1.27rc1/src/internal/abi/symtab.go>.

use std::ops::ControlFlow;

use super::{
    address::FileAddress,
    elf::Elf,
    error::InspectError,
    source::{Source, u32_at, u64_at},
};

/// Size of the header in bytes.
const HEADER: usize = 72;
/// Alignment of the header: that of a pointer since Go 1.26, 32 before.
const ALIGN: usize = 8;
/// How many look-alikes are looked at where there is no section table.
const MAX_CANDIDATES: usize = 8;

/// The forms of the table that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Go 1.18 and 1.19.
    Go118,
    /// Go 1.20 and later.
    Go120,
}

/// What the header of the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) address: FileAddress,
    pub(super) layout: Layout,
    /// Size of the smallest instruction: what distances of addresses count in.
    pub(super) quantum: u8,
    pub(super) functions: u64,
    /// Distances from the header: function names, compile units, files, tables, functions.
    pub(super) parts: [u64; 5],
}

impl Header {
    /// Every place in the file that looks like the header, the likeliest first.
    pub(super) fn find(
        source: &Source,
        elf: &Elf,
        go_version: &str,
    ) -> Result<Vec<Self>, InspectError> {
        let what = "function table";
        let by_name = |name| elf.section(name);
        // External linking leaves an empty section of the first name in some releases.
        let section = [".gopclntab", ".data.rel.ro.gopclntab"]
            .into_iter()
            .filter_map(by_name)
            .find(|section| section.file.size >= HEADER as u64);
        let Some(section) = section else {
            let found = search(source, elf)?;
            return if found.is_empty() { Err(InspectError::Missing { what }) } else { Ok(found) };
        };
        let offset = section.file.offset;
        let bytes = source.read(what, offset, HEADER as u64)?;
        match Self::parse(&bytes, section.address) {
            Some(header) => Ok(vec![header]),
            None if matches!(u32_at(&bytes, 0), Some(0xffff_fffa | 0xffff_fffb)) => {
                Err(InspectError::UnsupportedGo { version: go_version.to_owned() })
            }
            None => Err(InspectError::Corrupt { what, offset, why: "its header is none" }),
        }
    }

    fn parse(bytes: &[u8], address: FileAddress) -> Option<Self> {
        let layout = match u32_at(bytes, 0)? {
            0xffff_fff0 => Layout::Go118,
            0xffff_fff1 => Layout::Go120,
            _ => return None,
        };
        let &[0, 0, quantum @ (1 | 4), 8] = bytes.get(4..8)? else { return None };
        let mut parts = [0; 5];
        for (index, part) in parts.iter_mut().enumerate() {
            *part = u64_at(bytes, 32 + index * 8)?;
        }
        (parts.is_sorted() && parts.first().is_some_and(|&first| first >= HEADER as u64))
            .then_some(Self { address, layout, quantum, functions: u64_at(bytes, 8)?, parts })
    }
}

fn search(source: &Source, elf: &Elf) -> Result<Vec<Header>, InspectError> {
    let mut found = Vec::new();
    let mut left = source.size();
    for segment in elf.segments.iter().filter(|segment| !segment.executable) {
        let size = segment.file.size.min(left);
        left -= size;
        let start = segment.file.offset;
        // Linkers keep offset and address of a segment equal within a page.
        source.scan(start, start.saturating_add(size), 128, |at, piece| {
            for (index, place) in piece.chunks_exact(ALIGN).enumerate() {
                if !matches!(place, [0xf0 | 0xf1, 0xff, 0xff, 0xff, 0, 0, 1 | 4, 8]) {
                    continue;
                }
                let into = (at - start) + (index * ALIGN) as u64;
                let address = FileAddress(segment.address.saturating_add(into));
                let header =
                    piece.get(index * ALIGN..).and_then(|bytes| Header::parse(bytes, address));
                found.extend(header.filter(|header| !found.contains(header)));
                if found.len() >= MAX_CANDIDATES {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut bytes = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        for word in [7_u64, 3, 0, 72, 80, 90, 100, 120] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_header_is_read() {
        let parsed = Header::parse(&header(), FileAddress(0x1000)).unwrap();
        assert_eq!(parsed.layout, Layout::Go120);
        assert_eq!((parsed.quantum, parsed.functions), (1, 7));
        assert_eq!(parsed.parts, [72, 80, 90, 100, 120]);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (at, byte) in [(0, 0xf2), (4, 1), (6, 3), (7, 4), (32, 1), (40, 1), (64, 1)] {
            let mut bytes = header();
            bytes[at] = byte;
            assert_eq!(Header::parse(&bytes, FileAddress(0)), None, "byte {at}");
        }
        assert_eq!(Header::parse(&header()[..71], FileAddress(0)), None);
    }
}
