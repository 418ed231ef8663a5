//! Files and lines, and the fields of a structure, from DWARF.
//!
//! The only file that touches `gimli`. Of `.debug_info` one unit's root is read after the other,
//! of `.debug_line` the program of the one unit that holds an address; nothing else is kept.
//! Whatever cannot be read is as if there were no DWARF: the function table knows lines as well.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugAddr, DebugAddrBase,
    DebugLine, DebugLineOffset, DebugRanges, DebugRngLists, Encoding, EndianSlice, Format,
    LineProgramHeader, LittleEndian, RangeLists, RangeListsOffset, SectionId, UnitHeader,
    UnitSectionOffset, UnitType, constants,
};

use super::{
    address::FileAddress,
    debug_section::{DebugSection, Reader},
    elf::Elf,
    functions::Line,
    source::{Source, u32_at, u64_at},
};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// More units than any program has packages.
const MAX_UNITS: usize = 1 << 14;
/// More runs of code than the units of any program have, and how many are kept once those that
/// follow one another are joined.
const MAX_RANGES: usize = 1 << 18;
const MAX_KEPT_RANGES: usize = 1 << 15;
/// The largest description of abbreviations, and of addresses, that is read.
const MAX_TABLE: u64 = 4 << 20;
/// As much of the abbreviations as those of one unit take; Go's are a few hundred bytes.
const ABBREVIATIONS: usize = 16 << 10;
/// The largest line program of a unit that is read.
const MAX_PROGRAM: u64 = 8 << 20;
/// As much of a unit as its root takes, or of the unit's ranges.
const ROOT: u64 = 4 << 10;
const RANGES: u64 = 64 << 10;
/// The piece of a unit that is searched at a time, and as much as a structure's fields take.
const PIECE: u64 = 256 << 10;
const STRUCTURE: u64 = 16 << 10;
/// How many look-alikes of a structure are looked at.
const MAX_CANDIDATES: usize = 64;
/// How many line programs are kept, and how large they may be for that, in bytes.
const PROGRAMS: usize = 2;
const KEPT_PROGRAM: u64 = 512 << 10;

/// The DWARF of a program.
pub(super) struct Dwarf {
    info: DebugSection,
    abbreviations: DebugSection,
    lines: DebugSection,
    ranges: Option<DebugSection>,
    range_lists: Option<DebugSection>,
    addresses: Option<DebugSection>,
    units: OnceLock<Vec<UnitRange>>,
    programs: Mutex<Vec<(u64, Arc<Vec<u8>>)>>,
}

/// A run of code, and the line program of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnitRange {
    begin: u64,
    end: u64,
    program: u64,
}

/// Where a unit is in `.debug_info`.
#[derive(Clone, Copy)]
struct UnitPlace {
    /// Its first entry.
    entries: u64,
    end: u64,
    encoding: Encoding,
    abbreviations: u64,
}

/// What the root of a unit says.
struct UnitRoot {
    encoding: Encoding,
    program: u64,
    low: u64,
    high: Option<u64>,
    ranges: Option<usize>,
    address_base: usize,
}

impl Dwarf {
    /// The DWARF of a program, if there is any; reads next to nothing.
    pub(super) fn open(source: &Arc<Source>, elf: &Elf) -> Option<Self> {
        let section = |name| DebugSection::open(source, elf, name);
        Some(Self {
            info: section(".debug_info")?,
            abbreviations: section(".debug_abbrev")?,
            lines: section(".debug_line")?,
            ranges: section(".debug_ranges"),
            range_lists: section(".debug_rnglists"),
            addresses: section(".debug_addr"),
            units: OnceLock::new(),
            programs: Mutex::new(Vec::new()),
        })
    }

    /// File and line of an address; `None` where DWARF does not tell.
    pub(super) fn line(&self, pc: FileAddress) -> Option<Line> {
        let units = self.units.get_or_init(|| self.read_ranges().unwrap_or_default());
        let next = units.partition_point(|range| range.begin <= pc.0);
        let range = units.get(next.checked_sub(1)?).filter(|range| pc.0 < range.end)?;
        let program = self.program(range.program)?;
        line_in(&program, pc.0)
    }

    /// The offsets of these fields in a structure, by its full name.
    pub(super) fn fields<const N: usize>(
        &self,
        structure: &str,
        fields: [&str; N],
    ) -> Option<[u64; N]> {
        let mut name = structure.as_bytes().to_vec();
        name.push(0);
        let tables = self.abbreviations.all(MAX_TABLE)?;
        let mut reader = self.info.reader();
        let mut at = 0;
        let mut candidates = 0;
        for _ in 0..MAX_UNITS {
            let unit = unit_at(&mut reader, at)?;
            at = unit.entries;
            while at < unit.end {
                let piece = reader.read(at, PIECE.min(unit.end - at))?;
                let last = at + piece.len() as u64 >= unit.end;
                let mut from = 0;
                while let Some(found) = find(&piece, from, &name) {
                    // The number of the abbreviation comes first: one byte or two.
                    for begin in [found.checked_sub(1), found.checked_sub(2)].into_iter().flatten()
                    {
                        let entry = piece.get(begin..)?;
                        candidates += 1;
                        if let Some(offsets) = unit.structure(entry, &tables, structure, &fields) {
                            return Some(offsets);
                        }
                    }
                    if candidates >= MAX_CANDIDATES {
                        return None;
                    }
                    from = found + 1;
                }
                let seen = piece.len() as u64;
                at += if last { seen } else { seen.checked_sub(STRUCTURE)?.max(1) };
            }
            at = unit.end;
        }
        None
    }

    fn program(&self, at: u64) -> Option<Arc<Vec<u8>>> {
        let lock = || self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, program)) = lock().iter().find(|(place, _)| *place == at) {
            return Some(Arc::clone(program));
        }
        let mut reader = self.lines.reader();
        let (size, header) = initial_length(&reader.read(at, 12)?)?;
        let size = size.checked_add(header).filter(|&size| size <= MAX_PROGRAM)?;
        let program = Arc::new(self.lines.read(at, size)?);
        if size <= KEPT_PROGRAM {
            let mut kept = lock();
            kept.truncate(PROGRAMS - 1);
            kept.insert(0, (at, Arc::clone(&program)));
        }
        Some(program)
    }

    /// The runs of code of all units, in order.
    fn read_ranges(&self) -> Option<Vec<UnitRange>> {
        let mut roots = self.read_roots()?;
        // In this order a compressed section is read once.
        roots.sort_by_key(|root| (root.encoding.version, root.ranges));
        let addresses = self.addresses.as_ref().and_then(|section| section.all(MAX_TABLE));
        let addresses =
            DebugAddr::from(Bytes::new(addresses.as_deref().unwrap_or_default(), LittleEndian));
        let mut old = self.ranges.as_ref().map(DebugSection::reader);
        let mut new = self.range_lists.as_ref().map(DebugSection::reader);
        let mut found = Vec::new();
        for root in &roots {
            let UnitRoot { program, low, .. } = *root;
            let Some(at) = root.ranges else {
                found.extend(root.high.map(|end| UnitRange { begin: low, end, program }));
                continue;
            };
            let reader = if root.encoding.version < 5 { &mut old } else { &mut new };
            let list = reader.as_mut().and_then(|reader| reader.read(at as u64, RANGES));
            let list = Bytes::new(list.as_deref().unwrap_or_default(), LittleEndian);
            let lists = RangeLists::new(DebugRanges::from(list), DebugRngLists::from(list));
            let base = DebugAddrBase(root.address_base);
            let list = lists.ranges(RangeListsOffset(0), root.encoding, low, &addresses, base);
            let Ok(mut list) = list else { continue };
            while let Ok(Some(range)) = list.next() {
                if found.len() >= MAX_RANGES {
                    return None;
                }
                found.push(UnitRange { begin: range.begin, end: range.end, program });
            }
        }
        found.sort_unstable();
        found.dedup_by(|next, kept| {
            let joined = kept.program == next.program && next.begin <= kept.end;
            if joined {
                kept.end = kept.end.max(next.end);
            }
            joined
        });
        found.shrink_to_fit();
        (found.len() <= MAX_KEPT_RANGES).then_some(found)
    }

    fn read_roots(&self) -> Option<Vec<UnitRoot>> {
        let tables = self.abbreviations.all(MAX_TABLE)?;
        let mut reader = self.info.reader();
        let mut roots = Vec::new();
        let mut known: Option<(u64, Option<Abbreviations>)> = None;
        let mut at = 0;
        for _ in 0..MAX_UNITS {
            if at >= self.info.size {
                break;
            }
            let unit = unit_at(&mut reader, at)?;
            at = unit.end;
            // All units of Go share their abbreviations.
            if known.as_ref().is_none_or(|&(place, _)| place != unit.abbreviations) {
                known = Some((unit.abbreviations, unit.abbreviations(&tables)));
            }
            let entries = reader.read(unit.entries, ROOT.min(unit.end - unit.entries))?;
            let known = known.as_ref().and_then(|(_, known)| known.as_ref());
            roots.extend(known.and_then(|known| unit.root(&entries, known)));
        }
        Some(roots)
    }
}

impl UnitPlace {
    fn header<'a>(&self, entries: &'a [u8]) -> UnitHeader<Bytes<'a>> {
        UnitHeader::new(
            self.encoding,
            entries.len(),
            UnitType::Compilation,
            DebugAbbrevOffset(0),
            SectionId::DebugInfo,
            UnitSectionOffset(0),
            Bytes::new(entries, LittleEndian),
        )
    }

    fn abbreviations(&self, tables: &[u8]) -> Option<Abbreviations> {
        let at = usize::try_from(self.abbreviations).ok()?;
        let tables = tables.get(at..)?;
        let tables = tables.get(..ABBREVIATIONS).unwrap_or(tables);
        DebugAbbrev::new(tables, LittleEndian).abbreviations(DebugAbbrevOffset(0)).ok()
    }

    /// The root of a unit of Go code; that of C code has no lines that are asked for.
    fn root(&self, entries: &[u8], abbreviations: &Abbreviations) -> Option<UnitRoot> {
        let header = self.header(entries);
        let mut cursor = header.entries(abbreviations);
        let root = cursor.next_dfs().ok()??;
        let value = |name| root.attr_value(name);
        if value(constants::DW_AT_language) != Some(AttributeValue::Language(constants::DW_LANG_Go))
        {
            return None;
        }
        let AttributeValue::DebugLineRef(program) = value(constants::DW_AT_stmt_list)? else {
            return None;
        };
        let low = match value(constants::DW_AT_low_pc) {
            Some(AttributeValue::Addr(low)) => low,
            _ => 0,
        };
        Some(UnitRoot {
            encoding: self.encoding,
            program: program.0 as u64,
            low,
            high: match value(constants::DW_AT_high_pc) {
                Some(AttributeValue::Addr(high)) => Some(high),
                Some(size) => size.udata_value().and_then(|size| low.checked_add(size)),
                None => None,
            },
            ranges: match value(constants::DW_AT_ranges) {
                Some(AttributeValue::RangeListsRef(at)) => Some(at.0),
                _ => None,
            },
            address_base: match value(constants::DW_AT_addr_base) {
                Some(AttributeValue::DebugAddrBase(base)) => base.0,
                _ => 0,
            },
        })
    }

    /// The offsets of the fields, if this entry describes the structure.
    fn structure<const N: usize>(
        &self,
        entry: &[u8],
        tables: &[u8],
        structure: &str,
        fields: &[&str; N],
    ) -> Option<[u64; N]> {
        let header = self.header(entry);
        let abbreviations = self.abbreviations(tables)?;
        let mut cursor = header.entries(&abbreviations);
        let root = cursor.next_dfs().ok()??;
        let named = |name: Option<AttributeValue<Bytes<'_>>>, expected: &str| match name {
            Some(AttributeValue::String(name)) => name.slice() == expected.as_bytes(),
            _ => false,
        };
        if root.tag() != constants::DW_TAG_structure_type
            || !named(root.attr_value(constants::DW_AT_name), structure)
        {
            return None;
        }
        let mut found = [None; N];
        while let Some(member) = cursor.next_dfs().ok()? {
            if member.depth() != 1 {
                break;
            }
            let name = member.attr_value(constants::DW_AT_name);
            for (slot, _) in found.iter_mut().zip(fields).filter(|(_, field)| named(name, field)) {
                *slot = member
                    .attr_value(constants::DW_AT_data_member_location)
                    .and_then(|value| value.udata_value());
            }
            if found.iter().all(Option::is_some) {
                return Some(found.map(Option::unwrap_or_default));
            }
        }
        None
    }
}

/// Size behind a length, and that of the length itself.
fn initial_length(bytes: &[u8]) -> Option<(u64, u64)> {
    match u32_at(bytes, 0)? {
        u32::MAX => Some((u64_at(bytes, 4)?, 12)),
        size @ ..0xffff_fff0 => Some((u64::from(size), 4)),
        _ => None,
    }
}

fn unit_at(reader: &mut Reader<'_>, at: u64) -> Option<UnitPlace> {
    let start = reader.read(at, 40)?;
    let (size, length) = initial_length(&start)?;
    let end = at.checked_add(length)?.checked_add(size)?;
    let format = if length == 12 { Format::Dwarf64 } else { Format::Dwarf32 };
    let word = u64::from(format.word_size());
    let rest = start.get(usize::try_from(length).ok()?..)?;
    let version = u16::from_le_bytes(rest.get(..2)?.try_into().ok()?);
    // Version 5 has kind and size of addresses before the place of the abbreviations.
    let (place, address_size) = match version {
        2..=4 => (2, *rest.get(2 + usize::from(format.word_size()))?),
        5 => (4, *rest.get(3)?),
        _ => return None,
    };
    let abbreviations = match format {
        Format::Dwarf32 => u64::from(u32_at(rest, place)?),
        Format::Dwarf64 => u64_at(rest, place)?,
    };
    // Other kinds of units than compile units (1) have longer headers; Go has none of them.
    let extra = if version == 5 { 4 + word } else { 3 + word };
    let skipped = version == 5 && *rest.get(2)? != 1;
    let entries = if skipped { end } else { at + length + extra };
    (entries <= end && address_size == 8).then_some(UnitPlace {
        entries,
        end,
        encoding: Encoding { format, version, address_size },
        abbreviations,
    })
}

/// The line of an address by a line program.
fn line_in(program: &[u8], pc: u64) -> Option<Line> {
    let lines = DebugLine::new(program, LittleEndian);
    let mut rows = lines.program(DebugLineOffset(0), 8, None, None).ok()?.rows();
    let mut before: Option<(u64, u64, u32)> = None;
    while let Some((header, row)) = rows.next_row().ok()? {
        if let Some((begin, file, line)) = before
            && (begin..row.address()).contains(&pc)
        {
            return Some(Line { file: file_name(header, file)?, line });
        }
        let line = row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0));
        before = (!row.end_sequence()).then_some((row.address(), row.file_index(), line));
    }
    None
}

fn file_name(header: &LineProgramHeader<Bytes<'_>>, index: u64) -> Option<String> {
    let text = |value: AttributeValue<Bytes<'_>>| match value {
        AttributeValue::String(text) => Some(text.to_string_lossy().into_owned()),
        _ => None,
    };
    let file = header.file(index)?;
    let name = text(file.path_name())?;
    if name.starts_with('/') || file.directory_index() == 0 {
        return Some(name);
    }
    let folder = text(file.directory(header)?)?;
    Some(if folder == "." { name } else { format!("{folder}/{name}") })
}

/// Where `needle` is in `bytes`, from a place on (Horspool's search).
fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let last = needle.len().checked_sub(1)?;
    let mut skips = [needle.len(); 256];
    for (at, &byte) in needle.iter().enumerate().take(last) {
        if let Some(skip) = skips.get_mut(usize::from(byte)) {
            *skip = last - at;
        }
    }
    let mut at = from;
    while let Some(window) = bytes.get(at..at + needle.len()) {
        if window == needle {
            return Some(at);
        }
        at += skips.get(usize::from(*window.last()?))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_every_place() {
        let text = b"xruntime.g\0runtime.gobuf\0runtime.g\0";
        assert_eq!(find(text, 0, b"runtime.g\0"), Some(1));
        assert_eq!(find(text, 2, b"runtime.g\0"), Some(25));
        assert_eq!(find(text, 26, b"runtime.g\0"), None);
        assert_eq!(find(b"", 0, b"x"), None);
    }
}
