//! Layouts from a binary's own debug information.
//!
//! The linker puts the types of all packages into a unit of package `runtime`
//! (<https://github.com/golang/go/blob/go1.26.0/src/cmd/link/internal/ld/dwarf.go>, `writeinfo`), so
//! that only this package's units are kept: the section is read as a stream, other units are passed
//! over, and what comes behind the last one needed is not even decompressed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use gimli::{
    AttributeValue, DebugAbbrev, DebugInfo, DebugInfoOffset, DebuggingInformationEntry, DwTag,
    EndianSlice, LittleEndian, UnitHeader, UnitOffset,
};

use super::fact::{Fact, LayoutError, Source};

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// The most that is kept. The types of a 100 MB binary have about 10 MB.
const MAX_UNIT: u64 = 48 << 20;
/// The first bytes of a unit, in which its name must stand.
const UNIT_HEAD: u64 = 1024;
/// Units looked at before giving up; there is one for each package and C file.
const MAX_UNITS: usize = 65_536;
/// Typedefs followed from a field to its type.
const MAX_TYPE_DEPTH: usize = 16;
/// Entries looked at below one type.
const MAX_CHILDREN: usize = 4096;

/// The records that are read, as the debug information names them.
const RECORDS: [&str; 8] = [
    "runtime.g",
    "runtime.m",
    "runtime.p",
    "runtime.schedt",
    "runtime.timeHistogram",
    "runtime.mstats",
    "runtime.heapStatsDelta",
    "runtime.gcControllerState",
];
/// The variables whose type is asked for.
const VARIABLES: [&str; 1] = ["runtime.waitReasonStrings"];

fn broken(error: gimli::Error) -> LayoutError {
    LayoutError::Dwarf(error.to_string())
}

fn unreadable(error: io::Error) -> LayoutError {
    LayoutError::Dwarf(error.to_string())
}

/// The units of package `runtime` that hold what is asked for, and where it stands in them.
#[derive(Debug)]
pub struct RuntimeTypes {
    units: Vec<Unit>,
    abbrev: Vec<u8>,
    /// Offsets in the section, by name.
    found: BTreeMap<&'static str, usize>,
}

/// The bytes of one unit.
#[derive(Debug)]
struct Unit {
    bytes: Vec<u8>,
    /// Where it begins in its section; references count from there.
    start: usize,
}

impl RuntimeTypes {
    /// Finds the types. `info` yields the (decompressed) section `.debug_info` and is read no
    /// further than needed; `abbrev` is the whole section `.debug_abbrev`.
    ///
    /// # Errors
    /// [`LayoutError::Dwarf`] where the section cannot be parsed; [`LayoutError::TooLarge`].
    pub fn find(mut info: impl Read, abbrev: Vec<u8>) -> Result<Self, LayoutError> {
        let mut types = Self { units: Vec::new(), abbrev, found: BTreeMap::new() };
        let mut wanted: BTreeSet<&'static str> = RECORDS.into_iter().chain(VARIABLES).collect();
        let mut start = 0_usize;
        let mut kept = 0_u64;
        for _ in 0..MAX_UNITS {
            let mut bytes = Vec::new();
            let Some(length) = unit_length(&mut info, &mut bytes)? else { break };
            let head = length.min(UNIT_HEAD);
            take(&mut info, head, &mut bytes)?;
            let rest = length - head;
            let whole = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(rest);
            // Each of the package's assembly files has a unit of the package's name, too.
            if is_runtime(&bytes, &types.abbrev, rest) {
                kept = kept.saturating_add(length);
                if kept > MAX_UNIT {
                    return Err(LayoutError::TooLarge(kept));
                }
                take(&mut info, rest, &mut bytes)?;
                types.search(Unit { bytes, start }, &mut wanted)?;
                if wanted.is_empty() {
                    break;
                }
            } else {
                let mut passed = (&mut info).take(rest);
                let passed = io::copy(&mut passed, &mut io::sink()).map_err(unreadable)?;
                if passed < rest {
                    break;
                }
            }
            let next = usize::try_from(whole).ok().and_then(|whole| start.checked_add(whole));
            start = next.ok_or_else(|| LayoutError::Dwarf("a unit without end".to_owned()))?;
        }
        Ok(types)
    }

    /// One pass over a unit's top level, which ends when all is found.
    fn search(
        &mut self,
        unit: Unit,
        wanted: &mut BTreeSet<&'static str>,
    ) -> Result<(), LayoutError> {
        let (header, abbrevs) = unit.parse(&self.abbrev)?;
        let mut entries = header.entries_raw(&abbrevs, None).map_err(broken)?;
        let mut entry = DebuggingInformationEntry::null();
        let mut any = false;
        while !entries.is_empty() && !wanted.is_empty() {
            let offset = entries.next_offset();
            let depth = entries.next_depth();
            let mut whole = entries.clone();
            let Some(abbrev) = entries.read_abbreviation().map_err(broken)? else { continue };
            let names: &[_] = match abbrev.tag() {
                gimli::DW_TAG_structure_type => &RECORDS,
                gimli::DW_TAG_variable => &VARIABLES,
                _ => &[],
            };
            entries.skip_attributes(abbrev.attributes()).map_err(broken)?;
            if depth != 1 || names.is_empty() {
                continue;
            }
            whole.read_entry(&mut entry).map_err(broken)?;
            let known = names.iter().find(|known| name(&entry) == Some(known.as_bytes()));
            if let Some(known) = known
                && wanted.remove(known)
            {
                self.found.insert(*known, unit.start.saturating_add(offset.0));
                any = true;
            }
        }
        if any {
            self.units.push(unit);
        }
        Ok(())
    }

    fn view(&self) -> Result<View<'_>, LayoutError> {
        let units = self.units.iter().map(|unit| {
            let (header, abbrevs) = unit.parse(&self.abbrev)?;
            Ok(ParsedUnit { start: unit.start, length: unit.bytes.len(), header, abbrevs })
        });
        Ok(View { units: units.collect::<Result<_, LayoutError>>()? })
    }

    /// Where a record or variable of the package stands in the section.
    fn position(&self, name: &str) -> Option<usize> {
        let mut found = self.found.iter();
        let found = found.find(|(known, _)| known.strip_prefix("runtime.") == Some(name));
        found.map(|(_, at)| *at)
    }

    /// Follows a path from a record: the field's offset in it, and its type.
    fn field(
        &self,
        view: &View<'_>,
        record: &str,
        path: &str,
    ) -> Result<Option<(u32, usize)>, LayoutError> {
        let Some(mut kind) = self.position(record) else { return Ok(None) };
        let mut offset = 0_u32;
        for part in path.split('.') {
            let Some((more, inner)) = view.member(kind, part)? else { return Ok(None) };
            let Some(sum) = offset.checked_add(more) else { return Ok(None) };
            (offset, kind) = (sum, inner);
        }
        Ok(Some((offset, kind)))
    }
}

impl Unit {
    fn parse(
        &self,
        abbrev: &[u8],
    ) -> Result<(UnitHeader<Slice<'_>>, gimli::Abbreviations), LayoutError> {
        let info = DebugInfo::new(&self.bytes, LittleEndian);
        let header = info.header_from_offset(DebugInfoOffset(0)).map_err(broken)?;
        let abbrevs = DebugAbbrev::new(abbrev, LittleEndian)
            .abbreviations(header.debug_abbrev_offset())
            .map_err(broken)?;
        Ok((header, abbrevs))
    }
}

impl Source for RuntimeTypes {
    fn get(&self, fact: Fact) -> Result<Option<u32>, LayoutError> {
        let view = self.view()?;
        match fact {
            Fact::Size { record } => match self.position(record) {
                Some(at) => view.size(at),
                None => Ok(None),
            },
            Fact::Offset { record, path, width } => {
                let Some((offset, kind)) = self.field(&view, record, path)? else {
                    return Ok(None);
                };
                let fits = match width {
                    Some(width) => view.size(kind)? == Some(u32::from(width)),
                    None => true,
                };
                Ok(fits.then_some(offset))
            }
            Fact::Count { record, path: "" } => {
                let Some(at) = self.position(record) else { return Ok(None) };
                match view.type_of(at)? {
                    Some(array) => view.count(array),
                    None => Ok(None),
                }
            }
            Fact::Count { record, path } => match self.field(&view, record, path)? {
                Some((_, array)) => view.count(array),
                None => Ok(None),
            },
        }
    }
}

/// The kept units, parsed. Entries are named by their offset in the section.
struct View<'a> {
    units: Vec<ParsedUnit<'a>>,
}

struct ParsedUnit<'a> {
    start: usize,
    length: usize,
    header: UnitHeader<Slice<'a>>,
    abbrevs: gimli::Abbreviations,
}

impl<'a> View<'a> {
    fn unit(&self, at: usize) -> Result<(&ParsedUnit<'a>, UnitOffset), LayoutError> {
        for unit in &self.units {
            if let Some(offset) = at.checked_sub(unit.start)
                && offset < unit.length
            {
                return Ok((unit, UnitOffset(offset)));
            }
        }
        Err(LayoutError::Dwarf(format!("an entry at {at:#x} is in no unit of the runtime")))
    }

    fn entry(&self, at: usize) -> Result<Entry<'a>, LayoutError> {
        let (unit, offset) = self.unit(at)?;
        unit.header.entry(&unit.abbrevs, offset).map_err(broken)
    }

    /// Where the type is that a type is behind its typedefs.
    fn resolved(&self, mut at: usize) -> Result<usize, LayoutError> {
        for _ in 0..MAX_TYPE_DEPTH {
            let entry = self.entry(at)?;
            if entry.tag() != gimli::DW_TAG_typedef {
                return Ok(at);
            }
            let behind = self.reference(at, &entry)?;
            at = behind.ok_or_else(|| LayoutError::Dwarf("a typedef of nothing".to_owned()))?;
        }
        Err(LayoutError::Dwarf("typedefs without end".to_owned()))
    }

    fn type_of(&self, at: usize) -> Result<Option<usize>, LayoutError> {
        self.reference(at, &self.entry(at)?)
    }

    /// Where the type of the entry at `at` is.
    fn reference(&self, at: usize, entry: &Entry<'a>) -> Result<Option<usize>, LayoutError> {
        Ok(match entry.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => self.unit(at)?.0.start.checked_add(offset.0),
            Some(AttributeValue::DebugInfoRef(DebugInfoOffset(offset))) => Some(offset),
            _ => None,
        })
    }

    /// Size of a type in bytes.
    fn size(&self, at: usize) -> Result<Option<u32>, LayoutError> {
        let entry = self.entry(self.resolved(at)?)?;
        if entry.tag() == gimli::DW_TAG_pointer_type {
            return Ok(Some(8));
        }
        let size = entry.attr(gimli::DW_AT_byte_size).and_then(gimli::Attribute::udata_value);
        Ok(size.and_then(|size| u32::try_from(size).ok()))
    }

    /// The entries of one kind directly below a type.
    fn children(&self, at: usize, tag: DwTag) -> Result<Vec<Entry<'a>>, LayoutError> {
        let (unit, offset) = self.unit(self.resolved(at)?)?;
        let mut entries = unit.header.entries_raw(&unit.abbrevs, Some(offset)).map_err(broken)?;
        let mut entry = DebuggingInformationEntry::null();
        entries.read_entry(&mut entry).map_err(broken)?;
        let mut found = Vec::new();
        for _ in 0..MAX_CHILDREN {
            let depth = entries.next_depth();
            if depth < 1 || entries.is_empty() {
                break;
            }
            let real = entries.read_entry(&mut entry).map_err(broken)?;
            if real && depth == 1 && entry.tag() == tag {
                found.push(entry.clone());
            }
        }
        Ok(found)
    }

    /// A field's offset and type.
    fn member(&self, at: usize, wanted: &str) -> Result<Option<(u32, usize)>, LayoutError> {
        let at = self.resolved(at)?;
        for member in self.children(at, gimli::DW_TAG_member)? {
            if name(&member) != Some(wanted.as_bytes()) {
                continue;
            }
            let offset = member
                .attr(gimli::DW_AT_data_member_location)
                .and_then(gimli::Attribute::udata_value)
                .and_then(|offset| u32::try_from(offset).ok());
            return Ok(offset.zip(self.reference(at, &member)?));
        }
        Ok(None)
    }

    /// Number of elements of an array.
    fn count(&self, at: usize) -> Result<Option<u32>, LayoutError> {
        let ranges = self.children(at, gimli::DW_TAG_subrange_type)?;
        let count = ranges.first().and_then(|range| {
            range.attr(gimli::DW_AT_count).and_then(gimli::Attribute::udata_value)
        });
        Ok(count.and_then(|count| u32::try_from(count).ok()))
    }
}

/// Reads the length that a unit begins with into `bytes`; `None` at the section's end.
fn unit_length(info: &mut impl Read, bytes: &mut Vec<u8>) -> Result<Option<u64>, LayoutError> {
    take(info, 4, bytes)?;
    match bytes.first_chunk::<4>().map(|word| u32::from_le_bytes(*word)) {
        None => Ok(None),
        Some(u32::MAX) => {
            take(info, 8, bytes)?;
            let long = bytes.get(4..).and_then(|rest| rest.first_chunk::<8>());
            Ok(long.map(|word| u64::from_le_bytes(*word)))
        }
        Some(length) => Ok(Some(u64::from(length))),
    }
}

/// The name of an entry, where it stands in the entry itself, as Go's linker writes it.
fn name<'a>(entry: &Entry<'a>) -> Option<&'a [u8]> {
    match entry.attr_value(gimli::DW_AT_name)? {
        AttributeValue::String(name) => Some(name.slice()),
        _ => None,
    }
}

/// Whether the unit that begins with `head`, and has `rest` more bytes, is that of package
/// `runtime`.
fn is_runtime(head: &[u8], abbrev: &[u8], rest: u64) -> bool {
    let parsed = || -> Option<bool> {
        // The header states the unit's whole length, of which only the head is at hand: a copy
        // with a shorter length parses as far as the root entry.
        let mut short = head.to_vec();
        if rest > 0 {
            let (at, behind) =
                if head.starts_with(&[0xff; 4]) { (4_usize, 12_usize) } else { (0, 4) };
            let length = u64::try_from(head.len().checked_sub(behind)?).ok()?.to_le_bytes();
            short.get_mut(at..behind)?.copy_from_slice(length.get(..behind - at)?);
        }
        let info = DebugInfo::new(&short, LittleEndian);
        let header = info.header_from_offset(DebugInfoOffset(0)).ok()?;
        let abbrevs = header.abbreviations(&DebugAbbrev::new(abbrev, LittleEndian)).ok()?;
        let root = header.entry(&abbrevs, header.root_offset()).ok()?;
        Some(root.tag() == gimli::DW_TAG_compile_unit && name(&root) == Some(b"runtime"))
    };
    parsed().unwrap_or(false)
}

/// Appends up to `count` bytes of the stream.
fn take(from: &mut impl Read, count: u64, into: &mut Vec<u8>) -> Result<(), LayoutError> {
    from.take(count).read_to_end(into).map(drop).map_err(unreadable)
}
